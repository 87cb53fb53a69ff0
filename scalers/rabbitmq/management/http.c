#include "rabbitmq/management/http.h"

#include "base/json_text.h"
#include "base/memory.h"
#include "rabbitmq/management/access_token.h"
#include "shared/fetch_pool.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_IN_FLIGHT = 8,
    MAX_BODY_BYTES = 8 * 1024 * 1024, /* 80 bytes a queue, a quorum queue 130: 60,000 */
    MAX_BODIES_BYTES = MAX_BODY_BYTES + MAX_BODY_BYTES / 4, /* of all that arrive at a time */
    MAX_TREE_BYTES = 4 * 1024 * 1024,                       /* a page of 500 queues is 1 MB */
    MAX_REASON_BYTES = 200,
};

struct rabbitmq_http {
    char *name; /* with host:port, for errors */
    char *base; /* scheme://host:port/prefix */
    char *user; /* NULL: a token instead */
    char *password;
    struct fetch_pool *pool;
    struct rabbitmq_access_token token;
};

struct rabbitmq_http *rabbitmq_http_new(const struct rabbitmq_connection_options *options,
                                        const struct rabbitmq_url *url)
{
    struct rabbitmq_http *http = memory_new(sizeof(*http));
    bool ipv6 = strchr(url->host, ':') != NULL;
    _cleanup_(memory_free) char *address =
        text_format(ipv6 ? "[%s]:%d" : "%s:%d", url->host, url->port);
    http->name = text_format("RabbitMQ's management API at %s", address);
    http->base = text_format("%s://%s%s", url->has_tls ? "https" : "http", address, url->prefix);
    if (options->oauth_token_uri == NULL) {
        http->user = text_copy(url->user);
        http->password = text_copy(url->password);
    }
    const struct fetch_source source = {
        .name = http->name,
        .tls = &options->tls,
        .user = http->user,
        .password = http->password,
        .max_body_bytes = MAX_BODY_BYTES,
        .max_bodies_bytes = MAX_BODIES_BYTES,
    };
    http->pool = fetch_pool_new(&source, MAX_IN_FLIGHT);
    rabbitmq_access_token_init(&http->token, options, http->pool);
    return http;
}

void rabbitmq_http_free(struct rabbitmq_http *http)
{
    if (http == NULL)
        return;
    rabbitmq_access_token_done(&http->token);
    fetch_pool_free(http->pool);
    free(http->name);
    free(http->base);
    free(http->user);
    free(http->password);
    free(http);
}

const char *rabbitmq_http_name(const struct rabbitmq_http *http)
{
    return http->name;
}

bool rabbitmq_http_log_in(struct rabbitmq_http *http, int64_t deadline_ms, struct error *error)
{
    return rabbitmq_access_token_get(&http->token, deadline_ms, error) ||
           error_prefix(error, "%s", http->name);
}

bool rabbitmq_http_renew_token(struct rabbitmq_http *http, int64_t now_ms, struct error *error)
{
    return rabbitmq_access_token_renew(&http->token, now_ms, error) ||
           error_prefix(error, "%s", http->name);
}

bool rabbitmq_http_has_capacity(const struct rabbitmq_http *http)
{
    return !http->token.is_missing && fetch_pool_has_capacity(http->pool);
}

bool rabbitmq_http_is_idle(const struct rabbitmq_http *http)
{
    return fetch_pool_in_flight(http->pool) == 0;
}

void rabbitmq_http_get(struct rabbitmq_http *http, const char *path, void *owner,
                       int64_t deadline_ms)
{
    _cleanup_(memory_free) char *url = text_format("%s%s", http->base, path);
    fetch_pool_get(http->pool, url, owner, deadline_ms);
}

void rabbitmq_http_wait(struct rabbitmq_http *http, struct feed *feed, int64_t deadline_ms)
{
    fetch_pool_wait(http->pool, feed, deadline_ms);
}

void rabbitmq_http_cancel(struct rabbitmq_http *http, const void *owner)
{
    fetch_pool_cancel(http->pool, owner);
}

void rabbitmq_http_stop(struct rabbitmq_http *http)
{
    rabbitmq_access_token_stop(&http->token);
    fetch_pool_stop(http->pool);
}

static enum rabbitmq_http_outcome outcome_of_status(long status)
{
    enum { BAD_GATEWAY = 502, UNAVAILABLE = 503, GATEWAY_TIMEOUT = 504 };
    switch (status) {
    case FETCH_STATUS_NOT_FOUND:
        return RABBITMQ_HTTP_NOT_FOUND;
    case FETCH_STATUS_BAD_REQUEST:
        return RABBITMQ_HTTP_BAD_REQUEST;
    case FETCH_STATUS_UNAUTHORIZED:
    case FETCH_STATUS_FORBIDDEN:
        return RABBITMQ_HTTP_FAILED;
    case BAD_GATEWAY:
    case UNAVAILABLE:
    case GATEWAY_TIMEOUT:
        return RABBITMQ_HTTP_NO_BROKER;
    default:
        return status >= FETCH_STATUS_SERVER_ERROR ? RABBITMQ_HTTP_BROKEN : RABBITMQ_HTTP_REFUSED;
    }
}

/* The management API explains itself as {"error": ..., "reason": ...}. */
static enum rabbitmq_http_outcome explain_status(const struct rabbitmq_http *http,
                                                 const struct fetch_answer *answer,
                                                 struct error *error)
{
    const char *reason = json_string_value(json_object_get(answer->json, "reason"));
    if (fetch_is_login_refused(answer))
        reason = answer->status == FETCH_STATUS_UNAUTHORIZED
                     ? "the login is refused, or the user lacks the tag management or a right to "
                       "the vhost"
                     : "the user lacks a right";
    else if (reason == NULL)
        reason = "no reason given";
    error_unavailable(error, "%s answered %ld: %.*s", http->name, answer->status,
                      (int)text_cut(reason, MAX_REASON_BYTES), reason);
    return outcome_of_status(answer->status);
}

static enum rabbitmq_http_outcome outcome_of(const struct rabbitmq_http *http,
                                             struct fetch_ended *ended)
{
    static const enum rabbitmq_http_outcome outcomes[] = {
        [FETCH_ANSWERED] = RABBITMQ_HTTP_GOT,        [FETCH_TIMED_OUT] = RABBITMQ_HTTP_TIMED_OUT,
        [FETCH_TOO_LARGE] = RABBITMQ_HTTP_TOO_LARGE, [FETCH_NO_MEMORY] = RABBITMQ_HTTP_NO_MEMORY,
        [FETCH_FAILED] = RABBITMQ_HTTP_FAILED,
    };
    if (ended->outcome != FETCH_ANSWERED)
        return outcomes[ended->outcome];
    const struct json_text text = {ended->answer.body.bytes, ended->answer.body.length};
    bool is_list = json_text_begins_with(text, '[');
    enum fetch_outcome tree = FETCH_ANSWERED;
    if (!is_list) /* RabbitMQ allows a NUL in the name of a queue */
        tree = fetch_answer_make_tree(&ended->answer, JSON_ALLOW_NUL, MAX_TREE_BYTES, http->name,
                                      &ended->error);
    if (ended->answer.status != FETCH_STATUS_OK)
        return explain_status(http, &ended->answer, &ended->error);
    if (is_list || ended->answer.json != NULL)
        return RABBITMQ_HTTP_GOT;
    if (tree != FETCH_ANSWERED)
        return outcomes[tree];
    error_unavailable(&ended->error, "%s: unexpected reply: no JSON", http->name);
    return RABBITMQ_HTTP_FAILED;
}

/* False where the token took it. */
static bool take_ended(struct rabbitmq_http *http, struct fetch_ended *ended,
                       struct rabbitmq_http_answer *ret_answer)
{
    if (rabbitmq_access_token_take(&http->token, ended))
        return false;
    *ret_answer =
        (struct rabbitmq_http_answer){.owner = ended->owner, .outcome = outcome_of(http, ended)};
    ret_answer->json = TAKE(ended->answer.json);
    if (ret_answer->outcome == RABBITMQ_HTTP_GOT && ret_answer->json == NULL) {
        ret_answer->list = ended->answer.body;
        ended->answer.body = (struct text){0};
    }
    source_memory_move(&ended->answer.memory, ended->answer.memory.used, &ret_answer->memory);
    error_move(&ret_answer->error, &ended->error);
    return true;
}

static bool take_next(struct rabbitmq_http *http,
                      bool (*next)(struct fetch_pool *pool, struct fetch_ended *ret_ended),
                      struct rabbitmq_http_answer *ret_answer)
{
    for (;;) {
        _cleanup_(fetch_ended_done) struct fetch_ended ended = {0};
        if (!next(http->pool, &ended))
            return false;
        if (take_ended(http, &ended, ret_answer))
            return true;
    }
}

bool rabbitmq_http_take(struct rabbitmq_http *http, struct rabbitmq_http_answer *ret_answer)
{
    return take_next(http, fetch_pool_take, ret_answer);
}

bool rabbitmq_http_wait_one(struct rabbitmq_http *http, struct rabbitmq_http_answer *ret_answer)
{
    return take_next(http, fetch_pool_wait_one, ret_answer);
}

void rabbitmq_http_answer_done(struct rabbitmq_http_answer *answer)
{
    json_decref(answer->json);
    text_done(&answer->list);
    source_memory_set(&answer->memory, 0);
    error_done(&answer->error);
}
