/*
 * A client of a source, in this process or in one of its own.
 *
 * Threads: those of scaler.h's connect, measure, disarm, hear and disconnect: one thread a client.
 */
#ifndef BACKLOG_MEASURE_CLIENT_H
#define BACKLOG_MEASURE_CLIENT_H

#include "measure/scaler.h"

struct client;

/* `program` is started as `PROGRAM agent` and has the client; NULL: the client is in this process. */
bool client_open(const struct scaler *scaler, const struct option_values *connection_values,
                 const char *program, int64_t deadline_ms, struct client **ret_client,
                 struct error *error);
bool client_measure(struct client *client, struct probe *const *probes, size_t count,
                    int64_t deadline_ms, struct error *error);
void client_disarm(struct client *client, const uint64_t *waker_ids, size_t count);
int client_descriptor(const struct client *client); /* readable: client_hear(); -1: none */
bool client_hear(struct client *client);            /* false: all arms are lost */
void client_close(struct client *client);

#endif
