#include "redis/waiting.h"

#include "redis/link/link.h"

#include <utlist.h>

void redis_waiting_add(struct redis_waiting *waiting, struct task *task)
{
    DL_APPEND(waiting->tasks, task);
    waiting->count++;
    waiting->is_sorted = false;
    waiting->wants_subscription = waiting->wants_subscription || task_wants_subscription(task);
}

struct task *redis_waiting_take(struct redis_waiting *waiting)
{
    struct task *task = waiting->tasks;
    if (task == NULL)
        return NULL;
    DL_DELETE(waiting->tasks, task);
    waiting->count--;
    if (waiting->count == 0)
        waiting->wants_subscription = false;
    return task;
}

struct task *redis_waiting_start(struct redis_waiting *waiting)
{
    struct task *task = redis_waiting_take(waiting);
    if (task != NULL && waiting->was_kept_back)
        task_started(task);
    return task;
}

void redis_waiting_take_back(struct redis_waiting *waiting, struct redis_link *link)
{
    struct redis_waiting all = {.was_kept_back = true,
                                .wants_subscription = waiting->wants_subscription};
    struct redis_command *command;
    DL_FOREACH(link->commands, command)
        for (struct task *task; (task = redis_command_take_task(command)) != NULL;)
            redis_waiting_add(&all, task);
    DL_CONCAT(all.tasks, waiting->tasks);
    all.count += waiting->count;
    *waiting = all;
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
