#include "fetched.h"

#include "base/memory.h"
#include "shared/fetch.h"
#include "shared/fetch_pool.h"

#include <stdlib.h>
#include <string.h>

static const char *next;

struct fetcher {
    struct fetch_source source;
};

struct fetch_pool {
    struct fetch_source source;
    size_t room;
    size_t first;
    size_t behind; /* the last */
    void *owners[];
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
    ret_answer->json = json_loadb(json, length - (size_t)(json - line), source->json_flags, NULL);
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
    error_unavailable(error, "cannot ask %s", source->name);
    return line[0] == '\0' || line[0] == 't' ? FETCH_TIMED_OUT
           : line[0] == 'l'                  ? FETCH_TOO_LARGE
                                             : FETCH_FAILED;
}

struct fetcher *fetch_new(const struct fetch_source *source)
{
    struct fetcher *fetcher = memory_new(sizeof(*fetcher));
    fetcher->source = *source;
    return fetcher;
}

void fetch_free(struct fetcher *fetcher)
{
    free(fetcher);
}

void fetch_answer_done(struct fetch_answer *answer)
{
    json_decref(answer->json);
    answer->json = NULL;
}

enum fetch_outcome fetch_json(struct fetcher *fetcher, const char *url, int64_t deadline_ms,
                              struct fetch_answer *ret_answer, struct error *error)
{
    (void)url;
    (void)deadline_ms;
    return take(&fetcher->source, ret_answer, error);
}

enum fetch_outcome fetch_json_of(struct fetcher *fetcher, const char *url, const char *form,
                                 int64_t deadline_ms, struct fetch_answer *ret_answer,
                                 struct error *error)
{
    (void)form;
    return fetch_json(fetcher, url, deadline_ms, ret_answer, error);
}

struct fetch_pool *fetch_pool_new(const struct fetch_source *source, size_t side_by_side)
{
    struct fetch_pool *pool = memory_new(sizeof(*pool) + side_by_side * sizeof(void *));
    pool->source = *source;
    pool->room = side_by_side;
    return pool;
}

void fetch_pool_free(struct fetch_pool *pool)
{
    free(pool);
}

/* RFC 6750: nothing that ends a header. */
void fetch_pool_set_bearer(const struct fetch_pool *pool, const char *token)
{
    (void)pool;
    if (token[0] == '\0' || strpbrk(token, " \r\n") != NULL)
        abort();
}

bool fetch_pool_has_room(const struct fetch_pool *pool)
{
    return pool->behind - pool->first < pool->room;
}

void fetch_pool_ask(struct fetch_pool *pool, const char *url, void *owner, int64_t deadline_ms)
{
    (void)deadline_ms;
    if (!fetch_pool_has_room(pool) || strpbrk(url, " \r\n") != NULL)
        abort();
    pool->owners[pool->behind++ % pool->room] = owner;
}

bool fetch_pool_take(struct fetch_pool *pool, int64_t deadline_ms, struct fetch_ended *ret_ended)
{
    (void)deadline_ms;
    if (pool->first == pool->behind || *next == '\0')
        return false;
    *ret_ended = (struct fetch_ended){.owner = pool->owners[pool->first++ % pool->room]};
    ret_ended->outcome = take(&pool->source, &ret_ended->answer, &ret_ended->error);
    return true;
}

void fetch_pool_stop(struct fetch_pool *pool)
{
    pool->first = pool->behind;
}

void fetch_ended_done(struct fetch_ended *ended)
{
    fetch_answer_done(&ended->answer);
    error_done(&ended->error);
}
