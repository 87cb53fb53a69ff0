/*
 * What KEDA is answered, decided in one pure function from what is known.
 *
 * The rule behind it: an error makes KEDA hold the replicas, a zero makes it remove them. So what is
 * unknown or too old is an error, and after a failure only "there is work" goes on to be answered.
 */
#ifndef BACKLOG_SCALE_ANSWER_H
#define BACKLOG_SCALE_ANSWER_H

#include "measure/engine.h"

struct answer {
    enum {
        ANSWER_WAIT,    /* for the next attempt */
        ANSWER_VALUE,   /* value and active */
        ANSWER_REFUSED, /* the error says why */
    } kind;
    double value; /* finite, >= 0 */
    bool active;
    bool held;           /* the last attempt failed: this is what was known before */
    int64_t age_ms;      /* of the reading behind a value */
    int64_t began_at_us; /* when the source told of it, or the measurement of it began */
    struct error error;
};

/* A reading as a trigger's scaler judged it. */
struct judged {
    bool good;
    struct judgement judgement;
    struct error error; /* where it is not good */
};

struct answer_rules {
    int64_t interval_ms; /* a reading younger than this is fresh */
    int64_t hold_ms;     /* how long an active reading answers after measuring began to fail */
};

/*
 * `judged` is of the snapshot's reading (ignored where there is none). `out_of_time`: the caller has
 * waited as long as it may, so that ANSWER_WAIT is no answer any more.
 */
void answer_decide(const struct snapshot *snapshot, const struct judged *judged,
                   const struct answer_rules *rules, int64_t now_ms, bool out_of_time,
                   struct answer *ret_answer);
void answer_done(struct answer *answer);

#endif
