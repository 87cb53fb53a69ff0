/*
 * What the server says to the child process of an isolated scaler, and takes as its answer: the messages of
 * agent.proto, from the parent's side. The child has read what a broker sent, so nothing of what it says
 * is trusted.
 *
 * Threads: one at a time for each socket.
 */
#ifndef BACKLOG_MEASURE_DIALOGUE_H
#define BACKLOG_MEASURE_DIALOGUE_H

#include "measure/scaler.h"

/* Both return once the child is done; `told` is what it says went wrong. False: it is gone, hangs, or
 * cannot be understood. */
bool dialogue_connect(int socket, const struct scaler *scaler,
                      const struct option_values *connection_values, int64_t deadline_ms,
                      struct error *told, struct error *error);
bool dialogue_measure(int socket, struct probe *const *probes, size_t count, int64_t deadline_ms,
                      struct error *told, struct error *error);

/* The child answers nothing. */
bool dialogue_disarm(int socket, const uint64_t *waker_ids, size_t count, int64_t deadline_ms,
                     struct error *error);

#endif
