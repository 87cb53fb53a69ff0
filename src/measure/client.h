/*
 * A client of a source, in this process or in an agent process.
 *
 * Threads: one per client, as scaler.h has it.
 */
#ifndef BACKLOG_MEASURE_CLIENT_H
#define BACKLOG_MEASURE_CLIENT_H

#include "measure/scaler.h"

struct client;

/* `program` is started as `PROGRAM agent` and has the client; NULL: the client is in this process. */
bool client_open(const struct scaler *scaler, const struct option_values *connection_values,
                 const char *program, int64_t deadline_ms, struct client **ret_client,
                 struct error *error);
bool client_measure(struct client *client, struct feed *feed, struct error *error);
void client_close(struct client *client);

#endif
