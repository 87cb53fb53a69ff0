#include "rabbitmq/http.h"

#include "base/memory.h"
#include "base/text.h"
#include "shared/fetch.h"

#include <stdlib.h>
#include <string.h>

enum {
    BODY_BYTES_MOST = 64 * 1024 * 1024, /* 80 bytes a queue: far beyond any vhost */
    REASON_BYTES_MOST = 200,
};

struct rabbitmq_http {
    char *name; /* with host:port, for errors */
    char *base; /* scheme://host:port/prefix */
    struct fetcher *fetcher;
};

struct rabbitmq_http *rabbitmq_http_new(const struct rabbitmq_connection *options,
                                        const struct rabbitmq_url *url)
{
    struct rabbitmq_http *http = memory_new(sizeof(*http));
    bool ipv6 = strchr(url->host, ':') != NULL;
    _cleanup_(memory_free) char *address =
        text_format(ipv6 ? "[%s]:%d" : "%s:%d", url->host, url->port);
    http->name = text_format("RabbitMQ's management API at %s", address);
    http->base = text_format("%s://%s%s", url->tls ? "https" : "http", address, url->prefix);
    http->fetcher = fetch_new(&(struct fetch_source){
        .name = http->name,
        .tls = &options->tls,
        .user = url->user,
        .password = url->password,
        .body_bytes_most = BODY_BYTES_MOST,
        .timeout_ms = options->timeout_ms,
    });
    return http;
}

void rabbitmq_http_free(struct rabbitmq_http *http)
{
    if (http == NULL)
        return;
    fetch_free(http->fetcher);
    free(http->name);
    free(http->base);
    free(http);
}

/* The management API explains itself as {"error": ..., "reason": ...}. */
static enum http_outcome explain_status(const struct rabbitmq_http *http,
                                        const struct fetch_answer *answer, struct error *error)
{
    const char *reason = json_string_value(json_object_get(answer->json, "reason"));
    if (reason == NULL)
        reason = "no reason given";
    error_unavailable(error, "%s answered %ld: %.*s", http->name, answer->status,
                      (int)text_cut(reason, REASON_BYTES_MOST), reason);
    return answer->status == 404 ? HTTP_NOT_FOUND : HTTP_FAILED;
}

enum http_outcome rabbitmq_http_get(struct rabbitmq_http *http, const char *path,
                                    int64_t deadline_ms, json_t **ret_json, struct error *error)
{
    _cleanup_(memory_free) char *url = text_format("%s%s", http->base, path);
    _cleanup_(fetch_answer_done) struct fetch_answer answer = {0};
    enum fetch_outcome outcome = fetch_json(http->fetcher, url, deadline_ms, &answer, error);
    if (outcome != FETCH_ANSWERED)
        return outcome == FETCH_TIMED_OUT ? HTTP_TIMED_OUT : HTTP_FAILED;
    if (answer.status != 200)
        return explain_status(http, &answer, error);
    if (answer.json == NULL) {
        error_unavailable(error, "%s answered no JSON", http->name);
        return HTTP_FAILED;
    }
    *ret_json = TAKE(answer.json);
    return HTTP_GOT;
}
