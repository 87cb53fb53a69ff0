#include "redis/waiting.h"

#include "base/memory.h"
#include "redis/link/link.h"

#include <utlist.h>

void redis_waiting_add(struct redis_waiting *waiting, struct task *task)
{
    DL_APPEND(waiting->tasks, task);
    waiting->count++;
}

struct task *redis_waiting_take(struct redis_waiting *waiting)
{
    struct task *task = waiting->tasks;
    if (task == NULL)
        return NULL;
    DL_DELETE(waiting->tasks, task);
    waiting->count--;
    return task;
}

void redis_waiting_take_back(struct redis_waiting *waiting, struct redis_link *link)
{
    struct redis_waiting all = {0};
    struct redis_command *command;
    DL_FOREACH(link->commands, command)
        for (struct task *task; (task = redis_command_take_task(command)) != NULL;)
            redis_waiting_add(&all, task);
    DL_CONCAT(all.tasks, waiting->tasks);
    all.count += waiting->count;
    *waiting = all;
}

void redis_waiting_send(struct redis_waiting *waiting, const struct redis_requests *requests,
                        struct redis_client *client, struct redis_link *link)
{
    if (waiting->count == 0 || !redis_link_has_capacity(link))
        return;
    size_t count = waiting->count;
    _cleanup_(memory_free) struct task **tasks = memory_array(count, sizeof(*tasks));
    for (size_t i = 0; i < count; i++)
        tasks[i] = redis_waiting_take(waiting);
    for (size_t i = requests->send(client, link, tasks, count); i < count; i++)
        redis_waiting_add(waiting, tasks[i]);
}

void redis_waiting_fail(struct redis_waiting *waiting, const struct error *error)
{
    for (struct task *task; (task = redis_waiting_take(waiting)) != NULL;)
        task_fail(task, error);
}

void redis_waiting_return(struct redis_waiting *waiting)
{
    for (struct task *task; (task = redis_waiting_take(waiting)) != NULL;)
        task_return(task, false);
}
