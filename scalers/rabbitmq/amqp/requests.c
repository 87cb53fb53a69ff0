#include "rabbitmq/amqp/requests.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <utlist.h>

struct rabbitmq_request *rabbitmq_requests_add(struct rabbitmq_requests *requests,
                                               struct task *task, const char *queue)
{
    struct rabbitmq_request *request = memory_new(sizeof(*request));
    request->id = ++requests->last_id;
    request->task = task;
    request->queue = queue;
    request->taken_ms = clock_now_ms();
    HASH_ADD(hh, requests->by_id, id, sizeof(request->id), request);
    return request;
}

struct rabbitmq_request *rabbitmq_requests_find(const struct rabbitmq_requests *requests,
                                                uint64_t id)
{
    struct rabbitmq_request *request = NULL;
    HASH_FIND(hh, requests->by_id, &id, sizeof(id), request);
    return request;
}

static void stop_waiting(struct rabbitmq_requests *requests, struct rabbitmq_request *request)
{
    if (!request->waits)
        return;
    DL_DELETE(requests->waiting[request->group], request);
    requests->waiting_count[request->group]--;
    request->waits = false;
}

static void start_waiting(struct rabbitmq_requests *requests, struct rabbitmq_request *request,
                          enum rabbitmq_group group)
{
    stop_waiting(requests, request);
    request->group = group;
    request->waits = true;
    request->waits_since_ms = clock_now_ms();
    requests->waiting_count[group]++;
}

void rabbitmq_requests_wait(struct rabbitmq_requests *requests, struct rabbitmq_request *request,
                            enum rabbitmq_group group)
{
    start_waiting(requests, request, group);
    DL_APPEND(requests->waiting[group], request);
}

void rabbitmq_requests_wait_first(struct rabbitmq_requests *requests,
                                  struct rabbitmq_request *request, enum rabbitmq_group group)
{
    start_waiting(requests, request, group);
    DL_PREPEND(requests->waiting[group], request);
}

struct rabbitmq_request *rabbitmq_requests_next(struct rabbitmq_requests *requests,
                                                enum rabbitmq_group group)
{
    struct rabbitmq_request *request = requests->waiting[group];
    stop_waiting(requests, request);
    return request;
}

struct task *rabbitmq_requests_remove(struct rabbitmq_requests *requests,
                                      struct rabbitmq_request *request)
{
    struct task *task = request->task;
    stop_waiting(requests, request);
    HASH_DEL(requests->by_id, request);
    free(request);
    return task;
}

void rabbitmq_requests_return(struct rabbitmq_requests *requests)
{
    struct rabbitmq_request *request;
    struct rabbitmq_request *next;
    HASH_ITER(hh, requests->by_id, request, next) {
        task_return(rabbitmq_requests_remove(requests, request), false);
    }
}

void rabbitmq_requests_clear(struct rabbitmq_requests *requests)
{
    struct rabbitmq_request *request;
    struct rabbitmq_request *next;
    HASH_ITER(hh, requests->by_id, request, next) {
        rabbitmq_requests_remove(requests, request);
    }
}
