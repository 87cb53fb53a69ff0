/*
 * Converts our structs to the messages of agent.proto, and back; for both sides of an agent.
 *
 * Threads: any; there is no state.
 */
#ifndef BACKLOG_MEASURE_AGENT_AGENT_MESSAGES_H
#define BACKLOG_MEASURE_AGENT_AGENT_MESSAGES_H

#include "agent.pb-c.h"
#include "measure/scaler.h"

/* A bit of a notification. The other bits are the id, from 1 on. */
#define AGENT_LOST (UINT64_C(1) << 63)

/* The options that have a text, as numbers of rows and texts. The texts are borrowed; the caller
 * frees the array. */
Agent__Option **agent_options(const struct option_values *values, size_t *ret_count);
struct option_values *agent_values(const struct scaler *scaler, enum option_scope scope,
                                   Agent__Option *const *options, size_t count);

/* About how many bytes a query with these options takes in an agent. Both ends count the same. */
size_t agent_query_bytes(const struct option_values *values);

/* More partitions or consumers than this are taken for an error: their number is unknown. */
enum { AGENT_MAX_PARTS = 10000000 };

void agent_reading_write(const struct reading *reading, Agent__Reading *ret_message);
/* The message is not trusted: a number that cannot be true is unknown. */
struct reading agent_reading_read(const Agent__Reading *message);

/* The longest text of an error that an agent sends. A task may end with two errors, and the server
 * ends an agent whose message is longer than 1 MiB. The server keeps far less of the text, but the
 * agent sends more: the server hides secrets before it cuts, so that no part of a secret remains.
 */
enum { AGENT_MAX_ERROR_BYTES = 256 << 10 };

/* Returns NULL if there is no error. Cuts the error's text, which is borrowed. */
Agent__Error *agent_error_write(struct error *error, Agent__Error *storage);
/* The message is not trusted: the result is always an error, with a code that a scaler may use. */
void agent_error_read(const Agent__Error *message, struct error *error);

#endif
