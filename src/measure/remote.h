/*
 * A client in a child process, so that a client library that aborts costs one connection one
 * back-off, and nobody else anything.
 *
 * The child is this program, started as `PROGRAM agent` with one end of a socket pair as descriptor
 * AGENT_SOCKET; the end of the socket ends it. The messages are in agent.proto. Options travel over
 * the socket, never in argv: secrets are among them.
 *
 * Wakes come over a pipe beside the socket, AGENT_WAKES, each an id of 8 bytes: so any thread of the child
 * can write one without a lock, and none stands between question and answer. One that finds the
 * pipe full (8,192 wait in it) is lost, and its query found at its usual interval.
 *
 * Threads: one at a time for each remote.
 */
#ifndef BACKLOG_MEASURE_REMOTE_H
#define BACKLOG_MEASURE_REMOTE_H

#include "measure/scaler.h"

enum { AGENT_SOCKET = 3, AGENT_WAKES = 4 };

struct remote;

bool remote_open(const struct scaler *scaler, const struct option_values *connection_values,
                 const char *program, int64_t deadline_ms, struct remote **ret_remote,
                 struct error *error);
/* Kills the child where it lets the deadline pass. */
bool remote_measure(struct remote *remote, struct probe *const *probes, size_t count,
                    int64_t deadline_ms, struct error *error);
void remote_disarm(struct remote *remote, const uint64_t *waker_ids, size_t count);
int remote_descriptor(const struct remote *remote); /* of the wakes; -1: the child has ended */
bool remote_hear(struct remote *remote);            /* wakes; false: the child has ended */
void remote_close(struct remote *remote);

/* The child's side: serves one connection of one of the scalers until AGENT_SOCKET ends; the exit code. */
int agent_run(const struct scaler *const *scalers);

#endif
