#include "rabbitmq/management/http.h"

#include "base/json_text.h"
#include "base/memory.h"
#include "kit/auth.h"
#include "kit/http.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_IN_FLIGHT = 8,
    MAX_TREE_BYTES = 4 * 1024 * 1024, /* a page of 500 queues is 1 MB */
    MAX_REASON_BYTES = 200,
};

struct rabbitmq_http {
    char *name; /* with host:port, for errors */
    char *base; /* scheme://host:port/prefix */
    char *user; /* NULL: a token instead */
    char *password;
    char *scope; /* of the token; NULL: none */
    struct http *http;
    bool has_auth;
    struct auth auth; /* of the token */
};

static char *join_scopes(const struct option_list *scopes)
{
    struct text scope = {0};
    for (size_t i = 0; i < scopes->count; i++)
        text_addf(&scope, "%s%s", i == 0 ? "" : " ", scopes->items[i]);
    return scopes->count > 0 ? text_take(&scope) : NULL;
}

/* A token instead of user and password. */
static void use_auth(struct rabbitmq_http *http, const struct rabbitmq_connection_options *options)
{
    http->has_auth = true;
    http->scope = join_scopes(&options->scopes);
    const struct auth_client client = {
        .endpoint = options->oauth_token_uri,
        .client_id = options->client_id,
        .client_secret = options->client_secret,
        .scope = http->scope,
        .parameters = options->endpoint_params,
        .tls = &options->tls,
    };
    auth_init(&http->auth, &client, http->http);
}

static const char service[] = "RabbitMQ's management API";

struct rabbitmq_http *rabbitmq_http_new(const struct rabbitmq_connection_options *options,
                                        const struct rabbitmq_url *url)
{
    struct rabbitmq_http *http = memory_new(sizeof(*http));
    bool ipv6 = strchr(url->host, ':') != NULL;
    _cleanup_(memory_free) char *address =
        text_format(ipv6 ? "[%s]:%d" : "%s:%d", url->host, url->port);
    http->name = text_format("%s at %s", service, address);
    http->base = text_format("%s://%s%s", url->has_tls ? "https" : "http", address, url->prefix);
    if (options->oauth_token_uri == NULL) {
        http->user = text_copy(url->user);
        http->password = text_copy(url->password);
    }
    const struct http_endpoint endpoint = {
        .name = service,
        .tls = &options->tls,
        .user = http->user,
        .password = http->password,
    };
    http->http = http_new(&endpoint, MAX_IN_FLIGHT);
    if (options->oauth_token_uri != NULL)
        use_auth(http, options);
    return http;
}

void rabbitmq_http_free(struct rabbitmq_http *http)
{
    if (http == NULL)
        return;
    if (http->has_auth)
        auth_done(&http->auth);
    http_free(http->http);
    free(http->name);
    free(http->base);
    free(http->user);
    free(http->password);
    free(http->scope);
    free(http);
}

const char *rabbitmq_http_name(const struct rabbitmq_http *http)
{
    return http->name;
}

bool rabbitmq_http_log_in(struct rabbitmq_http *http, int64_t deadline_ms, struct error *error)
{
    return !http->has_auth || auth_log_in(&http->auth, deadline_ms, error) ||
           error_prefix(error, "%s", http->name);
}

bool rabbitmq_http_renew_token(struct rabbitmq_http *http, int64_t now_ms, struct error *error)
{
    return !http->has_auth || auth_renew(&http->auth, now_ms, error) ||
           error_prefix(error, "%s", http->name);
}

bool rabbitmq_http_has_capacity(const struct rabbitmq_http *http)
{
    return !http->auth.is_missing && http_has_capacity(http->http);
}

bool rabbitmq_http_is_idle(const struct rabbitmq_http *http)
{
    return http_in_flight(http->http) == 0;
}

void rabbitmq_http_get(struct rabbitmq_http *http, const char *path, size_t max_bytes, void *owner,
                       int64_t deadline_ms)
{
    _cleanup_(memory_free) char *url = text_format("%s%s", http->base, path);
    http_get(http->http, url, max_bytes, owner, deadline_ms);
}

void rabbitmq_http_wait(struct rabbitmq_http *http, struct feed *feed, int64_t deadline_ms)
{
    http_wait(http->http, feed, deadline_ms);
}

void rabbitmq_http_cancel(struct rabbitmq_http *http, const void *owner)
{
    http_cancel(http->http, owner);
}

void rabbitmq_http_stop(struct rabbitmq_http *http)
{
    if (http->has_auth)
        auth_stop(&http->auth);
    http_stop(http->http);
}

static enum rabbitmq_http_outcome outcome_of_status(long status)
{
    enum { BAD_GATEWAY = 502, UNAVAILABLE = 503, GATEWAY_TIMEOUT = 504 };
    switch (status) {
    case HTTP_NOT_FOUND:
        return RABBITMQ_HTTP_NOT_FOUND;
    case HTTP_BAD_REQUEST:
        return RABBITMQ_HTTP_BAD_REQUEST;
    case HTTP_UNAUTHORIZED:
    case HTTP_FORBIDDEN:
        return RABBITMQ_HTTP_FAILED;
    case BAD_GATEWAY:
    case UNAVAILABLE:
    case GATEWAY_TIMEOUT:
        return RABBITMQ_HTTP_NO_BROKER;
    default:
        return status >= HTTP_SERVER_ERROR ? RABBITMQ_HTTP_BROKEN : RABBITMQ_HTTP_REFUSED;
    }
}

/* The management API explains itself as {"error": ..., "reason": ...}. */
static enum rabbitmq_http_outcome explain_status(const struct rabbitmq_http *http,
                                                 const struct http_answer *answer,
                                                 struct error *error)
{
    const char *reason = json_string_value(json_object_get(answer->json, "reason"));
    if (http_is_login_refused(answer))
        reason = answer->status == HTTP_UNAUTHORIZED
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
                                             struct http_ended *ended)
{
    static const enum rabbitmq_http_outcome outcomes[] = {
        [HTTP_ANSWERED] = RABBITMQ_HTTP_GOT,
        [HTTP_TIMED_OUT] = RABBITMQ_HTTP_TIMED_OUT,
        [HTTP_TOO_LARGE] = RABBITMQ_HTTP_TOO_LARGE,
        [HTTP_FAILED] = RABBITMQ_HTTP_FAILED,
    };
    if (ended->outcome != HTTP_ANSWERED)
        return outcomes[ended->outcome];
    const struct json_text text = {ended->answer.body.bytes, ended->answer.body.length};
    bool is_list = json_text_begins_with(text, '[');
    /* RabbitMQ allows a NUL in the name of a queue */
    bool fits = is_list || http_answer_make_tree(&ended->answer, JSON_ALLOW_NUL, MAX_TREE_BYTES,
                                                 &ended->error);
    if (ended->answer.status != HTTP_OK)
        return explain_status(http, &ended->answer, &ended->error);
    if (is_list || ended->answer.json != NULL)
        return RABBITMQ_HTTP_GOT;
    if (!fits)
        return RABBITMQ_HTTP_TOO_LARGE;
    error_unavailable(&ended->error, "%s: unexpected reply: no JSON", http->name);
    return RABBITMQ_HTTP_FAILED;
}

/* False where the token took it. */
static bool take_ended(struct rabbitmq_http *http, struct http_ended *ended,
                       struct rabbitmq_http_answer *ret_answer)
{
    if (http->has_auth && auth_take(&http->auth, ended))
        return false;
    *ret_answer =
        (struct rabbitmq_http_answer){.owner = ended->owner, .outcome = outcome_of(http, ended)};
    ret_answer->json = TAKE(ended->answer.json);
    if (ret_answer->outcome == RABBITMQ_HTTP_GOT && ret_answer->json == NULL) {
        ret_answer->list = ended->answer.body;
        ended->answer.body = (struct text){0};
    }
    error_move(&ret_answer->error, &ended->error);
    return true;
}

static bool take_next(struct rabbitmq_http *http,
                      bool (*next)(struct http *http, struct http_ended *ret_ended),
                      struct rabbitmq_http_answer *ret_answer)
{
    for (;;) {
        _cleanup_(http_ended_done) struct http_ended ended = {0};
        if (!next(http->http, &ended))
            return false;
        if (take_ended(http, &ended, ret_answer))
            return true;
    }
}

bool rabbitmq_http_take(struct rabbitmq_http *http, struct rabbitmq_http_answer *ret_answer)
{
    return take_next(http, http_take, ret_answer);
}

bool rabbitmq_http_wait_one(struct rabbitmq_http *http, struct rabbitmq_http_answer *ret_answer)
{
    return take_next(http, http_wait_one, ret_answer);
}

void rabbitmq_http_answer_done(struct rabbitmq_http_answer *answer)
{
    json_decref(answer->json);
    text_done(&answer->list);
    error_done(&answer->error);
}
