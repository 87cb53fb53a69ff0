/*
 * A scaler: one kind of source (Kafka, RabbitMQ, ...), and all that this program knows about it.
 *
 * To write one: a struct for each scope, a table of options over them, and the hooks below; then a
 * line in scalers/CMakeLists.txt. A scaler includes this header, measure/task.h, measure/reading.h,
 * config/option.h, base/, what scalers share (scalers/shared/) and its client library, and nothing
 * else.
 *
 * Threads: connect, measure and disconnect of one client run on one thread, never two at a time, so
 * they need no locks. prepare runs before the first thread. All other hooks are pure, and run on
 * any.
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
    /* While a stream waits for the first message of an idle query whose source cannot notify us, it
     * is measured this often; 0: never more often than usual, and it is not subscribed to either.
     */
    int64_t idle_interval_ms;
};

/* KEDA makes int64(value * 1000) of it (GenerateMetricInMili in its pkg/scalers/scaler.go). Where
 * that overflows it is negative, and the workload is scaled to its minimum: more is an error. */
#define SCALER_MAX_VALUE 9.2e15

/* What a reading means for one trigger. */
struct evaluation {
    double value;
    bool active;
    bool has_max_useful; /* false: there is no limit */
    double max_useful;   /* replicas: more have nothing to do at any value; 0: none has, now */
};

/* Are messages that a worker has taken, and not finished, in a trigger's value? */
enum scaler_in_work { SCALER_IN_WORK_UNKNOWN, SCALER_IN_WORK_COUNTED, SCALER_IN_WORK_NOT_COUNTED };

/*
 * A name, its options, and the hooks. These see metadata with mistakes:
 *
 *     metric_spec, reports, in_work  any mistake. `check` was not called, or has refused them
 *     check, check_connection        of single keys. They are reported already, and not again here
 *     client_bytes                   across keys: without a connection `check` was not called yet
 *
 * They may rely on this alone: a field has what its row allows. In the place of a wrong or missing
 * value it has the default; without a default "" for a required string, and NULL or 0 for others.
 * What `check` refuses may be there: two keys that exclude each other, a list of more parts than an
 * array has room for. All other hooks are called for options that `check` has accepted.
 */
struct scaler {
    const char *name;             /* what `scaler:` says, as KEDA's type: "kafka" */
    const char *summary;          /* one line for people, without a full stop */
    const char *differences;      /* from KEDA's built-in scaler, a sentence per line; or NULL */
    const struct option *options; /* ends with an empty row */
    size_t sizes[OPTION_SCOPES];  /* of the structs of connection, query and target */

    /* Rules across keys: adds every mistake (error_add); may be NULL. */
    void (*check)(const struct options *options, struct error *mistakes);

    /* Adds every mistake in the connection's keys alone, as the connections file has them; may be
     * NULL. */
    void (*check_connection)(const void *connection_options, struct error *mistakes);

    /* Optional: what a reading of these options has, or can have where a task wants it (bits of
     * enum reading_want). For the others `ret_advice` may say what to use instead. NULL: none. */
    unsigned (*reports)(const struct options *options, const char **ret_advice);

    /* Optional: what the value counts. A text that is not known where it is asked (it is in a
     * Secret) is some word. NULL: not known. */
    enum scaler_in_work (*in_work)(const struct options *options);

    /* Makes the metric name and target as KEDA's built-in scaler does. */
    void (*metric_spec)(const struct options *options, struct metric_spec *ret_spec);

    /* Says what a reading means by the trigger's caps and modes. It fails where the reading lacks
     * the field that it needs; a value of NAN counts as a failure, too. With a policy the value is
     * for the threshold alone: steps, maxWait and scaleDownWhenIdle go by the reading's `waiting`,
     * so what must change them is a QUERY key. */
    bool (*evaluate)(const struct options *options, const struct reading *reading,
                     struct evaluation *ret_evaluation, struct error *error);

    /*
     * Optional: queries of one connection with the same text are cheap to measure together (one
     * request answers them). When one of them is measured, the others are, too, unless they are
     * fresh. NULL: this query is measured alone. The caller frees the text.
     */
    char *(*bundle)(const void *connection_options, const void *query_options);

    /* The request for a bundle costs the source the same, however few of the queries are needed. So
     * each takes all others along, fresh or not: the next one is needed later. */
    bool bundle_costs_the_same;

    /*
     * Returns a client once the source has answered something, so that an unreachable source fails
     * here and not in the first measurement. Deadlines are of clock_now_ms(). The options live as
     * long as the client.
     */
    bool (*connect)(const void *connection_options, int64_t deadline_ms, void **ret_client,
                    struct error *error);

    /*
     * Measures what the feed has (task.h) until it is stopping, and may return whenever it has no
     * task in flight; it is called again when there is one. Requests that one connection to the
     * source can carry at once are sent at once. A missing queue fails its own task and no other. A
     * task that is not answered in its time is ended with task_time_out(), and does not delay
     * others meanwhile: where the protocol answers in order, the scaler isolates such tasks
     * (task->isolate) on a channel, connection or session of their own.
     *
     * False where the client is of no further use (the connection broke): all tasks that are still
     * in flight fail with the error, and the client is disconnected.
     *
     * A scaler with `subscribes` stays in measure as long as it has subscriptions, and waits for
     * what its source sends (feed_wait()).
     */
    bool (*measure)(void *client, struct feed *feed, struct error *error);

    /* Frees the client, at once, whatever state the source is in. All subscriptions end with it. */
    void (*disconnect)(void *client);

    /*
     * The source can notify us of a message, so that an idle query need not be measured again and
     * again. A task with a notifier (task_wants_subscription()) is measured and subscribed to in
     * such an order that every message after the reading notifies: subscribe before the request is
     * sent, or from the position on that the reading was taken at.
     *
     * A subscription is for one notification: who notifies forgets the notifier. The query is
     * measured then, and subscribed to again where it is still idle. A subscription that was lost,
     * or may have been, notifies too. Nothing that subscribes takes a message from anybody, or
     * leaves anything at the source that outlives the client.
     *
     * A source that cannot notify for this query (task_cannot_subscribe()) is measured every
     * idle_interval_ms instead, and subscribing is tried again once a minute: report it each time,
     * and remember what cannot change while the client lives.
     */
    bool subscribes;

    /* Optional: the memory that the client keeps of a query while it is measured and subscribed to,
     * for the limit of its trigger's namespace. NULL: little, however long the values are. */
    size_t (*client_bytes)(const void *query_options);

    int64_t timeout_ms; /* of a task; 0: that of engine_settings, 2,000 by default */
    size_t max_tasks;   /* tasks at a time, see feed_set_max_tasks(); 0: any number, and none is
                         * cancelled (feed_next_cancelled()) */
    size_t isolated;    /* how many of them may be isolated; 0: 16 */

    /* How often what was consumed is counted, where that is not at once: consumers that commit
     * every few seconds, statistics that are renewed so often. In between consumers are not stuck.
     */
    int64_t count_interval_ms;

    /* Adds the libraries of the source's protocol as this process has loaded them:
     * "librdkafka 2.0.2". NULL: none. */
    void (*libraries)(struct text *text);

    const char *absent; /* set: no scaler of this build, but a name and what to do instead */
    bool in_agent;      /* the client library may abort, or take memory without a bound: it runs in
                         * an agent process */
    size_t agent_bytes; /* what the agent may map besides the program; 0: any */
    size_t agent_bytes_named; /* and of a connection of the connections file, whose source the
                               * administrator chose; 0: as many */

    /* Optional: what its client library needs of the whole process, such as its environment. */
    void (*prepare)(void);
};

/* Finds a scaler by its name in a list that ends with NULL. NULL: this build has none. */
const struct scaler *scaler_find(const struct scaler *const *scalers, const char *name);

/* Adds why there is no scaler of this name, and those there are; `name` is NULL where none was
 * given. */
void scaler_add_unknown(const struct scaler *const *scalers, const char *name,
                        struct error *mistakes);

/* A program that measures calls this once, before its first thread: no thread may be reading the
 * environment. */
void scalers_prepare(const struct scaler *const *scalers);

/* The tenant whose source the calling thread measures, for limits of all that one tenant has. It is
 * a namespace, or a connection of the connections file; 0 in an agent, which has one connection. */
uint64_t scaler_tenant(void);
bool scaler_tenant_is_named(void); /* in the connections file */

/* For `connect`: whether this connection had another client before, or one could not be made. Then
 * the source may have just started. The server says so to an agent, which ends with its client. */
bool scaler_reconnects(void);

/* Checks the options by all rules of the scaler. */
void scaler_check(const struct scaler *scaler, const struct options *options,
                  struct error *mistakes);

/* The scalers of this build, ending with NULL (written by scalers/CMakeLists.txt). Among them are
 * names of KEDA's scalers that are not in this build, with the reason. */
extern const struct scaler *const scaler_list[];

#endif
