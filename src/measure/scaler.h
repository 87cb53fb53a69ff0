/*
 * A scaler: one kind of source of work (a Kafka topic, a queue), and all that this program knows of it.
 *
 * To write one: a struct for each scope, a table of options over them, and the hooks below; then a
 * line in scalers/CMakeLists.txt. A scaler includes this header, config/option.h, base/ and its
 * client library, and nothing else.
 *
 * check, plan and judge are pure and run on any thread. connect, measure and disconnect of one client
 * run on one thread, never two at a time, so they need no locks.
 */
#ifndef BACKLOG_MEASURE_SCALER_H
#define BACKLOG_MEASURE_SCALER_H

#include "base/error.h"
#include "config/option.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What one measurement found. Start from READING_UNKNOWN: a field that the source did not tell is
 * NAN, never 0. Counts are messages.
 */
struct reading {
    double waiting; /* what nobody works on yet, or all that is not done, as the source counts */
    double waiting_for_activation; /* where activity is judged by another count than the value */
    double in_flight;              /* delivered and not acknowledged */
    double consumers;
    double partitions;
    double partitions_with_lag;
    double arrival_rate;     /* per second */
    double consumption_rate; /* per second */
    double value;            /* for sources whose answer is one number (SQL, PromQL) */
};

#define READING_UNKNOWN                                                                            \
    (struct reading)                                                                               \
    {                                                                                              \
        .waiting = NAN, .waiting_for_activation = NAN, .in_flight = NAN, .consumers = NAN,         \
        .partitions = NAN, .partitions_with_lag = NAN, .arrival_rate = NAN,                        \
        .consumption_rate = NAN, .value = NAN                                                      \
    }

/* What KEDA is told before anything is measured. */
struct plan {
    char *metric_name; /* from text_format(); the caller normalises and frees it */
    double target;
    /* A source that cannot tell us of a new message is asked this often while it is idle and somebody
     * waits for its first message; 0: never more often than usual. */
    int64_t idle_interval_ms;
};

/* What a reading means for one trigger. */
struct judgement {
    double value;
    bool active;
};

/* One thing to measure. The scaler ends each probe once, as soon as it knows. */
struct probe {
    const void *query; /* the query's options: the scaler's own struct */

    /* The rest belongs to whoever made the probe. */
    const struct option_values *values;
    void *owner;
    void (*end)(struct probe *probe, const struct reading *reading, const struct error *error);
    bool ended;
};

void probe_answer(struct probe *probe, const struct reading *reading);
void probe_fail(struct probe *probe, const struct error *error);
void probe_failf(struct probe *probe, const char *format, ...) /* ERROR_UNAVAILABLE */
    __attribute__((format(printf, 2, 3)));

struct scaler {
    const char *name;             /* what `scaler:` says, as KEDA's type: "kafka" */
    const char *summary;          /* one line for people, without a full stop */
    const char *differences;      /* from KEDA's built-in, a sentence a line; or NULL */
    const struct option *options; /* ends with an empty row */
    size_t sizes[OPTION_SCOPES];  /* of the structs of connection, query and target */

    /* Rules across keys: adds every mistake (error_add); may be NULL. It is asked beside other mistakes,
     * too: a missing required string is empty, a wrong value is its default, and neither is told
     * again. */
    void (*check)(const struct options *options, struct error *mistakes);

    /* Metric name and target as KEDA's built-in makes them. Must cope with empty required strings:
     * it is asked of wrong metadata too. */
    void (*plan)(const struct options *options, struct plan *ret_plan);

    /* Caps and modes. Fails where the reading lacks the field it needs. */
    bool (*judge)(const struct options *options, const struct reading *reading,
                  struct judgement *ret_judgement, struct error *error);

    /*
     * Returns a client once the source has answered something, so that a dead source fails here and
     * not in the first measurement. Deadlines are of clock_now_ms().
     */
    bool (*connect)(const void *connection_options, int64_t deadline_ms, void **ret_client,
                    struct error *error);

    /*
     * Measures all probes in few round trips, however many they are. A missing queue ends its own
     * probe with an error and disturbs no neighbour. What is not ended at the deadline is overdue:
     * return true then, and it will be asked for apart from the others. Return false where the client
     * is of no further use (the connection broke): the probes left fail with the error, and the
     * client is thrown away.
     */
    bool (*measure)(void *client, struct probe *const *probes, size_t count, int64_t deadline_ms,
                    struct error *error);

    /* Frees the client, at once, whatever state the source is in. */
    void (*disconnect)(void *client);

    const char *absent; /* set: no scaler of this build, but a name and what to do instead */
    bool isolated;      /* the client library may abort: it runs in a process of its own */
};

/* The scalers of this build, ending with NULL (written by scalers/CMakeLists.txt). Among them are names of
 * KEDA's that are none of this build, to be told so. */
extern const struct scaler *const scaler_list[];

#endif
