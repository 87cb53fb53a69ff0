/*
 * Between our structs and the messages of agent.proto; for both sides of an agent.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_MEASURE_AGENT_AGENT_MESSAGES_H
#define BACKLOG_MEASURE_AGENT_AGENT_MESSAGES_H

#include "agent.pb-c.h"
#include "measure/scaler.h"

/* In a notification, beside its id, which counts from 1. */
#define AGENT_LOST (UINT64_C(1) << 63)

/* The rows of the table that have a text. The strings are borrowed; the caller frees the array. */
Agent__Option **agent_options(const struct option_values *values, size_t *ret_count);
struct option_values *agent_values(const struct scaler *scaler, enum option_scope scope,
                                   Agent__Option *const *options, size_t count);

/* A reading with more partitions or consumers is not believed in that. */
enum { AGENT_MAX_PARTS = 10000000 };

void agent_reading_write(const struct reading *reading, Agent__Reading *ret_message);
/* Not trusted: what cannot be is unknown. */
struct reading agent_reading_read(const Agent__Reading *message);

/* Of an error's text. A task may end with two of them, and the server ends an agent whose message
 * is longer than 1 MiB. It keeps far less, but hides secrets first: a cut must not leave a part of
 * one in what it keeps. */
enum { AGENT_MAX_ERROR_BYTES = 256 << 10 };

/* Returns NULL where there is no error. Cuts the text, which is borrowed. */
Agent__Error *agent_error_write(struct error *error, Agent__Error *storage);
/* Not trusted: the result is an error in any case, of a code that a scaler may give. */
void agent_error_read(const Agent__Error *message, struct error *error);

#endif
