#include "nats_jetstream/monitoring/monitoring.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kit/http.h"
#include "kit/http_url.h"
#include "nats_jetstream/consumer_info.h"
#include "nats_jetstream/limits.h"
#include "nats_jetstream/monitoring/jsz.h"
#include "nats_jetstream/monitoring/nodes.h"

#include <stdlib.h>
#include <utlist.h>

enum {
    GETS = NATS_LISTINGS + 1,
    PING_BYTES = 256 << 10,
};

static const char server[] = "NATS monitoring"; /* for errors */

/* What a listing's GET is of. */
enum listing_step {
    LISTING_PORT,  /* all consumers */
    LISTING_NODES, /* the other nodes, where some consumers are not led by the port's */
    LISTING_NODE,  /* all consumers of one of these after the other */
};

/* Measures tasks together, with one GET after the other. */
struct listing {
    struct task *tasks; /* utlist: those that have no reading yet */
    bool is_in_flight;
    enum listing_step step;
    char *cluster; /* the name of the port's; or NULL */
    struct nats_nodes nodes;
    size_t next_node;
    int64_t sent_ms;     /* the GET */
    int64_t deadline_ms; /* that of the last of the tasks */
};

struct nats_monitoring {
    struct http_url address;
    struct nats_jsz_account account;
    struct http *http;
    char *name; /* for errors */
    char *listing_path;
    char *ping_url; /* the same without the consumers */
    bool is_clustered;
    bool follows; /* other nodes are asked: not where they would get a password */
    struct listing listings[NATS_LISTINGS];
    struct task *waiting; /* utlist: for a listing to be free */
    struct nats_silent_nodes silent_nodes;
    bool is_pinging;
    int64_t answered_ms;
};

static void end(struct listing *listing)
{
    free(listing->cluster);
    nats_nodes_done(&listing->nodes);
    *listing = (struct listing){0};
}

void nats_monitoring_disconnect(struct nats_monitoring *monitoring)
{
    http_free(monitoring->http);
    http_url_done(&monitoring->address);
    free(monitoring->name);
    free(monitoring->listing_path);
    free(monitoring->ping_url);
    free(monitoring);
}

static struct nats_monitoring *monitoring_new(const struct nats_connection_options *options)
{
    struct nats_monitoring *monitoring = memory_new(sizeof(*monitoring));
    _cleanup_(memory_free) char *url = nats_monitoring_url(options);
    http_url_parse(url, &monitoring->address); /* nats_check_connection() has seen it */
    monitoring->name = http_url_server(server, monitoring->address.base);
    monitoring->account = (struct nats_jsz_account){
        .name = options->account,
        .id = options->account_id == NULL ? options->account : options->account_id};

    struct text listing_path = {0};
    text_add(&listing_path, "/jsz?acc=");
    http_url_add_escaped(&listing_path, monitoring->account.id);
    text_add(&listing_path, "&consumers=true");
    monitoring->listing_path = text_take(&listing_path);
    monitoring->ping_url = text_format("%s/jsz", monitoring->address.base);

    const char *password = options->user == NULL ? monitoring->address.password : options->password;
    const struct http_endpoint endpoint = {
        .name = server,
        .tls = &options->tls,
        .user = options->user == NULL ? monitoring->address.user : options->user,
        .password = password == NULL ? "" : password,
        .follows = true,
    };
    monitoring->follows = endpoint.user == NULL;
    monitoring->http = http_new(&endpoint, GETS);
    return monitoring;
}

/* An answer, or an error. */
static bool check_answer(struct http_ended *ended, const char *name)
{
    const struct http_answer *answer = &ended->answer;
    if (ended->outcome != HTTP_ANSWERED)
        return false;
    if (http_is_login_refused(answer))
        return error_unavailable(&ended->error,
                                 "%s: authentication failed: check user and password (status %ld)",
                                 name, answer->status);
    return answer->status == HTTP_OK ||
           error_unavailable(&ended->error,
                             "%s answered with status %ld: is that a monitoring port?", name,
                             answer->status);
}

static struct json_text text_of(const struct http_ended *ended)
{
    return (struct json_text){ended->answer.body.bytes, ended->answer.body.length};
}

/* The same with what it says. */
static bool read_answer(const struct nats_monitoring *monitoring, struct http_ended *ended,
                        const char *name, struct nats_jsz *ret_jsz)
{
    return check_answer(ended, name) &&
           nats_jsz_init(ret_jsz, text_of(ended), &monitoring->account, name, &ended->error);
}

bool nats_monitoring_connect(const struct nats_connection_options *options, int64_t deadline_ms,
                             struct nats_monitoring **ret_monitoring, struct error *error)
{
    struct nats_monitoring *monitoring = monitoring_new(options);
    _cleanup_(http_ended_done) struct http_ended ended = {0};
    http_get(monitoring->http, monitoring->ping_url, PING_BYTES, NULL, deadline_ms);
    http_wait_one(monitoring->http, &ended);
    _cleanup_(nats_jsz_done) struct nats_jsz jsz = {0};
    if (!read_answer(monitoring, &ended, monitoring->name, &jsz)) {
        error_move(error, &ended.error);
        nats_monitoring_disconnect(monitoring);
        return false;
    }
    monitoring->is_clustered = jsz.is_clustered;
    *ret_monitoring = monitoring;
    return true;
}

static void take_tasks(struct nats_monitoring *monitoring, struct feed *feed)
{
    for (struct task *task; (task = feed_take(feed)) != NULL;) {
        _cleanup_(error_done) struct error why = {0};
        error_unavailable(&why,
                          "a monitoring port of NATS does not notify of messages: set servers");
        task_cannot_subscribe(task, &why);
        DL_APPEND(monitoring->waiting, task);
    }
}

static struct listing *free_listing(struct nats_monitoring *monitoring)
{
    for (size_t i = 0; i < NATS_LISTINGS; i++)
        if (!monitoring->listings[i].is_in_flight)
            return &monitoring->listings[i];
    return NULL;
}

static void get_listing(const struct nats_monitoring *monitoring, struct listing *listing,
                        const char *base, int64_t deadline_ms)
{
    /* The configuration makes a reply a third longer. */
    _cleanup_(memory_free) char *url = text_format("%s%s%s", base, monitoring->listing_path,
                                                   monitoring->is_clustered ? "&config=true" : "");
    http_get(monitoring->http, url, NATS_LISTING_BYTES, listing, deadline_ms);
}

/* All that wait share one. */
static void begin_listing(struct nats_monitoring *monitoring)
{
    struct listing *listing = free_listing(monitoring);
    if (monitoring->waiting == NULL || listing == NULL)
        return;
    *listing = (struct listing){
        .tasks = TAKE(monitoring->waiting), .is_in_flight = true, .sent_ms = clock_now_ms()};
    for (struct task *task = listing->tasks; task != NULL; task = task->next) {
        task_started(task);
        task->deadline_ms = listing->sent_ms + task->timeout_ms;
        if (task->deadline_ms > listing->deadline_ms)
            listing->deadline_ms = task->deadline_ms;
    }
    get_listing(monitoring, listing, monitoring->address.base, listing->deadline_ms);
}

static struct task *take_first(struct listing *listing)
{
    struct task *task = listing->tasks;
    if (task != NULL)
        DL_DELETE(listing->tasks, task);
    return task;
}

/* Those that another node may lead stay, where it can be asked. */
static void answer_all(struct nats_monitoring *monitoring, struct listing *listing,
                       const struct nats_jsz *jsz)
{
    struct task *tasks = TAKE(listing->tasks);
    struct task *task;
    struct task *next;
    bool may_follow = listing->step == LISTING_PORT ? monitoring->follows
                                                    : listing->next_node < listing->nodes.count;
    DL_FOREACH_SAFE(tasks, task, next) {
        _cleanup_(error_done) struct error why = {0};
        struct reading reading;
        struct nats_consumer_origin origin;
        enum nats_jsz_found found = nats_jsz_find(jsz, task->query, &reading, &origin, &why);
        DL_DELETE(tasks, task);
        if (found == NATS_JSZ_ELSEWHERE && may_follow)
            DL_APPEND(listing->tasks, task);
        else if (found != NATS_JSZ_COUNTED)
            task_fail(task, &why);
        else {
            nats_consumer_info_note(&origin, task);
            task_answer(task, &reading);
        }
    }
}

static void fail_all(struct listing *listing, const struct http_ended *ended)
{
    for (struct task *task; (task = take_first(listing)) != NULL;)
        if (ended->outcome == HTTP_TIMED_OUT)
            task_time_out(task);
        else
            task_fail(task, &ended->error);
}

/* Each of the other nodes has a share of the time. */
static void get_next(struct nats_monitoring *monitoring, struct listing *listing)
{
    listing->sent_ms = clock_now_ms();
    if (listing->tasks == NULL)
        end(listing);
    else if (listing->step == LISTING_PORT) {
        _cleanup_(memory_free) char *url = text_format("%s/varz", monitoring->address.base);
        listing->step = LISTING_NODES;
        http_get(monitoring->http, url, NATS_LISTING_BYTES, listing, listing->deadline_ms);
    } else {
        int64_t left = (int64_t)(listing->nodes.count - listing->next_node);
        int64_t share_ms = (listing->deadline_ms - listing->sent_ms) / left;
        listing->step = LISTING_NODE;
        get_listing(monitoring, listing, listing->nodes.bases[listing->next_node++],
                    listing->sent_ms + share_ms);
    }
}

/* Returns false where the port does not answer anything. */
static bool end_port(struct nats_monitoring *monitoring, struct listing *listing,
                     struct http_ended *ended, struct error *error)
{
    _cleanup_(nats_jsz_done) struct nats_jsz jsz = {0};
    bool is_late = ended->outcome == HTTP_TIMED_OUT;
    if (read_answer(monitoring, ended, monitoring->name, &jsz)) {
        monitoring->is_clustered = jsz.is_clustered;
        listing->cluster = TAKE(jsz.cluster);
        answer_all(monitoring, listing, &jsz);
    } else if (ended->outcome == HTTP_FAILED ||
               (is_late && monitoring->answered_ms < listing->sent_ms)) {
        error_move(error, &ended->error);
        return false;
    } else
        fail_all(listing, ended);
    get_next(monitoring, listing);
    return true;
}

/* Where there are no other nodes, nobody is left who may lead the consumers. */
static void end_nodes(struct nats_monitoring *monitoring, struct listing *listing,
                      struct http_ended *ended)
{
    if (ended->outcome != HTTP_ANSWERED)
        fail_all(listing, ended);
    else if (check_answer(ended, monitoring->name)) {
        listing->nodes = nats_nodes_parse(text_of(ended), &monitoring->address);
        nats_silent_nodes_put_last(&monitoring->silent_nodes, &listing->nodes);
    }
    struct task *task;
    while (listing->nodes.count == 0 && (task = take_first(listing)) != NULL) {
        _cleanup_(error_done) struct error why = {0};
        nats_jsz_explain_elsewhere(monitoring->name, task->query, &why);
        task_fail(task, &why);
    }
    get_next(monitoring, listing);
}

/* At its address may be a server that has not joined the cluster yet, or one of none or of another,
 * with streams and consumers of the same names. */
static bool read_answer_of_node(const struct nats_monitoring *monitoring,
                                const struct listing *listing, struct http_ended *ended,
                                const char *name, struct nats_jsz *ret_jsz)
{
    if (!read_answer(monitoring, ended, name, ret_jsz))
        return false;
    return (ret_jsz->is_clustered && text_equal(ret_jsz->cluster, listing->cluster)) ||
           error_unavailable(&ended->error, "%s is not in the cluster of %s", name,
                             monitoring->name);
}

/* A node that is lost is not the last that is asked. */
static void end_node(struct nats_monitoring *monitoring, struct listing *listing,
                     struct http_ended *ended)
{
    const char *base = listing->nodes.bases[listing->next_node - 1];
    _cleanup_(memory_free) char *name = http_url_server(server, base);
    _cleanup_(nats_jsz_done) struct nats_jsz jsz = {0};
    nats_silent_nodes_note(&monitoring->silent_nodes, base, ended->outcome == HTTP_TIMED_OUT);
    if (read_answer_of_node(monitoring, listing, ended, name, &jsz))
        answer_all(monitoring, listing, &jsz);
    else if (listing->next_node == listing->nodes.count)
        fail_all(listing, ended);
    get_next(monitoring, listing);
}

static bool end_get(struct nats_monitoring *monitoring, struct listing *listing,
                    struct http_ended *ended, struct error *error)
{
    switch (listing->step) {
    case LISTING_PORT:
        return end_port(monitoring, listing, ended, error);
    case LISTING_NODES:
        end_nodes(monitoring, listing, ended);
        break;
    case LISTING_NODE:
        end_node(monitoring, listing, ended);
        break;
    }
    return true;
}

/* Returns false where the port does not accept connections, and so does not answer the listings. */
static bool end_ping(struct nats_monitoring *monitoring, struct http_ended *ended,
                     struct error *error)
{
    monitoring->is_pinging = false;
    if (ended->outcome != HTTP_FAILED)
        return true;
    error_move(error, &ended->error);
    return false;
}

static bool take_ended(struct nats_monitoring *monitoring, struct error *error)
{
    bool usable = true;
    while (usable) {
        _cleanup_(http_ended_done) struct http_ended ended = {0};
        if (!http_take(monitoring->http, &ended))
            break;
        struct listing *listing = ended.owner == monitoring ? NULL : ended.owner;
        bool is_of_port = listing == NULL || listing->step != LISTING_NODE;
        if (is_of_port && ended.outcome != HTTP_TIMED_OUT && ended.outcome != HTTP_FAILED)
            monitoring->answered_ms = clock_now_ms();
        usable = listing == NULL ? end_ping(monitoring, &ended, error)
                                 : end_get(monitoring, listing, &ended, error);
    }
    return usable;
}

static void time_out_late(struct listing *listing, int64_t now_ms)
{
    struct task *task;
    struct task *next;
    DL_FOREACH_SAFE(listing->tasks, task, next) {
        if (now_ms < task->deadline_ms || task->deadline_ms >= listing->deadline_ms)
            continue; /* the GET itself ends then */
        DL_DELETE(listing->tasks, task);
        task_time_out(task);
    }
}

/* Returns when to look again. Half of a listing's time without an answer: a port that is dead is
 * distinguished from a listing that takes long by a smaller GET. */
static int64_t check(struct nats_monitoring *monitoring)
{
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = CLOCK_NEVER;
    for (size_t i = 0; i < NATS_LISTINGS; i++) {
        struct listing *listing = &monitoring->listings[i];
        if (!listing->is_in_flight)
            continue;
        time_out_late(listing, now_ms);
        int64_t half_ms = listing->sent_ms + (listing->deadline_ms - listing->sent_ms) / 2;
        bool is_silent = listing->step == LISTING_PORT &&
                         monitoring->answered_ms < listing->sent_ms && !monitoring->is_pinging;
        if (is_silent && now_ms >= half_ms) {
            monitoring->is_pinging = true;
            http_get(monitoring->http, monitoring->ping_url, PING_BYTES, monitoring,
                     listing->deadline_ms);
        } else if (is_silent && half_ms < next_ms)
            next_ms = half_ms;
        for (const struct task *task = listing->tasks; task != NULL; task = task->next)
            if (task->deadline_ms < next_ms)
                next_ms = task->deadline_ms;
    }
    return next_ms;
}

static void abandon(struct nats_monitoring *monitoring)
{
    http_stop(monitoring->http);
    for (size_t i = 0; i < NATS_LISTINGS; i++)
        end(&monitoring->listings[i]);
    monitoring->waiting = NULL;
    monitoring->is_pinging = false;
}

bool nats_monitoring_measure(struct nats_monitoring *monitoring, struct feed *feed,
                             struct error *error)
{
    bool usable = true;
    /* One listing is for all tasks, however many they are, and whether they timed out or not. */
    feed_set_max_tasks(feed, SIZE_MAX, SIZE_MAX);
    while (usable && !feed_is_stopping(feed)) {
        uint64_t ignored = 0;
        while (feed_next_unsubscribe(feed, &ignored))
            continue;
        take_tasks(monitoring, feed);
        begin_listing(monitoring);
        if (http_in_flight(monitoring->http) == 0)
            break;
        http_wait(monitoring->http, feed, check(monitoring));
        usable = take_ended(monitoring, error);
    }
    abandon(monitoring);
    return usable;
}
