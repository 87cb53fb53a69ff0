#include "shared/fetch_pool.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>

enum { LONGEST_WAIT_MS = 1000 };

struct fetch_pool {
    CURLM *multi;
    size_t count;
    size_t asking;
    struct slot {
        struct fetcher *fetcher;
        void *owner;
        bool asking;
    } slots[];
};

struct fetch_pool *fetch_pool_new(const struct fetch_source *source, size_t side_by_side)
{
    struct fetch_pool *pool = memory_new(sizeof(*pool) + side_by_side * sizeof(struct slot));
    pool->count = side_by_side;
    for (size_t i = 0; i < side_by_side; i++)
        pool->slots[i].fetcher = fetch_new(source);
    pool->multi = curl_multi_init();
    curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)side_by_side);
    return pool;
}

void fetch_pool_free(struct fetch_pool *pool)
{
    if (pool == NULL)
        return;
    fetch_pool_stop(pool);
    for (size_t i = 0; i < pool->count; i++)
        fetch_free(pool->slots[i].fetcher);
    curl_multi_cleanup(pool->multi);
    free(pool);
}

void fetch_pool_set_bearer(const struct fetch_pool *pool, const char *token)
{
    for (size_t i = 0; i < pool->count; i++)
        fetch_set_bearer(pool->slots[i].fetcher, token);
}

bool fetch_pool_has_room(const struct fetch_pool *pool)
{
    return pool->asking < pool->count;
}

static struct slot *idle_slot(struct fetch_pool *pool)
{
    struct slot *slot = pool->slots;
    while (slot->asking)
        slot++;
    return slot;
}

void fetch_pool_ask(struct fetch_pool *pool, const char *url, void *owner, int64_t deadline_ms)
{
    struct slot *slot = idle_slot(pool);
    if (!fetch_begin(slot->fetcher, url, deadline_ms))
        return;
    slot->owner = owner;
    slot->asking = true;
    pool->asking++;
    curl_multi_add_handle(pool->multi, fetch_handle(slot->fetcher));
}

static void stop(struct fetch_pool *pool, struct slot *slot)
{
    curl_multi_remove_handle(pool->multi, fetch_handle(slot->fetcher));
    slot->asking = false;
    pool->asking--;
}

void fetch_pool_stop(struct fetch_pool *pool)
{
    for (size_t i = 0; i < pool->count; i++)
        if (pool->slots[i].asking)
            stop(pool, &pool->slots[i]);
}

static struct slot *slot_of(struct fetch_pool *pool, const CURL *handle)
{
    struct slot *slot = pool->slots;
    while (fetch_handle(slot->fetcher) != handle)
        slot++;
    return slot;
}

static bool take_done(struct fetch_pool *pool, struct fetch_ended *ret_ended)
{
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(pool->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct slot *slot = slot_of(pool, message->easy_handle);
        *ret_ended = (struct fetch_ended){.owner = slot->owner};
        ret_ended->outcome =
            fetch_end(slot->fetcher, message->data.result, &ret_ended->answer, &ret_ended->error);
        stop(pool, slot);
        return true;
    }
    return false;
}

bool fetch_pool_take(struct fetch_pool *pool, int64_t deadline_ms, struct fetch_ended *ret_ended)
{
    while (pool->asking > 0) {
        int running = 0;
        curl_multi_perform(pool->multi, &running);
        if (take_done(pool, ret_ended))
            return true;
        int wait_ms = clock_left_ms(deadline_ms, LONGEST_WAIT_MS);
        if (wait_ms == 0)
            return false;
        curl_multi_poll(pool->multi, NULL, 0, wait_ms, NULL);
    }
    return false;
}

void fetch_ended_done(struct fetch_ended *ended)
{
    fetch_answer_done(&ended->answer);
    error_done(&ended->error);
}
