#include "nats_jetstream/monitoring/monitoring.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "nats_jetstream/consumer_info.h"
#include "nats_jetstream/leaders.h"
#include "nats_jetstream/limits.h"
#include "nats_jetstream/monitoring/jsz.h"
#include "shared/fetch.h"
#include "shared/fetch_pool.h"
#include "shared/http_address.h"

#include <stdlib.h>
#include <utlist.h>

enum {
    MAX_BODY_BYTES = 16 << 20, /* 1,000 consumers are 1 MB; of all that arrive at a time */
    LISTINGS = 2, /* at a time: who comes while the first is slow does not wait for it */
    GETS = LISTINGS + 1,
};

/* A GET of all consumers, and who waits for it. */
struct listing {
    struct task *tasks; /* utlist */
    bool is_in_flight;
    int64_t sent_ms;
    int64_t deadline_ms; /* of the GET: that of the last of them */
};

struct nats_monitoring {
    struct http_address address;
    struct nats_jsz_account account;
    struct fetch_pool *pool;
    char *name; /* for errors */
    char *listing_url;
    char *ping_url; /* the same without the consumers */
    bool is_clustered;
    struct listing listings[LISTINGS];
    struct task *waiting; /* utlist: for a listing to be free */
    struct task *delayed; /* utlist: until queued_ms, when they are measured again (leaders.h) */
    struct nats_leaders leaders;
    bool is_pinging;
    int64_t answered_ms;
};

void nats_monitoring_disconnect(struct nats_monitoring *monitoring)
{
    fetch_pool_free(monitoring->pool);
    nats_leaders_done(&monitoring->leaders);
    http_address_done(&monitoring->address);
    free(monitoring->name);
    free(monitoring->listing_url);
    free(monitoring->ping_url);
    free(monitoring);
}

static struct nats_monitoring *monitoring_new(const struct nats_connection_options *options)
{
    struct nats_monitoring *monitoring = memory_new(sizeof(*monitoring));
    _cleanup_(memory_free) char *url = nats_monitoring_url(options);
    http_address_parse(url, &monitoring->address); /* nats_check_connection() has seen it */
    monitoring->name = text_format("NATS monitoring at %s", monitoring->address.host_port);
    monitoring->account = (struct nats_jsz_account){
        .name = options->account,
        .id = options->account_id == NULL ? options->account : options->account_id};

    struct text listing_url = {0};
    text_addf(&listing_url, "%s/jsz?acc=", monitoring->address.base);
    http_add_escaped(&listing_url, monitoring->account.id);
    text_add(&listing_url, "&consumers=true");
    monitoring->listing_url = text_take(&listing_url);
    monitoring->ping_url = text_format("%s/jsz", monitoring->address.base);

    const char *password = options->user == NULL ? monitoring->address.password : options->password;
    const struct fetch_source source = {
        .name = monitoring->name,
        .tls = &options->tls,
        .user = options->user == NULL ? monitoring->address.user : options->user,
        .password = password == NULL ? "" : password,
        .max_body_bytes = MAX_BODY_BYTES,
        .max_bodies_bytes = MAX_BODY_BYTES,
    };
    monitoring->pool = fetch_pool_new(&source, GETS);
    return monitoring;
}

/* An answer, or an error. */
static bool check_answer(const struct nats_monitoring *monitoring, struct fetch_ended *ended)
{
    const struct fetch_answer *answer = &ended->answer;
    if (ended->outcome != FETCH_ANSWERED)
        return false;
    if (fetch_is_login_refused(answer))
        return error_unavailable(&ended->error,
                                 "%s: authentication failed: check user and password (status %ld)",
                                 monitoring->name, answer->status);
    return answer->status == FETCH_STATUS_OK ||
           error_unavailable(&ended->error,
                             "%s answered with status %ld: is that a monitoring port?",
                             monitoring->name, answer->status);
}

/* The same with what it says. */
static bool read_answer(struct nats_monitoring *monitoring, struct fetch_ended *ended,
                        struct nats_jsz *ret_jsz)
{
    const struct json_text text = {ended->answer.body.bytes, ended->answer.body.length};
    bool is_good =
        check_answer(monitoring, ended) &&
        nats_jsz_init(ret_jsz, text, &monitoring->account, monitoring->name, &ended->error);
    if (is_good)
        monitoring->is_clustered = ret_jsz->is_clustered;
    return is_good;
}

bool nats_monitoring_connect(const struct nats_connection_options *options, int64_t deadline_ms,
                             struct nats_monitoring **ret_monitoring, struct error *error)
{
    struct nats_monitoring *monitoring = monitoring_new(options);
    _cleanup_(fetch_ended_done) struct fetch_ended ended = {0};
    fetch_pool_get(monitoring->pool, monitoring->ping_url, NULL, deadline_ms);
    fetch_pool_wait_one(monitoring->pool, &ended);
    _cleanup_(nats_jsz_done) struct nats_jsz jsz = {0};
    if (!read_answer(monitoring, &ended, &jsz)) {
        error_move(error, &ended.error);
        nats_monitoring_disconnect(monitoring);
        return false;
    }
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
        task->data = NULL;
        DL_APPEND(monitoring->waiting, task);
    }
}

static void queue_delayed(struct nats_monitoring *monitoring)
{
    int64_t now_ms = clock_now_ms();
    struct task *task;
    struct task *next;
    DL_FOREACH_SAFE(monitoring->delayed, task, next) {
        if (now_ms < task->queued_ms)
            continue;
        DL_DELETE(monitoring->delayed, task);
        DL_APPEND(monitoring->waiting, task);
    }
}

static struct listing *free_listing(struct nats_monitoring *monitoring)
{
    for (size_t i = 0; i < LISTINGS; i++)
        if (!monitoring->listings[i].is_in_flight)
            return &monitoring->listings[i];
    return NULL;
}

/* All that wait share one GET. */
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
    /* The configuration makes a reply a third longer. */
    _cleanup_(memory_free) char *url = text_format("%s%s", monitoring->listing_url,
                                                   monitoring->is_clustered ? "&config=true" : "");
    fetch_pool_get(monitoring->pool, url, listing, listing->deadline_ms);
}

static struct task *take_first(struct listing *listing)
{
    struct task *task = listing->tasks;
    if (task != NULL)
        DL_DELETE(listing->tasks, task);
    return task;
}

/* Its reading is in doubt: it is measured again once, and its data says so. */
static void delay(struct nats_monitoring *monitoring, struct task *task, int64_t until_ms)
{
    _cleanup_(error_done) struct error why = {0};
    if (task->data != NULL) {
        nats_consumer_info_new_leader(task->query, &why);
        task_fail(task, &why);
        return;
    }
    task->data = monitoring;
    task->queued_ms = until_ms;
    DL_APPEND(monitoring->delayed, task);
}

static void answer(struct nats_monitoring *monitoring, struct task *task,
                   const struct nats_jsz *jsz, int64_t sent_ms)
{
    _cleanup_(error_done) struct error why = {0};
    struct reading reading;
    struct nats_consumer_origin origin;
    uint64_t key = nats_jsz_key(task->query);
    if (nats_jsz_find(jsz, task->query, &reading, &origin, &why) != NATS_JSZ_COUNTED) {
        nats_leaders_lose(&monitoring->leaders, key);
        task_fail(task, &why);
        return;
    }
    int64_t again_ms =
        nats_leaders_take(&monitoring->leaders, key, &origin, &reading, sent_ms, clock_now_ms());
    if (again_ms == CLOCK_NEVER)
        task_answer(task, &reading);
    else
        delay(monitoring, task, again_ms);
}

/* Returns false where the port does not answer anything. */
static bool end_listing(struct nats_monitoring *monitoring, struct listing *listing,
                        struct fetch_ended *ended, struct error *error)
{
    listing->is_in_flight = false;
    _cleanup_(nats_jsz_done) struct nats_jsz jsz = {0};
    if (read_answer(monitoring, ended, &jsz)) {
        for (struct task *task; (task = take_first(listing)) != NULL;)
            answer(monitoring, task, &jsz, listing->sent_ms);
        return true;
    }
    bool is_late = ended->outcome == FETCH_TIMED_OUT;
    if (ended->outcome == FETCH_FAILED || (is_late && monitoring->answered_ms < listing->sent_ms)) {
        error_move(error, &ended->error);
        return false;
    }
    for (struct task *task; (task = take_first(listing)) != NULL;) {
        nats_leaders_lose(&monitoring->leaders, nats_jsz_key(task->query));
        if (is_late)
            task_time_out(task);
        else
            task_fail(task, &ended->error);
    }
    return true;
}

/* Returns false where the port does not accept connections, and so does not answer the listings. */
static bool end_ping(struct nats_monitoring *monitoring, struct fetch_ended *ended,
                     struct error *error)
{
    monitoring->is_pinging = false;
    if (ended->outcome != FETCH_FAILED)
        return true;
    error_move(error, &ended->error);
    return false;
}

static bool take_ended(struct nats_monitoring *monitoring, struct error *error)
{
    bool usable = true;
    while (usable) {
        _cleanup_(fetch_ended_done) struct fetch_ended ended = {0};
        if (!fetch_pool_take(monitoring->pool, &ended))
            break;
        if (ended.outcome != FETCH_TIMED_OUT && ended.outcome != FETCH_FAILED)
            monitoring->answered_ms = clock_now_ms();
        usable = ended.owner == monitoring ? end_ping(monitoring, &ended, error)
                                           : end_listing(monitoring, ended.owner, &ended, error);
    }
    return usable;
}

static void time_out(struct listing *listing, int64_t now_ms)
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
    for (const struct task *task = monitoring->delayed; task != NULL; task = task->next)
        next_ms = clock_earlier(next_ms, task->queued_ms);
    for (size_t i = 0; i < LISTINGS; i++) {
        struct listing *listing = &monitoring->listings[i];
        if (!listing->is_in_flight)
            continue;
        time_out(listing, now_ms);
        int64_t half_ms = listing->sent_ms + (listing->deadline_ms - listing->sent_ms) / 2;
        bool is_silent = monitoring->answered_ms < listing->sent_ms && !monitoring->is_pinging;
        if (is_silent && now_ms >= half_ms) {
            monitoring->is_pinging = true;
            fetch_pool_get(monitoring->pool, monitoring->ping_url, monitoring,
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
    fetch_pool_stop(monitoring->pool);
    for (size_t i = 0; i < LISTINGS; i++)
        monitoring->listings[i] = (struct listing){0};
    monitoring->waiting = NULL;
    monitoring->delayed = NULL;
    monitoring->is_pinging = false;
}

bool nats_monitoring_measure(struct nats_monitoring *monitoring, struct feed *feed,
                             struct error *error)
{
    bool usable = true;
    feed_set_max_tasks(feed, SIZE_MAX,
                       NATS_MAX_ISOLATED); /* one listing is for all, however many they are */
    while (usable && !feed_is_stopping(feed)) {
        uint64_t ignored = 0;
        while (feed_next_unsubscribe(feed, &ignored))
            continue;
        take_tasks(monitoring, feed);
        queue_delayed(monitoring);
        begin_listing(monitoring);
        if (fetch_pool_in_flight(monitoring->pool) == 0 && monitoring->delayed == NULL)
            break;
        fetch_pool_wait(monitoring->pool, feed, check(monitoring));
        usable = take_ended(monitoring, error);
    }
    abandon(monitoring);
    return usable;
}
