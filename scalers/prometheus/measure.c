#include "prometheus/measure.h"

#include "base/clock.h"
#include "base/memory.h"
#include "prometheus/answer.h"
#include "prometheus/client.h"
#include "prometheus/url.h"

#include <stdlib.h>
#include <utlist.h>

enum {
    WAITING_MS = 50, /* tasks that wait longer than this raise max_tasks */
    STEP_MS = 20,    /* from one enlargement to the next */
    IDLE_MS = 30 * 1000,
    PING_TIMEOUT_MS = 2000,
};

struct round {
    struct prometheus_client *client;
    struct feed *feed;

    /* Requests that failed without any answer since they were sent: they fail alone if the server
     * answers anything else. Until that is known they have not ended. */
    struct task *unreached;
    struct error unreached_error;
    bool is_pinging;
};

static void set_max_tasks(const struct round *round, size_t max_tasks)
{
    prometheus_client_set_max_tasks(round->client, max_tasks);
    feed_set_max_tasks(round->feed, max_tasks, max_tasks / PROMETHEUS_ISOLATED_SHARE);
}

/* Larger where tasks wait for a place, and small again where few are needed. */
static void adjust_window(const struct round *round)
{
    struct prometheus_client *client = round->client;
    int64_t now_ms = clock_now_ms();
    size_t max_tasks = client->max_tasks;
    size_t in_flight = http_in_flight(client->http);
    if (in_flight > PROMETHEUS_DEFAULT_TASKS)
        client->busy_ms = now_ms;
    if (in_flight >= max_tasks && max_tasks < PROMETHEUS_MAX_TASKS &&
        now_ms - client->grown_ms >= STEP_MS && feed_delay_ms(round->feed) > WAITING_MS) {
        client->grown_ms = client->busy_ms = now_ms;
        set_max_tasks(round, max_tasks * 2);
    } else if (max_tasks > PROMETHEUS_DEFAULT_TASKS && now_ms - client->busy_ms > IDLE_MS)
        set_max_tasks(round, PROMETHEUS_DEFAULT_TASKS);
}

static void begin_tasks(const struct round *round)
{
    struct prometheus_client *client = round->client;
    for (struct task *task; (task = feed_take(round->feed)) != NULL;) {
        if (client->timeout_ms > 0)
            task->timeout_ms = client->timeout_ms;
        task->deadline_ms = clock_now_ms() + task->timeout_ms;
        _cleanup_(memory_free) char *url = prometheus_query_url(&client->address, task->query);
        http_get(client->http, url, PROMETHEUS_MAX_BODY_BYTES, task, task->deadline_ms);
    }
}

/* The server answers: what was not reached fails alone. */
static void note_answer(struct round *round)
{
    struct task *task, *next;
    round->client->answered_ms = clock_now_ms();
    DL_FOREACH_SAFE(round->unreached, task, next) {
        DL_DELETE(round->unreached, task);
        task_fail(task, &round->unreached_error);
    }
    if (round->is_pinging)
        http_cancel(round->client->http, round->client);
    round->is_pinging = false;
}

static void take_unreached(struct round *round, struct task *task, struct error *error)
{
    int64_t sent_ms = task->deadline_ms - task->timeout_ms;
    if (round->client->answered_ms > sent_ms) {
        task_fail(task, error);
        return;
    }
    error_move(&round->unreached_error, error);
    DL_APPEND(round->unreached, task);
    if (round->is_pinging)
        return;
    round->is_pinging = true;
    prometheus_client_ping(round->client, clock_now_ms() + PING_TIMEOUT_MS);
}

static void take_answer(struct round *round, struct task *task, struct http_ended *ended)
{
    struct reading reading;
    note_answer(round);
    bool good = ended->outcome == HTTP_ANSWERED &&
                http_answer_make_tree(&ended->answer, 0, PROMETHEUS_MAX_TREE_BYTES, &ended->error);
    if (good && prometheus_query_has_parts(task->query))
        good = prometheus_answer_parse_parts(round->client->name, &ended->answer, &reading,
                                             &ended->error);
    else if (good)
        good =
            prometheus_answer_parse(round->client->name, &ended->answer, &reading, &ended->error);
    if (good)
        task_answer(task, &reading);
    else
        task_fail(task, &ended->error);
}

static bool take_one(struct round *round, struct http_ended *ended, struct error *error)
{
    if (ended->owner == round->client) {
        if (!prometheus_client_take_ping(round->client, ended, error))
            return false;
        note_answer(round);
    } else if (ended->outcome == HTTP_TIMED_OUT)
        task_time_out(ended->owner);
    else if (ended->outcome == HTTP_FAILED)
        take_unreached(round, ended->owner, &ended->error);
    else
        take_answer(round, ended->owner, ended);
    return true;
}

/* Returns false where the server cannot be reached at all. */
static bool take_ended(struct round *round, struct error *error)
{
    bool usable = true;
    while (usable) {
        _cleanup_(http_ended_done) struct http_ended ended = {0};
        if (!http_take(round->client->http, &ended))
            break;
        usable = take_one(round, &ended, error);
    }
    return usable;
}

bool prometheus_measure(void *client, struct feed *feed, struct error *error)
{
    struct round round = {.client = client, .feed = feed};
    struct http *http = round.client->http;
    bool usable = true;
    set_max_tasks(&round, round.client->max_tasks);
    while (usable && !feed_is_stopping(feed)) {
        adjust_window(&round);
        begin_tasks(&round);
        if (http_in_flight(http) == 0)
            break;
        http_wait(http, feed, CLOCK_NEVER);
        usable = take_ended(&round, error);
    }
    http_stop(http);
    error_done(&round.unreached_error);
    return usable;
}
