/*
 * A scaler: one kind of source (Kafka, RabbitMQ, ...), and all that this program knows about it.
 *
 * A new scaler needs a struct for each scope, a table of options for their fields, the hooks below,
 * and a line in scalers/CMakeLists.txt. It includes only this header, measure/task.h,
 * measure/reading.h, config/option.h, base/, scalers/shared/, scalers/kit/ and its client library.
 *
 * Threads: connect, measure and disconnect of one client run on one thread, so they need no locks.
 *          prepare runs before the first thread. All other hooks are pure, and run on any thread.
 */
#ifndef BACKLOG_MEASURE_SCALER_H
#define BACKLOG_MEASURE_SCALER_H

#include "base/error.h"
#include "base/text.h"
#include "config/option.h"
#include "measure/task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What GetMetricSpec answers, before anything is measured. */
struct metric_spec {
    char *metric_name; /* from text_format(); the caller normalises and frees it */
    double target;
    /* How often an idle query is measured while a stream waits for its first message and the source
     * cannot notify us. 0: not more often than usual; then the query is not subscribed to, either.
     */
    int64_t idle_interval_ms;
};

/* The largest value; a larger one is an error. KEDA computes int64(value * 1000) of the value
 * (GenerateMetricInMili in its pkg/scalers/scaler.go). If that overflows, the result is negative,
 * and KEDA scales the workload to its minimum. */
#define SCALER_MAX_VALUE 9.2e15

/* What a reading means for one trigger. */
struct evaluation {
    double value;
    bool active;
    bool has_max_useful; /* false: there is no limit */
    double max_useful;   /* replicas that can have work, however large the value is; 0: none now */
};

/* Does a trigger's value count messages that a worker has taken and not finished? */
enum scaler_in_work { SCALER_IN_WORK_UNKNOWN, SCALER_IN_WORK_COUNTED, SCALER_IN_WORK_NOT_COUNTED };

/*
 * A name, its options, and the hooks. Most hooks are called for options that `check` has accepted.
 * These may also get options with mistakes:
 *
 *     hook                           mistakes
 *     metric_spec, reports, in_work  any: `check` was not called, or has refused the options
 *     check, check_connection        of single keys, which are reported already
 *
 * These hooks may rely on one thing: the value of a field is one that its row allows. In the place
 * of a wrong or missing value there is the default. Without a default there is "" for a required
 * string, and NULL or 0 for others. They must cope with what `check` refuses, such as two keys that
 * exclude each other, or a list with more parts than an array has room for.
 */
struct scaler {
    const char *name;             /* the value of `scaler:`, which is KEDA's type: "kafka" */
    const char *summary;          /* one line for people, without a full stop */
    const char *differences;      /* from KEDA's built-in scaler, a sentence per line; or NULL */
    const struct option *options; /* ends with an empty row */
    /* Optional: the one key of the table that KEDA's scaler of this name does not have, where
     * scalers share a table (`keda` of its rows). */
    const char *not_in_keda;
    size_t sizes[OPTION_SCOPES]; /* of the structs of connection, query and target */

    /* Optional: rules across keys. Adds every mistake (error_add). Of a trigger whose connection is
     * not known yet the keys of the connection are as if they were not set: that alone is no
     * mistake here. */
    void (*check)(const struct options *options, struct error *mistakes);

    /* Optional: rules across keys of the connection alone, for the connections file. Adds every
     * mistake. */
    void (*check_connection)(const void *connection_options, struct error *mistakes);

    /* Optional: what readings with these options can report if a task wants it (bits of enum
     * reading_want). `ret_advice` may say what to use for the rest. NULL: it reports none. */
    unsigned (*reports)(const struct options *options, const char **ret_advice);

    /* Optional: whether the value counts messages in work. NULL: not known. A value of an option
     * that is in a Secret may be replaced by some word here. */
    enum scaler_in_work (*in_work)(const struct options *options);

    /* The metric name and target, as KEDA's built-in scaler makes them. */
    void (*metric_spec)(const struct options *options, struct metric_spec *ret_spec);

    /* What a reading means for a trigger with these caps and modes. It fails if the reading lacks
     * the field that it needs; a value of NAN counts as a failure, too. With a policy only the
     * threshold goes by this value. Steps, maxWait and scaleDownWhenIdle go by the reading's
     * `waiting`, so that a key that must change them is a QUERY key. */
    bool (*evaluate)(const struct options *options, const struct reading *reading,
                     struct evaluation *ret_evaluation, struct error *error);

    /*
     * Optional: the bundle of a query. One request measures all queries of a connection whose text
     * is the same. When one of them is measured, the others are, too, unless they are fresh. NULL:
     * the query is measured alone. The caller frees the text.
     */
    char *(*bundle)(const void *connection_options, const void *query_options);

    /* The request for a bundle costs the source the same for one query as for all. So all queries
     * of the bundle are measured each time, also fresh ones: then the next request is due later. */
    bool bundle_costs_the_same;

    /*
     * Returns a client once the source has answered something: an unreachable source fails here,
     * and not in the first measurement. The deadline is of clock_now_ms(). The options live as long
     * as the client.
     */
    bool (*connect)(const void *connection_options, int64_t deadline_ms, void **ret_client,
                    struct error *error);

    /*
     * Measures the tasks of the feed (task.h) until the feed is stopping. It may return whenever no
     * task is in flight, and is called again when there is a task. Rules for tasks:
     *
     *     - Requests that one connection to the source can carry at once are sent at once.
     *     - A missing queue fails its own task, and no other one.
     *     - A task without a reply in its time is ended with task_time_out(). Meanwhile it must not
     *       delay other tasks. If the protocol answers in order, the scaler therefore measures
     *       tasks with `isolate` on a channel, connection or session of their own.
     *
     * False: the client is of no further use, as its connection broke. All tasks that are still in
     * flight fail with the error, and the client is disconnected.
     *
     * A scaler with `subscribes` stays in measure while it has subscriptions, and waits for its
     * source's messages in feed_wait().
     */
    bool (*measure)(void *client, struct feed *feed, struct error *error);

    /* Frees the client at once, without waiting for the source. All subscriptions end with it. Only
     * a scaler with `in_agent` may wait some seconds, for its library's threads: the server does
     * not wait for an agent, but kills it. */
    void (*disconnect)(void *client);

    /*
     * The source can notify us of a message, so that an idle query need not be measured again and
     * again. For a task with a notifier (task_wants_subscription()) the scaler measures and
     * subscribes. Every message after the reading must notify. So it subscribes before it sends the
     * request, or from the position of the reading on.
     *
     * A subscription is for one notification: afterwards the scaler forgets the notifier. The query
     * is measured, and if it is still idle its next task has a notifier again. If a subscription
     * was lost, or may have been, the scaler notifies, too. A subscription takes no message from
     * anybody, and leaves nothing at the source that outlives the client.
     *
     * If the source cannot notify for a query, the scaler reports that with each task that has a
     * notifier (task_cannot_subscribe()). The query is measured every idle_interval_ms then, and
     * once a minute a task has a notifier again. The scaler remembers what cannot change while the
     * client lives.
     */
    bool subscribes;

    /* For how long after a restart or an election the source may report 0 whatever waits. Such a 0
     * counts only if a measurement so much later agrees (measure/connection/zero.h). 0: the source
     * never does. Longer than 3,000 the calls of KEDA would not wait for it. A 0 that may stay
     * false for longer is an error of the scaler. */
    int64_t zero_settles_ms;

    int64_t timeout_ms; /* of a task; 0: that of engine_settings, 2,000 by default */
    size_t max_tasks;   /* in flight at a time (feed_set_max_tasks()); 0: any number */
    size_t isolated;    /* how many of these tasks may be isolated; 0: 16 */

    /* Adds the libraries of the source's protocol as this process has loaded them:
     * "librdkafka 2.0.2". NULL: none. */
    void (*libraries)(struct text *text);

    const char *absent; /* set: this build has no such scaler; the text says what to do instead */
    bool in_agent;      /* it runs in an agent process, as its client library may abort, or take
                         * memory without a bound */
    size_t agent_bytes; /* that the agent may map besides the program; 0: any number */
    size_t agent_bytes_named; /* the same for a connection of the connections file, whose source the
                               * administrator chose; 0: as agent_bytes */

    /* Optional: prepares the process for the client library, such as its environment. */
    void (*prepare)(void);
};

/* Finds a scaler by its name in a list that ends with NULL. NULL: this build has none. */
const struct scaler *scaler_find(const struct scaler *const *scalers, const char *name);

/* Adds the mistake that there is no scaler of this name, and the names that there are. `name` is
 * NULL if none was given. */
void scaler_add_unknown(const struct scaler *const *scalers, const char *name,
                        struct error *mistakes);

/* Calls all `prepare` hooks. A program that measures calls it once, before its first thread, as no
 * thread may read the environment meanwhile. */
void scalers_prepare(const struct scaler *const *scalers);

/* For `connect`: whether this connection had a client before, or failed to connect. Then the source
 * may have just started. */
bool scaler_reconnects(void);

/* For `connect`: whether the connection may lead to a local address, such as this pod's own ports
 * or a cloud's metadata (address_is_local()). An administrator wrote it into the connections file,
 * or allowed it; whoever may write a trigger must not reach there. For scalers to which any server
 * is a source. */
bool scaler_allows_local(void);

/* Checks the options by all rules of the scaler. */
void scaler_check(const struct scaler *scaler, const struct options *options,
                  struct error *mistakes);

/* The scalers of this build, ending with NULL (written by scalers/CMakeLists.txt), and KEDA's
 * scalers that it lacks, with `absent`. */
extern const struct scaler *const scaler_list[];

#endif
