/*
 * An end for calls that have none: nats.c does the TLS handshake on a blocking socket without a
 * deadline, so that a server which falls silent there would hold the thread for ever. Once its time
 * has come, the interrupter breaks the blocking system calls of the thread that started it (EINTR,
 * which OpenSSL reports and nats.c takes for a failed handshake), again and again until it is
 * stopped.
 *
 * Threads: started and stopped by one, and only that one is interrupted. The process' handler of
 * SIGURG is taken for it; it does nothing.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_INTERRUPTER_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_INTERRUPTER_H

#include "base/error.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct nats_interrupter {
    timer_t timer;
    sigset_t mask_before;
};

bool nats_interrupter_start(struct nats_interrupter *interrupter, int64_t deadline_ms,
                            struct error *error);
void nats_interrupter_stop(struct nats_interrupter *interrupter);

#endif
