#include "redis/stall.h"

#include "base/clock.h"
#include "base/memory.h"

#include <utlist.h>

enum {
    STALL_MS = 250,          /* at least, and this many round trips: */
    STALL_ROUND_TRIPS = 4,   /* ... */
    NEXT_STALL_MS = 50,      /* soon after a stall: what else hangs is found quickly */
    ALERT_MS = 5000,         /* as long */
    ISOLATED_IDLE_MS = 1000, /* then its link is closed */
    MAX_LOSSES = 3,          /* of links in a row that replied to nothing */
};

static bool may_open(const struct redis_reopening *reopening, int64_t now_ms)
{
    return now_ms >= reopening->at_ms;
}

/* Moves the tasks of the commands that were sent to a list of those that wait to be. */
static void take_back(struct redis_link *link, struct task **waiting)
{
    struct redis_command *command;
    struct task *tasks = NULL;
    DL_FOREACH(link->commands, command)
        for (struct task *task; (task = redis_command_take_task(command)) != NULL;)
            DL_APPEND(tasks, task);
    DL_CONCAT(tasks, *waiting);
    *waiting = tasks;
}

static void return_oldest(const struct redis_link *link)
{
    for (struct task *task; (task = redis_command_take_task(link->commands)) != NULL;)
        task_return(task, true);
}

/* Those of the oldest command whose time is over. Returns when the next one's is. */
static int64_t time_out_oldest(const struct redis_link *link, int64_t now_ms)
{
    int64_t next_ms = CLOCK_NEVER;
    struct task *task;
    struct task *following;
    DL_FOREACH_SAFE(link->commands->tasks, task, following) {
        int64_t deadline_ms = link->progress_ms + task->timeout_ms;
        if (now_ms < deadline_ms) {
            next_ms = clock_earlier(next_ms, deadline_ms);
            continue;
        }
        redis_command_remove_task(task);
        task_time_out(task);
    }
    return next_ms;
}

static int64_t oldest_timeout_ms(const struct redis_link *link)
{
    int64_t timeout_ms = REDIS_CONNECT_MS;
    const struct task *task = link->commands->tasks;
    if (task != NULL)
        timeout_ms = task->timeout_ms;
    for (; task != NULL; task = task->next)
        if (task->timeout_ms < timeout_ms)
            timeout_ms = task->timeout_ms;
    return timeout_ms;
}

static bool is_alert(const struct redis_client *client, int64_t now_ms)
{
    return client->stall.last_ms != 0 && now_ms < client->stall.last_ms + ALERT_MS;
}

static int64_t stall_ms(const struct redis_client *client, int64_t now_ms)
{
    int64_t min_ms = is_alert(client, now_ms) ? NEXT_STALL_MS : STALL_MS;
    int64_t usual_ms = STALL_ROUND_TRIPS * client->server.round_trip_ms;
    return usual_ms > min_ms ? usual_ms : min_ms;
}

static void open_standby(struct redis_client *client, int64_t now_ms)
{
    _cleanup_(error_done) struct error ignored = {0};
    struct redis_reopening *reopening = &client->stall.standby_reopening;
    if (!may_open(reopening, now_ms))
        return;
    reopening->opened_ms = now_ms;
    client->stall.standby = redis_client_open(client, true, now_ms + REDIS_CONNECT_MS, &ignored);
    if (client->stall.standby == NULL)
        redis_reopening_closed(reopening, now_ms);
}

static void on_ping(struct redis_link *link, struct redis_command *command, const redisReply *reply)
{
    (void)link;
    (void)command;
    (void)reply; /* one of any kind will do */
}

/* Whether the server has replied on another link since then. */
static bool is_alive(struct redis_client *client, int64_t since_ms, int64_t now_ms)
{
    if (client->stall.standby == NULL)
        open_standby(client, now_ms);
    struct redis_link *standby = client->stall.standby;
    if (standby == NULL || standby->state != REDIS_LINK_READY)
        return false;
    if (standby->replied_ms >= since_ms)
        return true;
    if (standby->commands == NULL) {
        _cleanup_(error_done) struct error ignored = {0}; /* the next step finds it, too */
        redis_link_send(standby, &(struct redis_request){{"PING"}, on_ping});
        redis_link_flush(standby, &ignored);
    }
    return false;
}

static void replace_shared(struct redis_client *client)
{
    take_back(client->shared, &client->waiting);
    client->was_kept_back = true;
    redis_client_close(client, &client->shared);
    client->shared = client->stall.standby;
    client->stall.standby = NULL;
    client->stall.shared_reopening.opened_ms = client->stall.standby_reopening.opened_ms;
    client->shared->measures_round_trips = true;
}

static bool no_answer(const struct redis_client *client, struct error *error)
{
    return error_unavailable(error, "Redis at %s: no answer in time", client->server.address);
}

/* The oldest command holds up the others, or its time is over, and the server works. */
static void stop_waiting(struct redis_client *client, int64_t now_ms)
{
    time_out_oldest(client->shared, now_ms);
    return_oldest(client->shared);
    client->stall.last_ms = now_ms;
    replace_shared(client);
}

static bool check_oldest(struct redis_client *client, int64_t now_ms, int64_t *next_ms,
                         struct error *error)
{
    const struct redis_link *shared = client->shared;
    bool others_wait = redis_link_has_tasks_behind(shared);
    int64_t timeout_ms = oldest_timeout_ms(shared);
    int64_t patience_ms = timeout_ms / 2;
    if (others_wait && stall_ms(client, now_ms) < patience_ms)
        patience_ms = stall_ms(client, now_ms);
    if (now_ms < shared->progress_ms + patience_ms) {
        *next_ms = clock_earlier(*next_ms, shared->progress_ms + patience_ms);
        return true;
    }
    bool is_over = now_ms >= shared->progress_ms + timeout_ms;
    if (!is_alive(client, shared->progress_ms + patience_ms, now_ms)) {
        *next_ms = clock_earlier(*next_ms, shared->progress_ms + timeout_ms);
        if (client->stall.standby == NULL)
            *next_ms = clock_earlier(*next_ms, client->stall.standby_reopening.at_ms);
        return !is_over || no_answer(client, error);
    }
    if (others_wait || is_over) {
        stop_waiting(client, now_ms);
        *next_ms = clock_earlier(*next_ms, now_ms);
    } else
        *next_ms = clock_earlier(*next_ms, shared->progress_ms + timeout_ms);
    return true;
}

bool redis_stall_check_shared(struct redis_client *client, int64_t now_ms, int64_t *next_ms,
                              struct error *error)
{
    struct redis_link *shared = client->shared;
    bool is_wanted = client->waiting != NULL || client->waiting_imports != NULL;
    if (shared == NULL) {
        if (is_wanted && !redis_stall_may_open_shared(client, now_ms))
            *next_ms = clock_earlier(*next_ms, client->stall.shared_reopening.at_ms);
        return true;
    }
    if (shared->state != REDIS_LINK_READY) {
        *next_ms = clock_earlier(*next_ms, shared->deadline_ms);
        return now_ms < shared->deadline_ms || redis_client_cannot_connect(shared, error);
    }
    return !redis_link_has_tasks(shared) || check_oldest(client, now_ms, next_ms, error);
}

/* It is kept for the next stall, or closed. */
void redis_stall_check_standby(struct redis_client *client, int64_t now_ms, int64_t *next_ms)
{
    bool is_wanted = is_alert(client, now_ms) ||
                     (client->shared != NULL && redis_link_has_tasks(client->shared) &&
                      now_ms >= client->shared->progress_ms + NEXT_STALL_MS);
    if (is_alert(client, now_ms)) {
        *next_ms = clock_earlier(*next_ms, client->stall.last_ms + ALERT_MS);
        if (client->stall.standby == NULL)
            open_standby(client, now_ms);
    }
    const struct redis_link *standby = client->stall.standby;
    if (standby == NULL)
        return;
    bool is_late = standby->state != REDIS_LINK_READY && now_ms >= standby->deadline_ms;
    if (is_late || !is_wanted)
        redis_client_close(client, &client->stall.standby);
    else if (standby->state != REDIS_LINK_READY)
        *next_ms = clock_earlier(*next_ms, standby->deadline_ms);
}

/* Opened where a task waits for it, and closed where none does. */
void redis_stall_check_isolated(struct redis_client *client, int64_t now_ms, int64_t *next_ms)
{
    _cleanup_(error_done) struct error error = {0};
    struct redis_link *link = client->isolated;
    struct redis_reopening *reopening = &client->stall.isolated_reopening;
    if (link == NULL && client->waiting_isolated != NULL) {
        if (!may_open(reopening, now_ms)) {
            *next_ms = clock_earlier(*next_ms, reopening->at_ms);
            return;
        }
        reopening->opened_ms = now_ms;
        link = client->isolated =
            redis_client_open(client, true, now_ms + REDIS_CONNECT_MS, &error);
        if (link == NULL)
            redis_client_fail(&client->waiting_isolated, &error);
    }
    if (link == NULL)
        return;
    if (link->state != REDIS_LINK_READY) {
        *next_ms = clock_earlier(*next_ms, link->deadline_ms);
        if (now_ms < link->deadline_ms)
            return;
        redis_client_cannot_connect(link, &error);
        redis_stall_lose_isolated(client, &error);
    } else if (redis_link_has_tasks(link) && link->commands->tasks != NULL) {
        *next_ms = clock_earlier(*next_ms, time_out_oldest(link, now_ms));
        if (link->commands->tasks == NULL) {
            redis_stall_lose_isolated(client, NULL);
            *next_ms = clock_earlier(*next_ms, now_ms);
        }
    } else if (link->commands != NULL || now_ms >= link->replied_ms + ISOLATED_IDLE_MS)
        redis_stall_lose_isolated(client,
                                  NULL); /* its task was cancelled, or there was none for long */
    else
        *next_ms = clock_earlier(*next_ms, link->replied_ms + ISOLATED_IDLE_MS);
}

/* The oldest command may be what breaks the connection, so it fails; the others are sent again. */
void redis_stall_lose_isolated(struct redis_client *client, const struct error *error)
{
    struct redis_link *link = client->isolated;
    if (error != NULL)
        redis_reopening_closed(&client->stall.isolated_reopening, clock_now_ms());
    if (error != NULL && link->state != REDIS_LINK_READY)
        redis_client_fail(&client->waiting_isolated, error);
    else if (error != NULL && link->commands != NULL)
        for (struct task *task; (task = redis_command_take_task(link->commands)) != NULL;)
            task_fail(task, error);
    take_back(link, &client->waiting_isolated);
    redis_client_close(client, &client->isolated);
}

bool redis_stall_may_open_shared(const struct redis_client *client, int64_t now_ms)
{
    return may_open(&client->stall.shared_reopening, now_ms);
}

/* A server closes a connection that was idle for long, perhaps just now. One that closes each
 * before it has replied to a task is left to the back-off of the client. From the second time on
 * the oldest command may be what breaks it. */
bool redis_stall_lose_shared(struct redis_client *client)
{
    struct redis_link *link = client->shared;
    if (link->has_answered)
        client->stall.losses = 0;
    redis_reopening_closed(&client->stall.shared_reopening, clock_now_ms());
    bool is_usable =
        link->state == REDIS_LINK_READY && link->is_hung_up && client->stall.losses++ < MAX_LOSSES;
    if (!is_usable)
        return false;
    if (client->stall.losses > 1 && redis_link_has_tasks_behind(link))
        return_oldest(link);
    take_back(link, &client->waiting);
    client->was_kept_back = true;
    redis_client_close(client, &client->shared);
    return true;
}

void redis_stall_lose_standby(struct redis_client *client)
{
    redis_reopening_closed(&client->stall.standby_reopening, clock_now_ms());
    redis_client_close(client, &client->stall.standby);
}

void redis_stall_leave(struct redis_client *client)
{
    if (client->shared != NULL) {
        take_back(client->shared, &client->waiting);
        redis_client_close(client, &client->shared);
    }
    if (client->isolated != NULL) {
        take_back(client->isolated, &client->waiting_isolated);
        redis_client_close(client, &client->isolated);
    }
    if (client->stall.standby != NULL)
        redis_client_close(client, &client->stall.standby);
    redis_subscriber_reset(&client->subscriber);
    client->was_kept_back = true;
    client->stall.losses = 0;
    client->stall.last_ms = 0;
}
