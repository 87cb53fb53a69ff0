/*
 * Backoff: when a connection makes its next client, after one that failed.
 *
 *     backoff_refused()     no client could be made
 *     backoff_connected()   there is a client; the source has not answered it yet
 *     backoff_answered()    the source works
 *     backoff_lost()        the client has ended, and the next one may be made at once
 *     backoff_failed()      after refused or lost: the next client waits. Counts a failure or, if
 *                           the source had answered this client, a loss
 *     backoff_hung_up()     instead, if nothing was in flight when the client was lost. Counts a
 *                           hang-up and waits 1 s at most, so that callers can wait for the next
 *                           client. If the source had not answered this client: a failure
 *
 * The first of a kind is retried at once, the second after min_ms, and then the wait doubles up to
 * max_ms: 0, 250, 500 ms ... 5 s by default. Each wait is shortened by up to a quarter (jitter).
 *
 * The three kinds are counted separately: a source that closed idle connections for an hour, and
 * then restarts, is reconnected to as soon as any other. A client that was answered ends the count
 * of failures when it is lost; one that also lived for 10 s ends those of losses and hang-ups.
 *
 * Threads: as connection.h has it; time is passed in. Owner: its connection, which it is a part of.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_BACKOFF_H
#define BACKLOG_MEASURE_CONNECTION_BACKOFF_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct backoff_settings {
    int64_t min_ms, max_ms;
    uint32_t (*jitter)(uint32_t below); /* so that not all replicas of the server retry at once */
};

struct backoff {
    int64_t retry_at_ms; /* no client is made sooner */
    int64_t connected_at_ms;
    unsigned failures; /* in a row */
    unsigned losses;   /* in a row */
    unsigned hang_ups; /* in a row */
    bool has_answered; /* the source has answered this client */
    bool reconnects;   /* at any time a client has ended, or could not be made */
};

void backoff_refused(struct backoff *backoff);
void backoff_connected(struct backoff *backoff, int64_t now_ms);
void backoff_answered(struct backoff *backoff);
void backoff_lost(struct backoff *backoff, int64_t now_ms);

/* After an ERROR_COSTLY the wait is 5 minutes, whatever failed before. */
void backoff_failed(struct backoff *backoff, const struct backoff_settings *settings,
                    const struct error *error, int64_t now_ms);
void backoff_hung_up(struct backoff *backoff, const struct backoff_settings *settings,
                     const struct error *error, int64_t now_ms);

#endif
