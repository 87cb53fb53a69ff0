/*
 * What KEDA is answered, decided in one pure function from what is known.
 *
 * The rule behind it: an error makes KEDA hold the replicas, a zero makes it remove them. So what
 * is unknown or too old is an error, and after a failure only "there is work" goes on to be
 * answered: with the largest value that the HPA has in mind, so that it neither removes a worker
 * nor starts one (hold.h).
 *
 * Each of these follows from the one before:
 *
 *     struct reading              what was measured (measure/reading.h)
 *     struct evaluation_result    what the scaler or the policy makes of it
 *     struct answer               what is decided from that
 *     struct trigger_last_answer  what KEDA was answered last (trigger.h)
 *     struct trigger_figures      all of it in numbers and words (trigger_report.h)
 *
 * A round of KEDA (GetMetrics, then IsActive) sees the present: it is answered from a measurement
 * that was sent at most F before the call arrived. What F is, and what is answered when, is a table
 * in docs/architecture.md.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALE_ANSWER_ANSWER_H
#define BACKLOG_SCALE_ANSWER_ANSWER_H

#include "measure/scaler.h"
#include "measure/snapshot.h"
#include "scale/answer/hold.h"

enum {
    /* A call waits so long for a fresh reading if there is an older one. */
    ANSWER_PATIENCE_MS = 1000,
    /* A failure is answered again for so long: KEDA calls twice at once. */
    ANSWER_REPEAT_FAILURE_MS = 500,
};

struct answer {
    enum {
        ANSWER_WAIT,    /* for the next attempt: a measurement sent at needed_from_ms or later */
        ANSWER_VALUE,   /* value and active */
        ANSWER_REFUSED, /* the error says why */
    } kind;
    int64_t needed_from_ms;
    double value;    /* 0 to SCALER_MAX_VALUE */
    double replicas; /* of a trigger: what the HPA makes of the value, or its policy's own number */
    bool active;
    bool held;             /* measuring fails: this is what was known before */
    int64_t held_since_ms; /* where it is held: as hold_since_ms() */
    bool hold_is_over;     /* refused: it was held for as long as the rules say */
    bool is_unanswered; /* no measurement came: one is needed all the same, and the hold begins */
    /* Of the reading behind a value: since the request for it was sent. That of another replica is
     * as old at least. */
    int64_t age_ms;
    int64_t began_at_us; /* when the source notified us of it, or the request was sent */
    struct error error;
};

/* What a reading means, as the trigger's scaler or its policy evaluated it. */
struct evaluation_result {
    bool is_good;
    struct evaluation evaluation;
    struct error error; /* where it is not good */
};

struct answer_rules {
    int64_t interval_ms;
    bool interval_is_set;   /* by the user, in the trigger or for the server */
    int64_t hold_ms;        /* how long an active answer is given again while measuring fails */
    int64_t hold_window_ms; /* hold_add() */
};

/* What is known of a trigger. */
struct answer_facts {
    const struct snapshot *snapshot;
    /* Of the snapshot's reading; ignored where it has none. */
    const struct evaluation_result *evaluated;
    const struct answer_rules *rules;

    /* What a held value follows from, while measuring fails. */
    const struct hold *hold;
    double replicas_value;  /* what the HPA's replicas are for: no more is held */
    int64_t replicas_at_ms; /* when those were read; 0: they were not */
};

/* Who is answered. */
struct answer_call {
    bool is_stream;     /* it waits for the next attempt, however long that takes */
    bool takes_any_age; /* the last reading will do, however old it is: for people */
    int64_t arrived_ms; /* when a call came */
    bool out_of_time;   /* a call has waited as long as it may: it is not answered ANSWER_WAIT */
};

/* Decides what this caller is answered now. Pure. */
void answer_decide(const struct answer_facts *facts, const struct answer_call *call, int64_t now_ms,
                   struct answer *ret_answer);

/* In thousandths, as KEDA writes metrics and targets: rounded to three decimals; 0 for what is
 * below zero or not finite. */
int64_t answer_milli(double value);

/* What the HPA makes of a value with AverageValue, before its own limits, steps and tolerance: it
 * divides thousandths, so 2.1 at 0.3 per replica are 7. */
double answer_replicas(double value, double target);

/* An answer in one word, for people. */
enum answer_state {
    ANSWER_STATE_WAITING,  /* for a measurement */
    ANSWER_STATE_ANSWERED, /* by a reading */
    ANSWER_STATE_HELD,     /* by what was known before measuring failed */
    ANSWER_STATE_REFUSED,  /* with an error */
};

enum answer_state answer_state(const struct answer *answer);
const char *answer_state_name(enum answer_state state); /* "held", in all JSON */

/* What `to` held before is dropped. */
void answer_copy(struct answer *to, const struct answer *from);
void answer_done(struct answer *answer);

#endif
