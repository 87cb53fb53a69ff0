#include "fetched.h"

#include "base/json_text.h"
#include "base/memory.h"
#include "require.h"
#include "shared/fetch.h"
#include "shared/fetch_pool.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_IN_FLIGHT = 256 };

static const char *next;

struct fetcher {
    struct fetch_source source;
};

struct fetch_pool {
    struct fetch_source source;
    size_t size;
    size_t in_flight;
    void *owners[MAX_IN_FLIGHT];
};

void fetched_begin(const char *lines)
{
    next = lines;
}

static enum fetch_outcome take_answer(const struct fetch_source *source, const char *line,
                                      size_t length, struct fetch_answer *ret_answer)
{
    char *json = NULL;
    ret_answer->status = strtol(line, &json, 10);
    text_add_bytes(&ret_answer->body, json, length - (size_t)(json - line));
    if (source->max_tree_bytes > 0)
        fetch_answer_make_tree(ret_answer, 0, source->max_tree_bytes, source->name, NULL);
    return FETCH_ANSWERED;
}

static enum fetch_outcome take(const struct fetch_source *source, struct fetch_answer *ret_answer,
                               struct error *error)
{
    const char *line = next;
    size_t length = strcspn(line, "\n");
    next += length + (line[length] == '\n');
    if (line[0] >= '0' && line[0] <= '9')
        return take_answer(source, line, length, ret_answer);
    error_unavailable(error, "request to %s failed", source->name);
    return line[0] == '\0' || line[0] == 't' ? FETCH_TIMED_OUT
           : line[0] == 'l'                  ? FETCH_TOO_LARGE
           : line[0] == 'm'                  ? FETCH_NO_MEMORY
                                             : FETCH_FAILED;
}

struct fetcher *fetch_new(const struct fetch_source *source, struct fetch_budget *budget)
{
    (void)budget;
    struct fetcher *fetcher = memory_new(sizeof(*fetcher));
    fetcher->source = *source;
    return fetcher;
}

void fetch_free(struct fetcher *fetcher)
{
    free(fetcher);
}

enum fetch_outcome fetch_answer_make_tree(struct fetch_answer *answer, size_t flags,
                                          size_t max_bytes, const char *name, struct error *error)
{
    const struct json_text text = {answer->body.bytes, answer->body.length};
    (void)name;
    if (json_text_tree_bytes(text) > max_bytes) {
        if (error != NULL)
            error_set(error, ERROR_LIMIT, "too many values");
        return FETCH_TOO_LARGE;
    }
    answer->json = json_text_tree(text, flags, max_bytes);
    return FETCH_ANSWERED;
}

void fetch_answer_done(struct fetch_answer *answer)
{
    json_decref(answer->json);
    answer->json = NULL;
    text_done(&answer->body);
}

void fetch_set_form(const struct fetcher *fetcher, const char *form)
{
    (void)fetcher;
    require(strpbrk(form, " \r\n") == NULL);
}

struct fetch_pool *fetch_pool_new(const struct fetch_source *source, size_t size)
{
    struct fetch_pool *pool = memory_new(sizeof(*pool));
    pool->source = *source;
    pool->size = size;
    return pool;
}

void fetch_pool_free(struct fetch_pool *pool)
{
    free(pool);
}

void fetch_pool_resize(struct fetch_pool *pool, size_t size)
{
    pool->size = size;
}

/* RFC 6750: nothing that ends a header. */
void fetch_pool_set_bearer(struct fetch_pool *pool, const char *token)
{
    (void)pool;
    require(token[0] != '\0' && strpbrk(token, " \r\n") == NULL);
}

size_t fetch_pool_in_flight(const struct fetch_pool *pool)
{
    return pool->in_flight;
}

bool fetch_pool_has_capacity(const struct fetch_pool *pool)
{
    return pool->in_flight < pool->size;
}

void fetch_pool_get(struct fetch_pool *pool, const char *url, void *owner, int64_t deadline_ms)
{
    (void)deadline_ms;
    require(fetch_pool_has_capacity(pool) && pool->in_flight < MAX_IN_FLIGHT);
    require(strpbrk(url, " \r\n") == NULL);
    pool->owners[pool->in_flight++] = owner;
}

void fetch_pool_get_made(struct fetch_pool *pool, fetch_pool_make_url *make_url,
                         const void *context, void *owner, int64_t deadline_ms)
{
    _cleanup_(memory_free) char *url = make_url(context, owner);
    fetch_pool_get(pool, url, owner, deadline_ms);
}

void fetch_pool_add(struct fetch_pool *pool, struct fetcher *fetcher, const char *url, void *owner,
                    int64_t deadline_ms)
{
    (void)fetcher;
    (void)url;
    (void)deadline_ms;
    require(pool->in_flight < MAX_IN_FLIGHT);
    pool->owners[pool->in_flight++] = owner;
}

static void remove_owner(struct fetch_pool *pool, size_t index)
{
    pool->in_flight--;
    memmove(&pool->owners[index], &pool->owners[index + 1],
            (pool->in_flight - index) * sizeof(pool->owners[0]));
}

bool fetch_pool_cancel(struct fetch_pool *pool, const void *owner)
{
    for (size_t i = 0; i < pool->in_flight; i++) {
        if (pool->owners[i] == owner) {
            remove_owner(pool, i);
            return true;
        }
    }
    return false;
}

bool fetch_pool_take(struct fetch_pool *pool, struct fetch_ended *ret_ended)
{
    if (pool->in_flight == 0)
        return false;
    *ret_ended = (struct fetch_ended){.owner = pool->owners[0]};
    remove_owner(pool, 0);
    ret_ended->outcome = take(&pool->source, &ret_ended->answer, &ret_ended->error);
    return true;
}

void fetch_pool_wait(struct fetch_pool *pool, struct feed *feed, int64_t deadline_ms)
{
    if (pool->in_flight == 0)
        feed_wait(feed, NULL, 0, deadline_ms);
}

bool fetch_pool_wait_one(struct fetch_pool *pool, struct fetch_ended *ret_ended)
{
    return fetch_pool_take(pool, ret_ended);
}

void fetch_pool_stop(struct fetch_pool *pool)
{
    pool->in_flight = 0;
}

void fetch_ended_done(struct fetch_ended *ended)
{
    fetch_answer_done(&ended->answer);
    error_done(&ended->error);
}
