/*
 * Values that other replicas would hold (--peers), of triggers that KEDA may call this one for.
 *
 * When KEDA calls for a trigger, the trigger takes its value, as hold_take() says: until it is
 * measured here for the first time. A value that no trigger takes is dropped when another replica
 * lists it and it is older than the longest hold. The replicas that a peer's policy wanted count
 * for `hold`.
 *
 * So a peer can cause an answer that is too large, but for no longer than `hold`. It can cause a
 * smaller answer only in place of an error, and never 0.
 *
 * Threads: any.
 */
#ifndef BACKLOG_SCALE_ANSWER_PEER_VALUES_H
#define BACKLOG_SCALE_ANSWER_PEER_VALUES_H

#include "scale/answer/hold.h"
#include "scale/policy/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PEER_DIGEST_BYTES = 16,
    PEER_VALUES_MAX = 20000,                   /* that are not taken: 14 MiB at most */
    PEER_VALUES_MAX_AGE_MS = 24 * 3600 * 1000, /* the longest hold of a trigger */
};

struct peer_value {
    uint8_t digest[PEER_DIGEST_BYTES]; /* which trigger it is of (trigger_peers.c) */
    struct held held;                  /* times are of clock_now_ms() */
    struct policy_peaks policy_peaks;  /* replicas that its policy wanted */
};

/* Turns a peer's age into a time of clock_now_ms(). An age that is negative or too large counts as
 * PEER_VALUES_MAX_AGE_MS. (Not time 0: just after boot that is recent.) */
int64_t peer_values_time_ms(int64_t age_ms, int64_t now_ms);

struct peer_values;

struct peer_values *peer_values_new(void);
void peer_values_free(struct peer_values *values); /* NULL is harmless */

/* Merges it with what is known of its trigger. Values that are not finite or not above 0, and times
 * that are too old or to come, are passed over. False: there are PEER_VALUES_MAX. */
bool peer_values_add(struct peer_values *values, const struct peer_value *value, int64_t now_ms);

/* Changes with each addition; 0: there never was one. */
uint64_t peer_values_revision(const struct peer_values *values);

/* The caller frees it. NULL: there is none. */
struct peer_value *peer_values_take(struct peer_values *values,
                                    const uint8_t digest[PEER_DIGEST_BYTES]);

/* Lists some of those that nobody took, PEER_VALUES_LISTED at most: from bucket `*next` on, which
 * is 0 at first, moved, and 0 again after the last ones. What comes meanwhile may make some appear
 * twice. Returns how many. */
enum { PEER_VALUES_LISTED = 64 };
size_t peer_values_list(struct peer_values *values, uint64_t *next, int64_t now_ms,
                        struct peer_value ret_values[PEER_VALUES_LISTED]);

#endif
