/*
 * A scripted scaler: its one source is a table of queues in this process. What a queue does can be
 * set at any moment; what an isolated one does is in its name, as its process has a table of its
 * own:
 *
 *     "7"      answers 7        "hang..." is left unanswered      "missing" fails alone
 *     "abort"  aborts           "sleep"  never returns            "break"   loses the client
 *     "log"    logs, and fails  "gossip" makes up a notification
 *     "crowd"  loses FAKE_CROWD subscriptions, and answers 0
 *     "twice"  answers 0, and fails
 *     "again"  answers 1 of a client that reconnects, else 0
 *     "delay"  when it is cancelled answers feed_delay_ms()
 *     "full"   has no capacity for others until it is cancelled, and then answers how many turns
 *              it has waited
 *
 * Source "down" refuses at once, and "silent" when the deadline has passed.
 *
 * fake_push_scaler notifies when a test says so, on its thread; and the one in an agent, in whose
 * process "late" has no message until 200 ms after it was subscribed to first, and then one, and
 * notifies; "lost" loses its first subscription then.
 */
#ifndef BACKLOG_TEST_MEASURE_FAKE_SCALER_H
#define BACKLOG_TEST_MEASURE_FAKE_SCALER_H

#include "measure/engine.h"
#include "measure/scaler.h"

enum { FAKE_WAIT_MS = 500 }; /* for the answer of "delay" and "full" */
enum { FAKE_HANGS = -1, FAKE_MISSING = -2, FAKE_BREAKS = -3 };

enum { FAKE_CROWD = 20000 }; /* more than a pipe holds */

extern const struct scaler fake_scaler;
extern const struct scaler fake_push_scaler;
extern const struct scaler fake_agent_scaler; /* "isolated" */
extern const struct scaler *const fake_scalers[];

struct fake_counts {
    int connects;
    int disconnects;
    int chunks; /* of tasks that were taken together */
    int tasks;
    int largest_chunk;
    int subscribes;   /* in all */
    int unsubscribes; /* of subscriptions that were there */
    unsigned wants;   /* of the last task */
};

/* Forgets the queues and the counts; the source is up. */
void fake_reset(void);
void fake_set_queue(const char *name, int messages);
void fake_notify(const char *name);    /* who is subscribed to this queue; any thread */
int fake_subscribed(const char *name); /* how many are */
void fake_set_racing(bool racing);     /* each subscription notifies before its task has ended */
void fake_refuse_subscriptions(bool refuse);
void fake_set_parting(bool parting); /* what is taken is answered, and the client is lost */
void fake_set_up(bool up);           /* down: connecting fails, and a task loses its client */
void fake_set_stuck(bool stuck);     /* connecting and disconnecting do not return */
void fake_set_slow(bool slow);       /* a trigger is parsed in two milliseconds */
void fake_set_partitions(int count); /* that each reading has; 0: it does not say */
struct fake_counts fake_counts(void);

/* Values for a connection and a queue of it; the caller frees them. */
struct fake_values {
    struct option_values *scopes[OPTION_SCOPES];
};
struct fake_values fake_values(const char *source, const char *queue);
void fake_values_done(struct fake_values *values);

#endif
