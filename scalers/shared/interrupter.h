/*
 * Limits for calls of libraries that have none, on the thread that makes the call:
 *
 * - of time: nats.c does the TLS handshake on a blocking socket without a deadline, so that a server which falls silent
 *   there would hold the thread for ever. Once its time has come, the interrupter breaks the blocking system calls of
 *   the thread (EINTR, which OpenSSL reports and nats.c takes for a failed handshake), again and again until it is
 *   stopped;
 * - of bytes: while librabbitmq logs in, it keeps every frame that it did not wait for, and 4 KiB for each channel. The
 *   interrupter sees to it that the socket receives little at once, looks every millisecond how much that was in
 *   all, and puts a closed socket in its place where it is too much.
 *
 * Threads: started and stopped by one, and only that one is interrupted; one at a time. The process' handler of SIGURG
 * is taken for it.
 */
#ifndef BACKLOG_SCALERS_SHARED_INTERRUPTER_H
#define BACKLOG_SCALERS_SHARED_INTERRUPTER_H

#include "base/error.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct interrupter {
    timer_t timer;
    sigset_t mask_before;
    int socket; /* -1: of time */
    int closed; /* a socket without a peer */
    uint64_t max_bytes;
};

bool interrupter_start(struct interrupter *interrupter, int64_t deadline_ms, struct error *error);

/* At most so many bytes from now on. */
bool interrupter_start_bytes(struct interrupter *interrupter, int socket, uint64_t max_bytes,
                             struct error *error);
void interrupter_stop(struct interrupter *interrupter);

#endif
