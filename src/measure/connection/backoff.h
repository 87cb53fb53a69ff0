/*
 * Backoff: when a connection makes its next client, after one that failed.
 *
 *     refused      no client could be made
 *     connected    there is a client, to which the source has not answered yet
 *     answered     the source works
 *     lost         the client has ended: another one may be made at once. If it had answered, the
 *                  failures in a row are over; if it was connected for long, too, so are losses
 *                  and hang-ups
 *     failed       after refused or lost: wait. It counts as a failure or, if this client had
 *                  answered, as a loss
 *     hung up      the same, for a client that was lost with nothing in flight: if it had answered,
 *                  it counts as a hang-up, and the wait is one that callers have time for
 *
 * The first failure in a row is retried at once, the second after min_ms, and then the wait doubles
 * up to max_ms, each less a quarter at most (jitter). Losses and hang-ups have the same waits, but
 * each are counted separately: a source that closed idle connections for an hour, and then
 * restarts, is reconnected to as soon as any other.
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
    uint32_t (*jitter)(uint32_t below); /* keeps many replicas of the server apart */
};

struct backoff {
    int64_t retry_at_ms; /* no client is made sooner */
    int64_t connected_at_ms;
    unsigned failures; /* since a client that has answered */
    unsigned losses;   /* clients that had answered were lost, since one that lived for long */
    unsigned hang_ups; /* the same, of those with nothing in flight */
    bool has_answered; /* the source has, to this client */
    bool reconnects;   /* a client has ended, or could not be made, ever */
};

void backoff_refused(struct backoff *backoff);
void backoff_connected(struct backoff *backoff, int64_t now_ms);
void backoff_answered(struct backoff *backoff);
void backoff_lost(struct backoff *backoff, int64_t now_ms);

/* Of an ERROR_COSTLY the wait is one of minutes. */
void backoff_failed(struct backoff *backoff, const struct backoff_settings *settings,
                    const struct error *error, int64_t now_ms);
void backoff_hung_up(struct backoff *backoff, const struct backoff_settings *settings,
                     const struct error *error, int64_t now_ms);

#endif
