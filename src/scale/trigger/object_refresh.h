/*
 * When what the Kubernetes API says about a trigger's object is read again: it may be the reason
 * why measuring fails.
 *
 *     the trigger ...                      reading its object again may help it to
 *     waits for its credentials            nothing: they are being read
 *     is held                              the replicas of its HPA, until they are of after
 *                                          measuring began to fail
 *     is held, refused, or has mistakes    credentials, where it has its own
 *     is measured                          nothing
 *
 * One read gets all of it. The first of a failure is made at once, but a second after the last one;
 * the others after 1, 2, 4 ... 60 s: changes are noticed without it, too, and a source that is down
 * for long has many triggers. Another failure begins where the trigger was measured in between, or
 * measuring began to fail after the last read.
 *
 * Threads: any; pure. The state belongs to the trigger; times are milliseconds of one clock.
 */
#ifndef BACKLOG_SCALE_TRIGGER_OBJECT_REFRESH_H
#define BACKLOG_SCALE_TRIGGER_OBJECT_REFRESH_H

#include <stdbool.h>
#include <stdint.h>

struct object_refresh {
    int64_t at_ms;       /* the last one; 0: never */
    int64_t interval_ms; /* until the next one of this failure; 0: it had none yet */
};

/* What is known of the trigger when KEDA calls. */
struct object_refresh_facts {
    bool is_pending; /* its credentials were not read yet */
    bool has_mistakes;
    bool is_refused; /* the last answer */
    bool is_held;    /* the last answer that says something of measuring */
    bool has_own_credentials;
    bool has_replicas; /* a read has those of its HPA */
    int64_t replicas_at_ms;
    int64_t failing_since_ms; /* of its hold (answer/hold.h) */
};

/* Whether it is to be read again now. The caller does so where it is. */
bool object_refresh_is_due(struct object_refresh *refresh, const struct object_refresh_facts *facts,
                           int64_t now_ms);

#endif
