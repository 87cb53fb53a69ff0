#include "fetched.h"

#include "base/json_text.h"
#include "base/memory.h"
#include "kit/http.h"
#include "kit/http_url.h"
#include "require.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_IN_FLIGHT = 256 };

static const char *next;

struct transfer {
    void *owner;
    char *name;
};

struct http {
    struct http_endpoint endpoint;
    size_t size;
    size_t in_flight;
    struct transfer transfers[MAX_IN_FLIGHT];
};

void fetched_begin(const char *lines)
{
    next = lines;
}

/* What the next line says: an answer, or none. */
static void take(struct http_ended *ended)
{
    const char *line = next;
    size_t length = strcspn(line, "\n");
    next += length + (line[length] == '\n');
    if (line[0] >= '0' && line[0] <= '9') {
        char *body = NULL;
        ended->answer.name = ended->name;
        ended->answer.status = strtol(line, &body, 10);
        text_add_bytes(&ended->answer.body, body, length - (size_t)(body - line));
        return;
    }
    error_unavailable(&ended->error, "request to %s failed", ended->name);
    ended->outcome = line[0] == '\0' || line[0] == 't' ? HTTP_TIMED_OUT
                     : line[0] == 'l'                  ? HTTP_TOO_LARGE
                                                       : HTTP_FAILED;
}

bool http_answer_make_tree(struct http_answer *answer, size_t flags, size_t max_bytes,
                           struct error *error)
{
    const struct json_text text = {answer->body.bytes, answer->body.length};
    if (json_text_tree_bytes(text) > max_bytes)
        return error_set(error, ERROR_LIMIT, "too many values");
    answer->json = json_text_tree(text, flags, max_bytes);
    return true;
}

struct http *http_new(const struct http_endpoint *endpoint, size_t size)
{
    struct http *http = memory_new(sizeof(*http));
    http->endpoint = *endpoint;
    http->size = size;
    return http;
}

void http_free(struct http *http)
{
    if (http != NULL)
        http_stop(http);
    free(http);
}

void http_resize(struct http *http, size_t size)
{
    http->size = size;
}

void http_add_header(struct curl_slist **headers, const char *name, const char *value)
{
    (void)headers;
    require(strpbrk(name, " :\r\n") == NULL && strpbrk(value, "\r\n") == NULL);
}

/* RFC 6750: nothing that ends a header. */
void http_set_bearer(struct http *http, const char *token)
{
    (void)http;
    require(token[0] != '\0' && strpbrk(token, " \r\n") == NULL);
}

size_t http_in_flight(const struct http *http)
{
    return http->in_flight;
}

bool http_has_capacity(const struct http *http)
{
    return http->in_flight < http->size;
}

static void add(struct http *http, const char *service, const char *url, void *owner)
{
    require(http->in_flight < MAX_IN_FLIGHT);
    http->transfers[http->in_flight++] = (struct transfer){owner, http_url_server(service, url)};
}

void http_get(struct http *http, const char *url, size_t max_body_bytes, void *owner,
              int64_t deadline_ms)
{
    (void)max_body_bytes;
    (void)deadline_ms;
    require(http_has_capacity(http));
    require(strpbrk(url, " \r\n") == NULL);
    add(http, http->endpoint.name, url, owner);
}

void http_post(struct http *http, const struct http_endpoint *endpoint, const char *url,
               const char *form, size_t max_body_bytes, void *owner, int64_t deadline_ms)
{
    (void)max_body_bytes;
    (void)deadline_ms;
    require(strpbrk(form, " \r\n") == NULL);
    add(http, endpoint->name, url, owner);
}

static struct transfer remove_transfer(struct http *http, size_t index)
{
    struct transfer transfer = http->transfers[index];
    http->in_flight--;
    memmove(&http->transfers[index], &http->transfers[index + 1],
            (http->in_flight - index) * sizeof(http->transfers[0]));
    return transfer;
}

bool http_cancel(struct http *http, const void *owner)
{
    for (size_t i = 0; i < http->in_flight; i++) {
        if (http->transfers[i].owner == owner) {
            free(remove_transfer(http, i).name);
            return true;
        }
    }
    return false;
}

bool http_take(struct http *http, struct http_ended *ret_ended)
{
    if (http->in_flight == 0)
        return false;
    struct transfer transfer = remove_transfer(http, 0);
    *ret_ended = (struct http_ended){.owner = transfer.owner, .name = transfer.name};
    take(ret_ended);
    return true;
}

void http_wait(struct http *http, struct feed *feed, int64_t deadline_ms)
{
    if (http->in_flight == 0)
        feed_wait(feed, NULL, 0, deadline_ms);
}

bool http_wait_one(struct http *http, struct http_ended *ret_ended)
{
    return http_take(http, ret_ended);
}

void http_stop(struct http *http)
{
    while (http->in_flight > 0)
        free(remove_transfer(http, 0).name);
}

void http_ended_done(struct http_ended *ended)
{
    json_decref(ended->answer.json);
    text_done(&ended->answer.body);
    error_done(&ended->error);
    free(ended->name);
}
