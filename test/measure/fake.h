/*
 * A scripted scaler: its one source is a table of queues in this process. What a queue does can be
 * set at any moment; what an isolated one does is in its name, as its process has a table of its own:
 *
 *     "7"      answers 7        "hang"   is left unanswered       "missing" fails alone
 *     "abort"  aborts           "sleep"  lets the deadline pass   "break"   loses the client
 *     "log"    logs, and fails      "gossip" makes up a wake     "sticky..." takes 20 ms to disarm
 *
 * Source "down" refuses at once, and "silent" when the deadline has passed.
 *
 * Those that can be armed are: fake_arming_scaler, which a test wakes on a thread of its own, and the
 * isolated one, in whose process "late" has no message until 200 ms after it was armed first, and
 * then one, and is woken by what comes over a descriptor.
 */
#ifndef BACKLOG_TEST_FAKE_H
#define BACKLOG_TEST_FAKE_H

#include "measure/engine.h"
#include "measure/scaler.h"

enum { FAKE_HANGS = -1, FAKE_MISSING = -2, FAKE_BREAKS = -3 };

extern const struct scaler fake_scaler;
extern const struct scaler fake_arming_scaler;
extern const struct scaler fake_isolated_scaler;
extern const struct scaler *const fake_scalers[];

struct fake_counts {
    int connects;
    int disconnects;
    int batches;
    int probes;
    int largest_batch;
    int arms;    /* made, in all */
    int disarms; /* of arms that were there */
};

/* Forgets the queues and the counts; the source is up. */
void fake_reset(void);
void fake_set_queue(const char *name, int messages);
void fake_wake(const char *name);  /* who is armed for this queue; any thread */
int fake_armed(const char *name);  /* how many are */
void fake_set_racing(bool racing); /* each arm is woken before its probe is ended */
void fake_refuse_arms(bool refuse);
void fake_set_parting(bool parting); /* a measurement answers all, and loses its client */
void fake_set_up(bool up);           /* down: connecting fails and a measurement loses its client */
struct fake_counts fake_counts(void);

/* Values for a connection and a queue of it; the caller frees them. */
struct fake_values {
    struct option_values *scopes[OPTION_SCOPES];
};
struct fake_values fake_values(const char *source, const char *queue);
void fake_values_done(struct fake_values *values);

#endif
