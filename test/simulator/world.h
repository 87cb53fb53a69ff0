/*
 * The simulator's world: sources whose items change, clients that measure them by the real
 * schedule, connection states, query store and push, and KEDA's calls and streams, answered by the
 * real answer_decide(). One seed is one world: nothing in it has a thread, a clock or a random
 * number of its own.
 *
 *     world.c   time, events and disturbances          sources.c  what a source does with a request
 *     clients.c the thread around a connection         callers.c  rounds, streams, reloads
 *     model.c   what has to hold of measuring          answers.c  what has to hold of answers
 *     main.c    the command line
 *
 * A value says where it is from: which item, when it was asked for, and whether the item was active
 * then. So a check needs no history: an answer carries its proof. Its highest bits are the load, by
 * which values are larger or smaller.
 */
#ifndef BACKLOG_TEST_SIMULATOR_WORLD_H
#define BACKLOG_TEST_SIMULATOR_WORLD_H

#include "measure/connection/connection.h"
#include "measure/connection/query_internal.h"
#include "scale/table/triggers.h"
#include "scale/trigger/trigger_answers.h"

#include <stdio.h>

enum { STANDARD_INTERVAL_MS = 5000, CALL_TIMEOUT_MS = 5000, STEADY_MS = 10000, NEVER_MS = -1 };

/* ---- events ---- */

enum event_kind {
    EVENT_WORK,      /* a client's thread runs */
    EVENT_CONNECTED, /* an attempt to connect ends */
    EVENT_REPLY,
    EVENT_DEADLINE,
    EVENT_NOTIFY,
    EVENT_CHANGE,    /* an item gets messages, or has none any more */
    EVENT_DISTURB,   /* a source changes its ways */
    EVENT_POLL,      /* KEDA comes for a trigger */
    EVENT_IS_ACTIVE, /* ... for the second call of its round */
    EVENT_CALL_DUE,
    EVENT_STREAM, /* opens, closes, or its heartbeat is due */
    EVENT_READY,  /* the server takes the watchers with news */
    EVENT_RELOAD,
    EVENT_JUMP,
    EVENT_FORGET, /* a trigger is not asked for any more */
    EVENT_KINDS,
};

struct event {
    int64_t at_us;
    uint64_t number; /* what is planned first comes first */
    enum event_kind kind;
    int who; /* source, client, trigger or call */
    int item;
    uint64_t id; /* of a notification; otherwise it is void where another generation has begun */
};

/* ---- sources ---- */

enum behaviour { ANSWERS, SLOW, HANGS, FAILS, BREAKS };

struct item {
    int number; /* among all sources */
    bool is_active;
    enum behaviour behaviour;
    int64_t latency_us;
    int64_t active_since_ms;
    int64_t changed_ms; /* its behaviour */
    struct option_values *values;
};

/* When a scaler subscribes: Redis when its link has room, Kafka from what it has measured on. */
enum subscribe_when { WHEN_SENT, WHEN_STARTED, WHEN_ANSWERED, SUBSCRIBE_TIMES };

enum { NONE_INVALID = -1 };

struct source {
    int index;
    struct scaler scaler;
    struct item *items;
    int items_count;
    int credentials;         /* a number: another one makes another connection of the same place */
    int invalid_credentials; /* no connection is made with these; NONE_INVALID */
    int64_t latency_us;
    int slowdown;
    bool is_reachable;
    bool hangs;
    bool is_serial; /* one request after the other, as a session of SQL */
    enum subscribe_when subscribes_when;
    bool refuses_subscriptions;
    bool loses_notifications;
    int64_t lies_until_us; /* after a restart or an election it reports 0, for every item */
    int lies;              /* how often it began to */
    int64_t disturbed_ms;
};

/* ---- clients ---- */

/* A request, and what is known of the query that it is for, beside the engine's own knowledge. */
struct model {
    struct query *query; /* NULL: nobody holds it */
    int holds;

    /* in flight */
    bool in_flight;
    bool is_started;  /* the source works on it */
    bool is_given_up; /* the scaler returns it */
    bool was_spaced;  /* it had timed out before */
    int64_t taken_us;
    int64_t started_us;
    double token;
    bool is_lie;         /* the token: read while the source lied */
    uint64_t generation; /* of its events */
    int next_queued;     /* in a serial source, -1: the last */

    /* before */
    bool was_sent;
    int64_t ended_ms;
    enum task_outcome outcome;
    unsigned timeouts;
    bool was_resent;
    bool was_hastened; /* the client connected since */
    bool is_measured;
    bool is_failing;
    int64_t failed_ms;
    int64_t duration_ms; /* of the last good attempt; -1: none */
    int64_t former_duration_ms;
    int64_t notified_us; /* readings sent before are outdated */
    double credit;       /* how many more sends can be explained */
    int64_t credit_at_ms;

    /* a 0 that must not count yet */
    int64_t doubt_ms; /* when the first one came; 0: none did */
    bool was_true;    /* one of them */
    int lies;         /* of its source, when the first one came */

    /* something has to be sent at this time or later */
    int64_t needed_us; /* 0: nothing has */
    int64_t needed_since_ms;
    int64_t called_us; /* ... of which callers need this; 0: none does */
    bool is_alerted;   /* the rest is void once nobody waits for a first message */

    uint64_t subscriptions[4]; /* at the source */
    int subscriptions_count;
};

struct client {
    struct connection connection;
    int index;
    bool is_used;
    uint64_t generation;
    struct source *source;
    int credentials;
    struct model *models; /* by item */
    bool is_connecting;
    bool is_losing;     /* it is in connection_lost() */
    bool is_dead;       /* the source has gone, and nobody noticed */
    bool is_lost;       /* it has gone, and the next request finds it out */
    int64_t work_at_us; /* INT64_MAX: not planned */
    int64_t made_ms;
    int64_t connected_ms;
    int64_t completed_ms;
    int64_t failed_since_ms;
    int64_t connect_from_ms;
    unsigned failures;
    unsigned losses;    /* of clients that had answered, with something in flight */
    unsigned hang_ups;  /* with nothing in flight */
    bool has_answered;  /* since it connected */
    bool has_timed_out; /* since it connected */
    int in_flight;
    int spaced_in_flight;
    int first_queued, last_queued; /* of a serial source; -1: none */
};

/* ---- callers ---- */

struct round_answer {
    bool is_value;
    bool is_active;
    double value;
    int64_t at_ms;
};

/* A value that GetMetrics was answered with, from a measurement. */
struct answered {
    double load;
    int64_t at_ms; /* of the user's time without failures */
};

struct user {
    int index;
    struct source *source;
    int item;
    struct trigger trigger; /* for its round; parsed from nothing */
    struct answer_rules rules;
    int64_t idle_ms;
    int64_t poll_ms;
    struct client *client;
    struct query *query;
    struct watcher *watchers; /* utlist: next_owned */
    int calls;
    struct round_answer round; /* what GetMetrics was answered last */
    bool has_round;
    struct answered *answered; /* of the last ten minutes, each larger than what came after it */
    size_t answered_count;
    size_t answered_capacity;
    int64_t failed_ms;        /* how long failures took that are over */
    int64_t failing_since_ms; /* the first answer that no measurement gave; 0: the last had one */
    bool was_active;          /* the last answer from a measurement, on a stream, too ... */
    double last_load;         /* ... and its load */
    struct trigger_policy *policy; /* NULL: none */
    int level;                     /* that all readings since its first lead to ... */
    bool has_level;                /* ... of which there was one */
    int64_t level_ms;              /* when the last one was sent, and at_ms of its sample */
    int64_t level_sample_ms;
    int credentials; /* of the connection that it has */
    struct watcher stream;
    bool is_streaming;
    bool was_sent_active;
    bool is_heartbeat_due;
    int64_t streaming_since_ms;
    int64_t moved_ms; /* to another item; its calls went on waiting */
    uint64_t stream_generation;
};

struct call {
    struct watcher watcher; /* first */
    int index;
    bool is_used;
    bool is_watching;
    bool is_late;
    bool is_round; /* GetMetrics */
    uint64_t generation;
    struct user *user;
    int64_t arrived_ms;
    struct call *next_free;
};

/* ---- the world ---- */

struct world {
    uint64_t seed;
    uint64_t random;
    bool trace;
    int64_t now_us;
    int64_t jumped_ms;
    uint64_t steps;
    bool is_ending;

    struct event *events;
    size_t events_count;
    size_t events_capacity;
    uint64_t events_made;

    struct connection_settings settings;
    struct source *sources;
    int sources_count;
    int items_count;
    struct client **clients;
    int clients_count;
    struct user *users;
    int users_count;
    struct call **calls;
    int calls_count;
    size_t calls_capacity;
    struct call *free_calls;
    struct watcher *ready; /* utlist: next_ready */
    bool is_ready_planned;
    bool is_calm;          /* no disturbances */
    unsigned busy_percent; /* in how many pauses of a connection others do something */
    bool is_observed;
    uint64_t observers_random;

    uint64_t answers; /* a hash of all that KEDA was answered */
    uint64_t values, refusals, held, sends, connects, notifications;
    const char *violation;
};

extern struct world world;

int64_t now_ms(void);
uint64_t random_number(uint64_t below);
bool chance(unsigned percent);
void plan(int64_t at_us, enum event_kind kind, int who, int item, uint64_t id);
void plan_in(int64_t in_us, enum event_kind kind, int who, int item, uint64_t id);
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends the process, or what runs the world, with what did not hold. */
void violated(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Runs one world, some of them twice, with observers and without; returns how many steps it took.
 */
uint64_t world_run(uint64_t seed, uint64_t max_steps, bool trace);
/* The same, and returns NULL or what did not hold; the world's memory is not freed in that case. */
const char *world_try(uint64_t seed, uint64_t max_steps);

/* ---- sources.c ---- */

void source_init(struct source *source, int index);
int task_item(const struct task *task);
void source_done(struct source *source);
void source_start(struct source *source);
void source_change(struct source *source, int item);
void source_disturb(struct source *source);
double token_of(const struct item *item, int64_t sent_us);
double token_of_lie(const struct item *item, int64_t sent_us);
int token_item(double token);
double token_load(double token);
int64_t token_sent_ms(double token);
bool token_is_active(double token);

/* ---- clients.c ---- */

struct client *client_find(struct source *source, int credentials);
bool client_is_accepted(const struct client *client); /* by its source, at the moment */
struct client *client_of(const struct query *query);
struct model *model_of(const struct query *query);
void client_wake(struct client *client);
void client_wake_for(struct connection *connection);
void client_work(struct client *client);
void client_connected(struct client *client);
void client_reply(struct client *client, int item);
void client_deadline(struct client *client, int item);
void client_notify(struct client *client, uint64_t id);
/* Others have the lock, in the midst of a function that pauses (connection.h). */
void client_pause(struct connection *connection);
void client_lose(struct client *client, bool silently);
void client_free(struct client *client);
/* Counts for its back-off; one that has hung up had answered, and had nothing in flight. */
void client_failed(struct client *client, bool has_hung_up);

/* ---- callers.c ---- */

void user_init(struct user *user, int index);
void user_start(struct user *user);
void user_poll(struct user *user);
void user_is_active(struct user *user);
void user_stream(struct user *user);
void user_forget(struct user *user);
void user_leave(struct user *user); /* the world ends */
void call_due(struct call *call);
void calls_free(void);
/* One act of what others may do in a pause of the client. */
void callers_act(struct client *client);
void callers_reload(void);
void callers_take_news(void);

/* ---- policies.c ---- */

void policy_init(struct user *user);
void policy_keep_history(struct user *user);
void policy_end_history(const struct user *user, struct query *query);
void policy_follow(struct user *user);
void policy_unfollow(struct user *user);
void policy_forget(struct user *user); /* it has another source now */
void policies_take_reading(const struct query *query);
/* A query of the client may be about to have one, which some followers got. */
void policies_take_given(const struct client *client);
int64_t check_policy(const struct user *user); /* returns its replicas */
void observers_run(void);

/* ---- model.c ---- */

enum { REPEAT_MS = 500 }; /* how long a failure is repeated */

int64_t min_of(int64_t one, int64_t other);
int64_t max_of(int64_t one, int64_t other);
/* F, where no interval is set. */
int64_t default_freshness_ms(int64_t duration_ms);
/* How many requests that timed out last may be in flight. */
int isolated_places(const struct source *source);
void model_reset(struct model *model);
void model_need(struct model *model, int64_t from_us);
void model_alert(struct model *model); /* while it is measured again and again */
/* Nobody waits for a first message any more, if so. */
void model_calm_down(struct model *model);
void model_need_nothing(struct model *model);
void model_fail(struct model *model);
void check_take(struct client *client, struct model *model);
void check_end(struct client *client, struct model *model, enum task_outcome outcome);
/* Whether a reading may be known from now on; called before the engine has it, and after that. */
bool model_believes(const struct client *client, struct model *model,
                    const struct reading *reading);
void check_believed(struct client *client, struct model *model, bool is_expected);
void check_connect(struct client *client);
void check_caught_up(const struct client *client);
void check_needed(struct client *client, struct model *model);
void check_client(struct client *client); /* everything of it */

/* ---- answers.c ---- */

/* Everything has been well for so long that every call is to be answered by a measurement. */
bool must_be_measured(const struct user *user);
void check_answer(const struct user *user, const struct call *call, const struct answer *answer,
                  bool out_of_time);
void check_stream(const struct user *user, const struct answer *answer);
void check_round(const struct user *user, const struct answer *answer);
void model_answered(struct user *user, const struct answer *answer, bool is_round);

#endif
