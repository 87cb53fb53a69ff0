#include "redis/links.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "redis/link/deadlines.h"
#include "redis/link/setup.h"

#include <utlist.h>

enum {
    STALL_MS = 250,          /* at least, and this many round trips: */
    STALL_ROUND_TRIPS = 4,   /* ... */
    NEXT_STALL_MS = 50,      /* soon after a stall: what else hangs is found quickly */
    ALERT_MS = 5000,         /* as long */
    ISOLATED_IDLE_MS = 1000, /* then its link is closed */
    MAX_LOSSES = 3,          /* of links in a row that replied to nothing */

    LATE_AGAIN_MS = 10 * 1000, /* one that is always that slow is believed then */
};

/* ---- slow requests ---- */

/* A few round trips, or `min_ms`. */
static int64_t usual_ms(const struct redis_links *links, int64_t min_ms)
{
    int64_t ms = STALL_ROUND_TRIPS * links->server->round_trip_ms;
    return ms > min_ms ? ms : min_ms;
}

/* How long a command may take before it is slow, and what is behind it stalls. */
static int64_t slow_ms(const struct redis_links *links)
{
    return usual_ms(links, STALL_MS);
}

static void note(struct redis_links *links, const struct task *task, bool is_slow)
{
    redis_slow_requests_note(&links->slow_requests, links->requests, task, is_slow);
}

/* As struct redis_link_owner has it. */
static bool note_duration(struct redis_link *link, const struct redis_command *command)
{
    struct redis_links *links = link->owner.links;
    bool is_slow = command->duration_ms >= slow_ms(links);
    note(links, command->tasks, is_slow);
    if (links->lost_by != 0 && links->requests->hash_of(command->tasks) == links->lost_by)
        links->lost_by = 0; /* the server replies to it */
    return is_slow;
}

/* ---- opening and closing ---- */

/* NULL: it failed. */
static struct redis_link *open_link(struct redis_links *links, const char *address,
                                    int64_t deadline_ms, struct error *error)
{
    struct redis_link_owner owner = {.self = links->client,
                                     .links = links,
                                     .subscriber = links->subscriber,
                                     .on_connected = redis_setup_send,
                                     .note_duration = note_duration};
    if (links->limits_replies)
        owner.reply_limit =
            (struct redis_reply_limit){REDIS_LATE_MS, links->late_ms + LATE_AGAIN_MS};
    return redis_link_open(links->server, address, deadline_ms, &owner, error);
}

/* Sets it to NULL; its tasks must be taken first. */
static void close_link(struct redis_links *links, struct redis_link **link)
{
    if (*link == NULL)
        return;
    redis_subscriber_forget_link(links->subscriber, *link);
    redis_link_free(TAKE(*link));
}

bool redis_links_open_shared(struct redis_links *links, int64_t deadline_ms, struct error *error)
{
    int64_t now_ms = clock_now_ms();
    links->shared_reopening.opened_ms = now_ms;
    links->shared = open_link(links, NULL, deadline_ms, error);
    if (links->shared == NULL) {
        redis_reopening_closed(&links->shared_reopening, now_ms);
        return false;
    }
    links->shared->owner.measures_round_trips = true;
    links->shared->window = links->is_resending;
    links->is_resending = false;
    return true;
}

/* The address that the shared link is connected to, where all others go. NULL: none yet. */
static const char *peer_of(const struct redis_links *links)
{
    const struct redis_link *shared = links->shared;
    return shared != NULL && shared->state == REDIS_LINK_READY ? shared->socket.address : NULL;
}

static bool may_open(const struct redis_reopening *reopening, int64_t now_ms)
{
    return now_ms >= reopening->at_ms;
}

bool redis_links_may_open_shared(const struct redis_links *links, int64_t now_ms)
{
    return may_open(&links->shared_reopening, now_ms);
}

/* ---- their tasks ---- */

void redis_links_add(struct redis_links *links, struct task *task)
{
    bool is_isolated =
        task->isolate || redis_slow_requests_have(&links->slow_requests, links->requests, task);
    redis_waiting_add(is_isolated ? &links->waiting_isolated : &links->waiting, task);
}

bool redis_links_have_waiting_for_shared(const struct redis_links *links)
{
    return links->waiting.count + links->waiting_imports.count > 0;
}

bool redis_links_have_waiting(const struct redis_links *links)
{
    return redis_links_have_waiting_for_shared(links) || links->waiting_isolated.count > 0;
}

bool redis_links_have_tasks(const struct redis_links *links)
{
    return redis_links_have_waiting(links) ||
           (links->shared != NULL && redis_link_has_tasks(links->shared)) ||
           (links->isolated != NULL && redis_link_has_tasks(links->isolated));
}

void redis_links_fail_waiting(struct redis_links *links, const struct error *error)
{
    redis_waiting_fail(&links->waiting, error);
    redis_waiting_fail(&links->waiting_isolated, error);
    redis_waiting_fail(&links->waiting_imports, error);
}

void redis_links_return_waiting(struct redis_links *links)
{
    redis_waiting_return(&links->waiting);
    redis_waiting_return(&links->waiting_isolated);
    redis_waiting_return(&links->waiting_imports);
}

void redis_links_abandon_tasks(struct redis_links *links)
{
    if (links->shared != NULL)
        redis_waiting_take_back(&links->waiting, links->shared);
    if (links->isolated != NULL)
        redis_waiting_take_back(&links->waiting_isolated, links->isolated);
    links->waiting = links->waiting_isolated = links->waiting_imports = (struct redis_waiting){0};
}

/* Its tasks, if there is a command. */
static void isolate(struct redis_links *links, struct redis_command *command)
{
    if (command == NULL)
        return;
    for (struct task *task; (task = redis_command_take_task(command)) != NULL;) {
        note(links, task, true);
        task_return(task, true);
    }
}

/* The link is lost with it. The next time it costs no other task. */
static void fail_oldest(struct redis_links *links, const struct redis_link *link,
                        const struct error *error)
{
    if (link->end == REDIS_LINK_TOO_LARGE && link->commands->is_optional) {
        links->skips_optional = true;
        return;
    }
    for (struct task *task; (task = redis_command_take_task(link->commands)) != NULL;) {
        _cleanup_(error_done) struct error named = {0};
        _cleanup_(memory_free) char *name = links->requests->name_of(task);
        error_copy(&named, error);
        error_prefix(&named, "%s", name);
        note(links, task, true);
        task_fail(task, &named);
    }
}

/* Behind the shared link's oldest command. */
static bool others_wait(const struct redis_links *links)
{
    return redis_link_has_tasks_behind(links->shared) || redis_links_have_waiting_for_shared(links);
}

/* ---- a link that is lost ---- */

/* Returns whether the link was lost with the same oldest command as the one before, which was not
 * replied to meanwhile. */
static bool note_loss(struct redis_links *links, const struct redis_link *link)
{
    const struct redis_command *oldest = link->commands;
    uint64_t former = links->lost_by;
    bool has_tasks = oldest != NULL && oldest->tasks != NULL;
    links->lost_by = has_tasks ? links->requests->hash_of(oldest->tasks) : 0;
    return links->lost_by != 0 && links->lost_by == former;
}

/* A server closes a connection that was idle for long, perhaps just now. One that closes each
 * before it has replied to a task is left to the back-off of the client. From the second time on
 * the oldest command may be what breaks it: where it is the same one, even if others were replied
 * to before it each time. */
static bool may_go_on(struct redis_links *links)
{
    const struct redis_link *link = links->shared;
    bool is_again = note_loss(links, link);
    if (link->has_answered)
        links->losses = 0;
    if (link->state != REDIS_LINK_READY || link->end == REDIS_LINK_BROKEN ||
        links->losses++ >= MAX_LOSSES)
        return false;
    if (links->losses <= 1 && !is_again)
        return true;
    links->is_resending = true;
    if (others_wait(links))
        isolate(links, link->commands);
    return true;
}

/* A reply that is too large is one: its tasks fail with it, and no others. There is one task less
 * each time, so the link is opened again at once, for the others. */
static bool lose_shared(struct redis_links *links, const struct error *error)
{
    struct redis_link *link = links->shared;
    if (link->end == REDIS_LINK_TOO_LARGE && link->commands != NULL &&
        link->commands->tasks != NULL) {
        fail_oldest(links, link, error);
        links->is_resending = true;
    } else if (may_go_on(links))
        redis_reopening_closed(&links->shared_reopening, clock_now_ms());
    else
        return false;
    redis_waiting_take_back(&links->waiting, link);
    close_link(links, &links->shared);
    return true;
}

static void lose_standby(struct redis_links *links)
{
    redis_reopening_closed(&links->standby_reopening, clock_now_ms());
    close_link(links, &links->standby);
}

/* What it had in flight is sent again. */
static void close_isolated(struct redis_links *links)
{
    redis_waiting_take_back(&links->waiting_isolated, links->isolated);
    close_link(links, &links->isolated);
}

/* The oldest command may be what breaks the connection, so it fails, unless its reply is only late.
 * False: the server does not reply, nor is there a shared link. */
static bool lose_isolated(struct redis_links *links, const struct error *error)
{
    const struct redis_link *link = links->isolated;
    struct redis_reopening *reopening = &links->isolated_reopening;
    redis_reopening_closed(reopening, clock_now_ms());
    if (link->state == REDIS_LINK_READY) {
        if (link->commands != NULL && link->end != REDIS_LINK_LATE)
            fail_oldest(links, link, error);
    } else {
        if (link->replied_ms == 0 && links->shared == NULL)
            return false;
        if (link->replied_ms == 0 && redis_deadlines_is_idle(links->shared, reopening->opened_ms))
            close_link(links, &links->shared);
        redis_waiting_fail(&links->waiting_isolated, error);
    }
    close_isolated(links);
    return true;
}

bool redis_links_step(struct redis_links *links, struct redis_link *link, short revents,
                      struct error *error)
{
    _cleanup_(error_done) struct error broken = {0};
    if (redis_link_step(link, revents, &broken))
        return true;
    if (link->end == REDIS_LINK_LATE)
        links->late_ms = clock_now_ms();
    bool is_usable = true;
    if (link == links->standby)
        lose_standby(links);
    else if (link == links->stalled)
        close_link(links, &links->stalled);
    else if (link == links->isolated)
        is_usable = lose_isolated(links, &broken);
    else
        is_usable = lose_shared(links, &broken);
    if (!is_usable)
        error_move(error, &broken);
    return is_usable;
}

/* ---- a link that does not reply ---- */

static bool is_alert(const struct redis_links *links, int64_t now_ms)
{
    return links->stalled_ms != 0 && now_ms < links->stalled_ms + ALERT_MS;
}

static int64_t stall_ms(const struct redis_links *links, int64_t now_ms)
{
    return is_alert(links, now_ms) ? usual_ms(links, NEXT_STALL_MS) : slow_ms(links);
}

static void open_standby(struct redis_links *links, int64_t now_ms)
{
    _cleanup_(error_done) struct error ignored = {0};
    struct redis_reopening *reopening = &links->standby_reopening;
    if (!may_open(reopening, now_ms))
        return;
    reopening->opened_ms = now_ms;
    links->standby = open_link(links, peer_of(links), now_ms + REDIS_CONNECT_MS, &ignored);
    if (links->standby == NULL)
        redis_reopening_closed(reopening, now_ms);
}

/* Whether the server has replied on another link since then. */
static bool is_alive(struct redis_links *links, int64_t since_ms, int64_t now_ms)
{
    if (links->standby == NULL)
        open_standby(links, now_ms);
    struct redis_link *standby = links->standby;
    if (standby == NULL || standby->state != REDIS_LINK_READY)
        return false;
    if (standby->replied_ms >= since_ms)
        return true;
    if (standby->commands == NULL)
        redis_deadlines_ping(standby);
    return false;
}

static void replace_shared(struct redis_links *links)
{
    redis_waiting_take_back(&links->waiting, links->shared);
    close_link(links, &links->stalled);
    links->stalled = TAKE(links->shared);
    links->stalled->owner.reply_limit.max_ms = 0; /* nobody waits for what it still replies */
    links->shared = TAKE(links->standby);
    links->shared_reopening.opened_ms = links->standby_reopening.opened_ms;
    links->shared->owner.measures_round_trips = true;
    links->shared->window = 1;
}

static bool no_answer(const struct redis_links *links, struct error *error)
{
    return error_unavailable(error, "Redis at %s: no answer in time", links->server->address);
}

/* The oldest command holds up the others, or its time is over, and the server works. Where it is
 * one of the link itself, the tasks behind it end: there must be fewer each time. */
static void stop_waiting(struct redis_links *links, int64_t now_ms)
{
    struct redis_command *oldest = redis_link_oldest_with_tasks(links->shared);
    redis_deadlines_time_out(links->shared, oldest, now_ms);
    isolate(links, oldest);
    links->stalled_ms = now_ms;
    replace_shared(links);
}

/* How long the oldest command may take before the server is asked whether it works. */
static int64_t patience_ms(const struct redis_links *links, int64_t timeout_ms, int64_t now_ms)
{
    if (!others_wait(links))
        return timeout_ms / 2;
    return clock_earlier(timeout_ms / 2, stall_ms(links, now_ms));
}

/* The oldest command is waited for until its time is over, or others wait behind it and the server
 * replies to others: then it is this command. Where the server replies to nobody until then, the
 * connection is lost. */
static bool check_oldest(struct redis_links *links, int64_t now_ms, int64_t *next_ms,
                         struct error *error)
{
    const struct redis_link *shared = links->shared;
    int64_t timeout_ms = redis_deadlines_oldest_ms(shared);
    int64_t over_ms = shared->progress_ms + timeout_ms;
    int64_t suspect_ms = shared->progress_ms + patience_ms(links, timeout_ms, now_ms);
    if (now_ms < suspect_ms) {
        *next_ms = clock_earlier(*next_ms, suspect_ms);
        return true;
    }
    bool is_due = now_ms >= over_ms || others_wait(links);
    if (is_alive(links, suspect_ms, now_ms) && is_due) {
        stop_waiting(links, now_ms);
        *next_ms = clock_earlier(*next_ms, now_ms);
        return true;
    }
    if (now_ms >= over_ms)
        return no_answer(links, error);
    *next_ms = clock_earlier(*next_ms, over_ms);
    if (links->standby == NULL)
        *next_ms = clock_earlier(*next_ms, links->standby_reopening.at_ms);
    return true;
}

static bool check_shared(struct redis_links *links, int64_t now_ms, int64_t *next_ms,
                         struct error *error)
{
    struct redis_link *shared = links->shared;
    if (shared == NULL) {
        if (redis_links_have_waiting_for_shared(links) &&
            !redis_links_may_open_shared(links, now_ms))
            *next_ms = clock_earlier(*next_ms, links->shared_reopening.at_ms);
        return true;
    }
    if (shared->state != REDIS_LINK_READY)
        return redis_link_check(shared, now_ms, next_ms, error);
    if (redis_link_has_tasks(shared))
        return check_oldest(links, now_ms, next_ms, error);
    if (redis_deadlines_is_silent(shared, now_ms, next_ms))
        close_link(links, &links->shared);
    return true;
}

static void check_stalled(struct redis_links *links, int64_t now_ms, int64_t *next_ms)
{
    const struct redis_link *link = links->stalled;
    if (link != NULL &&
        (link->subscriptions == 0 || redis_deadlines_is_silent(links->stalled, now_ms, next_ms)))
        close_link(links, &links->stalled);
}

/* It is kept for the next stall, or closed. */
static void check_standby(struct redis_links *links, int64_t now_ms, int64_t *next_ms)
{
    bool is_wanted =
        is_alert(links, now_ms) || (links->shared != NULL && redis_link_has_tasks(links->shared) &&
                                    now_ms >= links->shared->progress_ms + NEXT_STALL_MS);
    if (is_alert(links, now_ms)) {
        *next_ms = clock_earlier(*next_ms, links->stalled_ms + ALERT_MS);
        if (links->standby == NULL && peer_of(links) != NULL)
            open_standby(links, now_ms);
    }
    const struct redis_link *standby = links->standby;
    if (standby == NULL)
        return;
    bool is_late = standby->state != REDIS_LINK_READY && now_ms >= standby->deadline_ms;
    if (is_late || !is_wanted)
        close_link(links, &links->standby);
    else if (standby->state != REDIS_LINK_READY)
        *next_ms = clock_earlier(*next_ms, standby->deadline_ms);
}

/* Not before it is known where to. False: it cannot be, nor is there a shared link. */
static bool open_isolated(struct redis_links *links, int64_t now_ms, int64_t *next_ms,
                          struct error *reason)
{
    struct redis_reopening *reopening = &links->isolated_reopening;
    const char *peer = peer_of(links);
    if (links->shared != NULL && peer == NULL)
        return true;
    if (!may_open(reopening, now_ms)) {
        *next_ms = clock_earlier(*next_ms, reopening->at_ms);
        return true;
    }
    reopening->opened_ms = now_ms;
    links->isolated = open_link(links, peer, now_ms + REDIS_CONNECT_MS, reason);
    if (links->isolated == NULL && links->shared != NULL)
        redis_waiting_fail(&links->waiting_isolated, reason);
    return links->isolated != NULL || links->shared != NULL;
}

/* Opened where a task waits for it, and closed where none does. False: for this reason the client
 * is of no further use. */
static bool check_isolated(struct redis_links *links, int64_t now_ms, int64_t *next_ms,
                           struct error *reason)
{
    if (links->isolated == NULL && links->waiting_isolated.count > 0 &&
        !open_isolated(links, now_ms, next_ms, reason))
        return false;
    struct redis_link *link = links->isolated;
    if (link == NULL)
        return true;
    if (link->state != REDIS_LINK_READY)
        return redis_link_check(link, now_ms, next_ms, reason) || lose_isolated(links, reason);
    if (redis_link_has_tasks(link)) {
        const struct redis_command *oldest = redis_link_oldest_with_tasks(link);
        *next_ms = clock_earlier(*next_ms, redis_deadlines_time_out(link, oldest, now_ms));
        if (oldest->tasks == NULL) {
            close_isolated(links);
            *next_ms = clock_earlier(*next_ms, now_ms);
        }
    } else if (link->subscriptions > 0) {
        if (redis_deadlines_is_silent(link, now_ms, next_ms))
            close_isolated(links);
    } else if (now_ms >= link->replied_ms + ISOLATED_IDLE_MS)
        close_isolated(links);
    else
        *next_ms = clock_earlier(*next_ms, link->replied_ms + ISOLATED_IDLE_MS);
    return true;
}

static bool is_elsewhere(const struct redis_link *link, const char *peer)
{
    return link != NULL && !text_equal(link->socket.address, peer);
}

/* Since the shared link was lost, the name may lead to another server: the former one may still
 * reply, with what was true before. */
static void leave_former_peer(struct redis_links *links)
{
    const char *peer = peer_of(links);
    if (peer == NULL)
        return;
    if (is_elsewhere(links->standby, peer))
        close_link(links, &links->standby);
    if (is_elsewhere(links->stalled, peer))
        close_link(links, &links->stalled);
    if (is_elsewhere(links->isolated, peer))
        close_isolated(links);
}

void redis_links_resume(struct redis_links *links, int64_t now_ms)
{
    redis_deadlines_resume(links->shared, now_ms);
    redis_deadlines_resume(links->isolated, now_ms);
    redis_deadlines_resume(links->stalled, now_ms);
}

bool redis_links_check(struct redis_links *links, int64_t now_ms, int64_t *next_ms,
                       struct error *error)
{
    leave_former_peer(links);
    if (!check_shared(links, now_ms, next_ms, error))
        return false;
    check_stalled(links, now_ms, next_ms);
    check_standby(links, now_ms, next_ms);
    _cleanup_(error_done) struct error reason = {0};
    if (check_isolated(links, now_ms, next_ms, &reason))
        return true;
    error_move(error, &reason);
    return false;
}

/* ---- all of them ---- */

void redis_links_init(struct redis_links *links, struct redis_client *client,
                      struct redis_server *server, struct redis_subscriber *subscriber)
{
    *links = (struct redis_links){.client = client, .server = server, .subscriber = subscriber};
}

void redis_links_done(struct redis_links *links)
{
    redis_link_free(links->shared);
    redis_link_free(links->standby);
    redis_link_free(links->isolated);
    redis_link_free(links->stalled);
}

void redis_links_close_all(struct redis_links *links)
{
    if (links->shared != NULL) {
        redis_reopening_closed(&links->shared_reopening, clock_now_ms());
        redis_waiting_take_back(&links->waiting, links->shared);
        close_link(links, &links->shared);
    }
    if (links->isolated != NULL) {
        redis_waiting_take_back(&links->waiting_isolated, links->isolated);
        close_link(links, &links->isolated);
    }
    close_link(links, &links->standby);
    close_link(links, &links->stalled);
    redis_subscriber_reset(links->subscriber);
    links->is_resending = false;
    links->losses = 0;
    links->lost_by = 0;
    links->stalled_ms = 0;
}

void redis_links_reset(struct redis_links *links)
{
    redis_links_close_all(links);
    links->shared_reopening = links->standby_reopening = links->isolated_reopening =
        (struct redis_reopening){0};
}
