#include "kit/http_source.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <utlist.h>

enum {
    WAITING_MS = 50, /* tasks that wait longer than this raise the number of GETs */
    STEP_MS = 20,    /* from one enlargement to the next */
    IDLE_MS = 30 * 1000,
    PING_TIMEOUT_MS = 2000,
};

/* A GET, and the tasks that its answer is for. */
struct get {
    char *url;
    struct task *tasks; /* utlist; never none */
    bool has_waited;
    bool is_in_flight;
    int64_t sent_ms;
    struct get *prev, *next; /* utlist */
};

/* One call of measure. */
struct round {
    struct http_source_client *client;
    const struct http_source *source;
    struct feed *feed;
    struct get *gets;
    size_t gets_count;
    size_t joined; /* tasks beside the first of their GET, which take no place of the window */
    size_t joined_isolated;     /* of them */
    size_t places, isolated;    /* what the feed was set to */
    struct task *unreached;     /* utlist: of GETs without any answer. Until it is known whether */
    struct error unreached_why; /* ... the server answers anything else, they have not ended */
    bool is_pinging;
};

/* ---- the client ---- */

/* Sets the error to what the server says instead of a result. Returns false. */
static bool refuse(const struct http_source *source, const struct http_answer *answer,
                   struct error *error)
{
    if (source->refuse != NULL && !http_is_login_refused(answer))
        return source->refuse(answer, error);
    bool redirects = answer->status >= HTTP_REDIRECTION && answer->status < HTTP_BAD_REQUEST;
    return error_unavailable(error, "%s: HTTP status %ld%s", answer->name, answer->status,
                             redirects ? ", a redirection, which is not followed" : "");
}

static bool read_tree(const struct http_source *source, struct http_ended *ended)
{
    return source->max_tree_bytes == 0 ||
           http_answer_make_tree(&ended->answer, 0, source->max_tree_bytes, &ended->error);
}

/* The client is its owner. */
static bool send_ping(struct http_source_client *client, int64_t deadline_ms, struct error *error)
{
    struct http_request request = {0};
    if (!client->source->ping(client->connection, &request, error))
        return false;
    http_get(client->http, request.url, client->source->max_body_bytes, client, deadline_ms);
    free(request.url);
    return true;
}

/* A server with tenants may refuse the ping for lack of a parameter, and is there all the same. */
static bool take_ping(const struct http_source *source, struct http_ended *ended,
                      struct error *error)
{
    if (ended->outcome != HTTP_ANSWERED || !read_tree(source, ended)) {
        error_move(error, &ended->error);
        return false;
    }
    if (ended->answer.status == HTTP_UNAUTHORIZED || ended->answer.status >= HTTP_SERVER_ERROR)
        return refuse(source, &ended->answer, error);
    return true;
}

static bool ping_once(struct http_source_client *client, int64_t deadline_ms, struct error *error)
{
    _cleanup_(http_ended_done) struct http_ended ended = {0};
    return client->source->ping == NULL ||
           (send_ping(client, deadline_ms, error) && http_wait_one(client->http, &ended) &&
            take_ping(client->source, &ended, error));
}

static void set_max_gets(struct http_source_client *client, size_t max_gets)
{
    client->max_gets = max_gets;
    http_resize(client->http, max_gets + 1); /* one for the ping */
}

bool http_source_connect(const struct http_source *source, const void *connection_options,
                         int64_t deadline_ms, void **ret_client, struct error *error)
{
    struct http_source_client *client = memory_new(sizeof(*client));
    struct http_login *login = &client->login;
    client->source = source;
    client->connection = connection_options;
    bool good = source->log_in(connection_options, login, error);
    if (good) {
        const struct http_endpoint endpoint = {
            .name = source->service,
            .tls = login->tls,
            .user = login->user,
            .password = login->password == NULL ? "" : login->password,
            .headers = login->headers,
            .refuses_local = login->refuses_local,
        };
        login->timeout_ms = MIN(login->timeout_ms, HTTP_MAX_TIMEOUT_MS);
        client->http = http_new(&endpoint, 1);
        set_max_gets(client, source->few_gets);
        if (login->bearer != NULL)
            http_set_bearer(client->http, login->bearer);
        good = ping_once(client, deadline_ms, error);
    }
    if (!good) {
        http_source_disconnect(client);
        return false;
    }
    *ret_client = client;
    return true;
}

void http_source_disconnect(void *opaque)
{
    struct http_source_client *client = opaque;
    http_free(client->http);
    curl_slist_free_all(client->login.headers);
    free(client->login.user);
    free(client->login.password);
    free(client->login.bearer);
    free(client);
}

void http_source_libraries(struct text *text)
{
    text_addf(text, "libcurl %s", curl_version_info(CURLVERSION_NOW)->version);
}

/* ---- the window ---- */

/* More GETs where tasks wait for a place, and few again where few are needed. */
static void adjust_window(const struct round *round)
{
    struct http_source_client *client = round->client;
    const struct http_source *source = round->source;
    int64_t now_ms = clock_now_ms();
    if (round->gets_count > source->few_gets)
        client->busy_ms = now_ms;
    if (round->gets_count >= client->max_gets && client->max_gets < source->most_gets &&
        now_ms - client->grown_ms >= STEP_MS && feed_delay_ms(round->feed) > WAITING_MS) {
        client->grown_ms = client->busy_ms = now_ms;
        set_max_gets(client, MIN(2 * client->max_gets, source->most_gets));
    } else if (client->max_gets > source->few_gets && now_ms - client->busy_ms > IDLE_MS)
        set_max_gets(client, source->few_gets);
}

/* As many tasks as there may be GETs, and those that have joined one. */
static void limit_feed(struct round *round)
{
    size_t max_gets = round->client->max_gets;
    size_t places = max_gets + round->joined;
    size_t isolated = max_gets / round->source->isolated_share + round->joined_isolated;
    if (places != round->places || isolated != round->isolated)
        feed_set_max_tasks(round->feed, places, isolated);
    round->places = places;
    round->isolated = isolated;
}

/* ---- GETs and their tasks ---- */

static struct get *find_get(const struct round *round, const char *url, bool is_in_flight)
{
    struct get *get;
    DL_FOREACH(round->gets, get)
        if (get->is_in_flight == is_in_flight && strcmp(get->url, url) == 0)
            return get;
    return NULL;
}

static void end_get(struct round *round, struct get *get)
{
    DL_DELETE(round->gets, get);
    round->gets_count--;
    free(get->url);
    free(get);
}

/* The task is not of this GET any more. */
static void leave(struct round *round, struct get *get, struct task *task)
{
    DL_DELETE(get->tasks, task);
    if (task->data == NULL)
        return;
    round->joined--;
    round->joined_isolated -= task->isolate;
}

/* Joins the GET of its URL that was not sent yet, or makes one. */
static void add_task(struct round *round, struct task *task)
{
    struct http_request request = {0};
    _cleanup_(error_done) struct error why = {0};
    if (!round->source->request(round->client->connection, task->query, &request, &why)) {
        task_fail(task, &why);
        return;
    }
    struct get *get = find_get(round, request.url, false);
    task->data = get; /* NULL: it is the first */
    if (get != NULL) {
        free(request.url);
        round->joined++;
        round->joined_isolated += task->isolate;
    } else {
        get = memory_new(sizeof(*get));
        get->url = request.url;
        DL_APPEND(round->gets, get);
        round->gets_count++;
    }
    DL_APPEND(get->tasks, task);
}

/* All tasks of a connection have the same time. */
static void send_get(struct round *round, struct get *get)
{
    struct task *task;
    int64_t timeout_ms = round->client->login.timeout_ms;
    get->is_in_flight = true;
    get->sent_ms = clock_now_ms();
    DL_FOREACH(get->tasks, task) {
        if (get->has_waited)
            task_started(task);
        if (timeout_ms > 0)
            task->timeout_ms = timeout_ms;
        task->deadline_ms = get->sent_ms + task->timeout_ms;
    }
    http_get(round->client->http, get->url, round->source->max_body_bytes, get,
             get->tasks->deadline_ms);
}

static void send_waiting(struct round *round)
{
    struct get *get;
    size_t max_in_flight = round->client->max_gets + round->is_pinging;
    DL_FOREACH(round->gets, get) {
        if (get->is_in_flight)
            continue;
        if (find_get(round, get->url, true) == NULL &&
            http_in_flight(round->client->http) < max_in_flight)
            send_get(round, get);
        else
            get->has_waited = true;
    }
}

static void begin_tasks(struct round *round)
{
    struct task *task;
    limit_feed(round);
    while ((task = feed_take(round->feed)) != NULL) {
        add_task(round, task);
        limit_feed(round);
    }
    send_waiting(round);
}

/* ---- answers ---- */

static struct task *take_first(struct round *round, struct get *get)
{
    struct task *task = get->tasks;
    if (task != NULL)
        leave(round, get, task);
    return task;
}

/* The server answers: what was not reached fails alone. */
static void note_answer(struct round *round)
{
    struct task *task;
    struct task *next;
    round->client->answered_ms = clock_now_ms();
    DL_FOREACH_SAFE(round->unreached, task, next) {
        DL_DELETE(round->unreached, task);
        task_fail(task, &round->unreached_why);
    }
    if (round->is_pinging)
        http_cancel(round->client->http, round->client);
    round->is_pinging = false;
}

static void fail_all(struct round *round, struct get *get, const struct error *why)
{
    for (struct task *task; (task = take_first(round, get)) != NULL;)
        task_fail(task, why);
}

/* Returns false if the server cannot be asked. */
static bool take_unreached(struct round *round, struct get *get, struct error *why,
                           struct error *error)
{
    if (round->source->ping == NULL || round->client->answered_ms > get->sent_ms) {
        fail_all(round, get, why);
        return true;
    }
    error_move(&round->unreached_why, why);
    for (struct task *task; (task = take_first(round, get)) != NULL;)
        DL_APPEND(round->unreached, task);
    if (round->is_pinging)
        return true;
    round->is_pinging = true;
    return send_ping(round->client, clock_now_ms() + PING_TIMEOUT_MS, error);
}

static void answer_one(const struct round *round, struct task *task,
                       const struct http_answer *answer)
{
    struct reading reading = READING_UNKNOWN;
    _cleanup_(error_done) struct error why = {0};
    if (round->source->parse(task->query, answer, &reading, &why))
        task_answer(task, &reading);
    else
        task_fail(task, &why);
}

static void take_answer(struct round *round, struct get *get, struct http_ended *ended)
{
    note_answer(round);
    if (ended->outcome != HTTP_ANSWERED || !read_tree(round->source, ended) ||
        (!http_is_success(&ended->answer) &&
         !refuse(round->source, &ended->answer, &ended->error))) {
        fail_all(round, get, &ended->error);
        return;
    }
    for (struct task *task; (task = take_first(round, get)) != NULL;)
        answer_one(round, task, &ended->answer);
}

static bool take_one(struct round *round, struct http_ended *ended, struct error *error)
{
    struct get *get = ended->owner;
    if (ended->owner == round->client) {
        if (!take_ping(round->source, ended, error))
            return false;
        note_answer(round);
        return true;
    }
    bool usable = true;
    if (ended->outcome == HTTP_FAILED)
        usable = take_unreached(round, get, &ended->error, error);
    else if (ended->outcome != HTTP_TIMED_OUT)
        take_answer(round, get, ended);
    for (struct task *task; (task = take_first(round, get)) != NULL;)
        task_time_out(task);
    end_get(round, get);
    return usable;
}

/* Returns false if the server cannot be reached at all. */
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

bool http_source_measure(void *opaque, struct feed *feed, struct error *error)
{
    struct http_source_client *client = opaque;
    struct round round = {.client = client, .source = client->source, .feed = feed};
    bool usable = true;
    while (usable && !feed_is_stopping(feed)) {
        adjust_window(&round);
        begin_tasks(&round);
        if (http_in_flight(client->http) == 0)
            break;
        http_wait(client->http, feed, CLOCK_NEVER);
        usable = take_ended(&round, error);
    }
    http_stop(client->http);
    while (round.gets != NULL)
        end_get(&round, round.gets);
    error_done(&round.unreached_why);
    return usable;
}
