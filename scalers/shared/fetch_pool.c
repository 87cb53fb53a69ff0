#include "shared/fetch_pool.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    struct fetcher *fetcher;
    void *owner;
    bool in_flight;
    bool is_added;   /* the fetcher is borrowed; the slot goes with the transfer */
    bool is_refused; /* in flight, but libcurl has it not: it ends with `refusal` */
    CURLcode refusal;
};

struct fetch_pool {
    struct fetch_source source;
    struct fetch_budget budget;
    CURLM *multi;
    char *bearer; /* or NULL */
    struct slot **slots;
    size_t slots_count;
    size_t slots_capacity;
    size_t size;
    size_t in_flight;
    size_t added; /* of them */
    size_t refused;
};

struct fetch_pool *fetch_pool_new(const struct fetch_source *source, size_t size)
{
    struct fetch_pool *pool = memory_new(sizeof(*pool));
    pool->source = *source;
    pool->budget.max = source->max_bodies_bytes;
    pool->multi = curl_multi_init();
    fetch_pool_resize(pool, size);
    return pool;
}

void fetch_pool_free(struct fetch_pool *pool)
{
    if (pool == NULL)
        return;
    fetch_pool_stop(pool);
    for (size_t i = 0; i < pool->slots_count; i++) {
        fetch_free(pool->slots[i]->fetcher);
        free(pool->slots[i]);
    }
    free(pool->slots);
    curl_multi_cleanup(pool->multi);
    free(TAKE(pool->bearer));
    free(pool);
}

void fetch_pool_resize(struct fetch_pool *pool, size_t size)
{
    pool->size = size;
    curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)size);
}

void fetch_pool_set_bearer(struct fetch_pool *pool, const char *token)
{
    free(TAKE(pool->bearer));
    pool->bearer = text_copy(token);
    for (size_t i = 0; i < pool->slots_count; i++)
        if (!pool->slots[i]->is_added)
            fetch_set_bearer(pool->slots[i]->fetcher, token);
}

size_t fetch_pool_in_flight(const struct fetch_pool *pool)
{
    return pool->in_flight;
}

bool fetch_pool_has_room(const struct fetch_pool *pool)
{
    return pool->in_flight - pool->added < pool->size;
}

static struct slot *add_slot(struct fetch_pool *pool, struct fetcher *fetcher)
{
    struct slot *slot = memory_new(sizeof(*slot));
    slot->fetcher = fetcher;
    curl_easy_setopt(fetch_handle(fetcher), CURLOPT_PRIVATE, slot);
    pool->slots = memory_grow(pool->slots, &pool->slots_capacity, pool->slots_count + 1,
                              sizeof(*pool->slots));
    pool->slots[pool->slots_count++] = slot;
    return slot;
}

static struct slot *idle_slot(struct fetch_pool *pool)
{
    for (size_t i = 0; i < pool->slots_count; i++)
        if (!pool->slots[i]->in_flight)
            return pool->slots[i];

    struct slot *slot = add_slot(pool, fetch_new(&pool->source, &pool->budget));
    if (pool->bearer != NULL)
        fetch_set_bearer(slot->fetcher, pool->bearer);
    return slot;
}

static void begin(struct fetch_pool *pool, struct slot *slot, const char *url, void *owner,
                  int64_t deadline_ms)
{
    slot->owner = owner;
    slot->in_flight = true;
    pool->in_flight++;

    slot->refusal = CURLE_OK;
    if (!fetch_begin(slot->fetcher, url, deadline_ms))
        slot->refusal = CURLE_OPERATION_TIMEDOUT;
    else if (curl_multi_add_handle(pool->multi, fetch_handle(slot->fetcher)) != CURLM_OK)
        slot->refusal = CURLE_FAILED_INIT;
    slot->is_refused = slot->refusal != CURLE_OK;
    pool->refused += slot->is_refused;
}

void fetch_pool_get(struct fetch_pool *pool, const char *url, void *owner, int64_t deadline_ms)
{
    begin(pool, idle_slot(pool), url, owner, deadline_ms);
}

void fetch_pool_add(struct fetch_pool *pool, struct fetcher *fetcher, const char *url, void *owner,
                    int64_t deadline_ms)
{
    struct slot *slot = add_slot(pool, fetcher);
    slot->is_added = true;
    pool->added++;
    begin(pool, slot, url, owner, deadline_ms);
}

/* The last takes its place. */
static void remove_added(struct fetch_pool *pool, struct slot *slot)
{
    size_t i = 0;
    while (pool->slots[i] != slot)
        i++;
    pool->slots[i] = pool->slots[--pool->slots_count];
    pool->added--;
    free(slot);
}

static void release(struct fetch_pool *pool, struct slot *slot)
{
    if (slot->is_refused)
        pool->refused--;
    else
        curl_multi_remove_handle(pool->multi, fetch_handle(slot->fetcher));
    fetch_drop(slot->fetcher);
    slot->is_refused = false;
    slot->in_flight = false;
    pool->in_flight--;
    if (slot->is_added)
        remove_added(pool, slot);
}

bool fetch_pool_cancel(struct fetch_pool *pool, const void *owner)
{
    for (size_t i = 0; i < pool->slots_count; i++) {
        struct slot *slot = pool->slots[i];
        if (slot->in_flight && slot->owner == owner) {
            release(pool, slot);
            return true;
        }
    }
    return false;
}

void fetch_pool_stop(struct fetch_pool *pool)
{
    for (size_t i = pool->slots_count; i-- > 0;)
        if (pool->slots[i]->in_flight)
            release(pool, pool->slots[i]);
}

static void conclude(struct fetch_pool *pool, struct slot *slot, CURLcode code,
                     struct fetch_ended *ret_ended)
{
    *ret_ended = (struct fetch_ended){.owner = slot->owner};
    ret_ended->outcome = fetch_end(slot->fetcher, code, &ret_ended->answer, &ret_ended->error);
    release(pool, slot);
}

static bool take_refused(struct fetch_pool *pool, struct fetch_ended *ret_ended)
{
    for (size_t i = 0; i < pool->slots_count && pool->refused > 0; i++) {
        struct slot *slot = pool->slots[i];
        if (slot->is_refused) {
            conclude(pool, slot, slot->refusal, ret_ended);
            return true;
        }
    }
    return false;
}

static bool take_done(struct fetch_pool *pool, struct fetch_ended *ret_ended)
{
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(pool->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result; /* the message goes with the handle */
        void *slot = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot);
        conclude(pool, slot, code, ret_ended);
        return true;
    }
    return false;
}

bool fetch_pool_take(struct fetch_pool *pool, struct fetch_ended *ret_ended)
{
    if (take_refused(pool, ret_ended) || take_done(pool, ret_ended))
        return true;
    if (pool->in_flight == 0)
        return false;
    int running = 0;
    curl_multi_perform(pool->multi, &running);
    return take_done(pool, ret_ended);
}

/* What has just begun has a timer of libcurl's that is due at once, and each GET one for its
 * deadline. */
void fetch_pool_wait(struct fetch_pool *pool, struct feed *feed, int64_t deadline_ms)
{
    struct curl_waitfd extra = {.fd = feed_descriptor(feed), .events = CURL_WAIT_POLLIN};
    int wait_ms = pool->refused > 0 ? 0 : feed_wait_ms(feed, deadline_ms);
    curl_multi_poll(pool->multi, &extra, 1, wait_ms, NULL);
}

bool fetch_pool_wait_one(struct fetch_pool *pool, struct fetch_ended *ret_ended)
{
    while (!fetch_pool_take(pool, ret_ended)) {
        if (pool->in_flight == 0)
            return false;
        curl_multi_poll(pool->multi, NULL, 0, INT_MAX, NULL);
    }
    return true;
}

void fetch_ended_done(struct fetch_ended *ended)
{
    fetch_answer_done(&ended->answer);
    error_done(&ended->error);
}
