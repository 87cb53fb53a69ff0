#include "redis/link/deadlines.h"

#include "base/clock.h"
#include "base/memory.h"

#include <utlist.h>

enum { PING_MS = 5000 }; /* without a reply before it, and for its own */

int64_t redis_deadlines_time_out(const struct redis_link *link, const struct redis_command *command,
                                 int64_t now_ms)
{
    int64_t next_ms = CLOCK_NEVER;
    struct task *task;
    struct task *following;
    DL_FOREACH_SAFE(command->tasks, task, following) {
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

int64_t redis_deadlines_oldest_ms(const struct redis_link *link)
{
    const struct redis_command *command = redis_link_oldest_with_tasks(link);
    int64_t timeout_ms = CLOCK_NEVER;
    for (const struct task *task = command->tasks; task != NULL; task = task->next)
        timeout_ms = clock_earlier(timeout_ms, task->timeout_ms);
    return timeout_ms;
}

static void on_ping(struct redis_link *link, struct redis_command *command, const redisReply *reply)
{
    (void)link;
    (void)command;
    (void)reply; /* one of any kind will do */
}

void redis_deadlines_ping(struct redis_link *link)
{
    _cleanup_(error_done) struct error ignored = {0}; /* the next step finds it, too */
    redis_link_send(link, &(struct redis_request){{"PING"}, on_ping});
    redis_link_flush(link, &ignored);
}

bool redis_deadlines_is_silent(struct redis_link *link, int64_t now_ms, int64_t *next_ms)
{
    if (link->subscriptions == 0 || redis_link_has_tasks(link))
        return false;
    if (link->commands == NULL && now_ms >= link->replied_ms + PING_MS)
        redis_deadlines_ping(link);
    bool is_pinged = link->commands != NULL;
    int64_t at_ms = (is_pinged ? link->progress_ms : link->replied_ms) + PING_MS;
    *next_ms = clock_earlier(*next_ms, at_ms);
    return now_ms >= at_ms;
}

bool redis_deadlines_is_idle(const struct redis_link *link, int64_t since_ms)
{
    return link->state == REDIS_LINK_READY && !redis_link_has_tasks(link) &&
           link->subscriptions == 0 && link->replied_ms <= since_ms;
}

void redis_deadlines_resume(struct redis_link *link, int64_t now_ms)
{
    if (link == NULL || link->state != REDIS_LINK_READY || link->commands == NULL)
        return;
    link->progress_ms = now_ms;
    link->was_idle = false; /* nor is the time until the reply that of a round trip */
}
