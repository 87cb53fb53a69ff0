/*
 * A scaler: one kind of source of work (a Kafka topic, a queue), and all that this program knows of it.
 *
 * To write one: a struct for each scope, a table of options over them, and the hooks below; then a
 * line in scalers/CMakeLists.txt. A scaler includes this header, config/option.h, base/ and its
 * client library, and nothing else.
 *
 * check, plan and judge are pure and run on any thread. The other hooks of one client run on one thread,
 * never two at a time, so they need no locks.
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
    /* While it is idle and somebody waits for its first message, a source that cannot tell us of it (see
     * disarm) is asked this often; 0: never more often than usual, and it is not armed either. */
    int64_t idle_interval_ms;
};

/* What a reading means for one trigger. */
struct judgement {
    double value;
    bool active;
};

/*
 * Whom to tell that there may be a message: a value, to be copied. It wakes from any thread, with or
 * without a lock of the scaler's, until disconnect has returned. One wake too many costs a measurement.
 */
struct waker {
    void (*wake)(void *context, uint64_t id);
    void *context;
    uint64_t id; /* never used again for another; 0: nobody */
};

void waker_wake(const struct waker *waker);

/* One thing to measure. The scaler ends each probe once, as soon as it knows. */
struct probe {
    const void *query;  /* the query's options: the scaler's own struct */
    struct waker waker; /* somebody where the query is to be armed, see disarm */

    /* The rest belongs to whoever made the probe. */
    const struct option_values *values;
    void *owner;
    void (*end)(struct probe *probe, const struct reading *reading, const struct error *error);
    bool ended;
    bool armed;
    struct error arm_error;
};

void probe_answer(struct probe *probe, const struct reading *reading);
void probe_fail(struct probe *probe, const struct error *error);
void probe_failf(struct probe *probe, const char *format, ...) /* ERROR_UNAVAILABLE */
    __attribute__((format(printf, 2, 3)));

/* What came of arming, told before the probe is ended; where nothing is told, it is tried again soon. */
bool probe_wants_arm(const struct probe *probe);
void probe_armed(struct probe *probe);
void probe_cannot_arm(struct probe *probe, const struct error *error);

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

    /* The same, of the connection's keys alone, as the connections file has them; may be NULL. */
    void (*check_connection)(const void *connection_options, struct error *mistakes);

    /* Metric name and target as KEDA's built-in makes them. Must cope with empty required strings:
     * it is asked of wrong metadata too. */
    void (*plan)(const struct options *options, struct plan *ret_plan);

    /* Caps and modes. Fails where the reading lacks the field it needs. */
    bool (*judge)(const struct options *options, const struct reading *reading,
                  struct judgement *ret_judgement, struct error *error);

    /*
     * Returns a client once the source has answered something, so that a dead source fails here and
     * not in the first measurement. Deadlines are of clock_now_ms(). The options live as long as the
     * client.
     */
    bool (*connect)(const void *connection_options, int64_t deadline_ms, void **ret_client,
                    struct error *error);

    /*
     * Measures all probes in few round trips, however many they are. A missing queue ends its own
     * probe with an error and disturbs no neighbour. What is not ended at the deadline is overdue:
     * return true then, and it will be asked for apart from the others. Return false where the client
     * is of no further use (the connection broke), and it is thrown away: if probes are left, they and
     * all else that is asked of the connection fail with the error; if none is, nothing does.
     */
    bool (*measure)(void *client, struct probe *const *probes, size_t count, int64_t deadline_ms,
                    struct error *error);

    /* Frees the client, at once, whatever state the source is in. All arms end with it. */
    void (*disconnect)(void *client);

    /*
     * A scaler that has this hook can be armed: its source tells of a message, so that an idle query need
     * not be asked again and again. measure arms those probes that have a waker (probe_wants_arm()), and
     * so that whatever arrives after the reading wakes: it listens before it asks, or from the place
     * that the reading was taken at. It leaves time for the readings, which matter more, and copies what
     * it needs of the probe.
     *
     * An arm is for one wake. Whoever wakes forgets the waker; the query is measured then, and armed
     * again where it is still idle. An arm that was lost, or may be, wakes too. Nothing that arms
     * takes a message from anybody, or leaves anything on the source that outlives the client.
     *
     * disarm ends the arm of this waker, where it is still there. It does not wait for the source.
     *
     * A source that cannot tell of this query's messages (probe_cannot_arm()) is asked every
     * idle_interval_ms instead, and to be armed once a minute: say so whatever the reason is, and
     * remember what cannot change while the client lives.
     */
    void (*disarm)(void *client, uint64_t waker_id);

    /*
     * Optional, where no thread of the client library's wakes: the descriptor that is readable when the
     * source has told something, asked for before each wait (-1: none now), and what reads it, which
     * does not wait. Between measurements they are called on the client's thread.
     */
    int (*descriptor)(const void *client);
    void (*hear)(void *client);

    const char *absent; /* set: no scaler of this build, but a name and what to do instead */
    bool isolated;      /* the client library may abort: it runs in a process of its own */
};

/* By all rules of the scaler. */
void scaler_check(const struct scaler *scaler, const struct options *options,
                  struct error *mistakes);

/* The scalers of this build, ending with NULL (written by scalers/CMakeLists.txt). Among them are names of
 * KEDA's that are none of this build, to be told so. */
extern const struct scaler *const scaler_list[];

#endif
