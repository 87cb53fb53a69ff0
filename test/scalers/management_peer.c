#include "scalers/management_peer.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "support/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { MAX_CALLS = 64, REQUEST_BYTES = 4096, PAGE = 500 };

/* A connection, and what it is to be sent. */
struct management_call {
    int socket; /* -1: none */
    char *body; /* NULL: nothing, or never */
    int64_t due_ms;
    bool in_flight;
    char *reply; /* NULL: all has been sent */
    size_t sent; /* of it */
    size_t length;
};

static void add_queue(struct text *json, const char *name)
{
    size_t messages = strtoul(name + strcspn(name, "0123456789"), NULL, 10);
    text_addf(json,
              "{\"name\":\"%s\",\"type\":\"classic\",\"messages_ready\":%zu,"
              "\"messages_unacknowledged\":0}",
              name, messages);
}

static void add_queues(struct text *json, size_t from, size_t to)
{
    text_add(json, "[");
    for (size_t i = from; i < to; i++) {
        _cleanup_(memory_free) char *name = text_format("q%zu", i);
        text_add(json, i == from ? "" : ",");
        add_queue(json, name);
    }
    text_add(json, "]");
}

static const char given_begin[] = "{\"name\"";

/* A list, or a page, which has all of them. */
static char *list_given(const char *given, bool is_page)
{
    size_t count = 0;
    for (const char *at = given; (at = strstr(at, given_begin)) != NULL; at++)
        count++;
    return is_page ? text_format("{\"filtered_count\":%zu,\"page_count\":1,\"items\":[%s]}", count,
                                 given)
                   : text_format("[%s]", given);
}

static char *list_queues(struct management_peer *peer, size_t queues, const char *given,
                         const char *request)
{
    struct text json = {0};
    bool is_page = strstr(request, "?page=1&") != NULL;
    if (peer->script.refuse_lists != 0 && !(is_page && peer->script.gives_pages))
        return text_format("%d", peer->script.refuse_lists);
    if (given != NULL)
        return list_given(given, is_page);
    if (is_page)
        text_addf(&json, "{\"filtered_count\":%zu,\"page_count\":%zu,\"items\":", queues,
                  (queues + PAGE - 1) / PAGE);
    add_queues(&json, 0, is_page && queues > PAGE ? PAGE : queues);
    text_add(&json, is_page ? "}" : "");
    return text_take(&json);
}

static char *list_one(const char *name)
{
    struct text json = {0};
    if (text_starts_with(name, "broken"))
        return text_copy("502");
    if (!text_starts_with(name, "hanging"))
        add_queue(&json, name);
    return json.length == 0 ? NULL : text_take(&json);
}

static char *give_token(struct management_peer *peer)
{
    size_t number = ++peer->tokens;
    const char *tokens = peer->script.tokens;
    char fate = (char)(number <= strlen(tokens) ? tokens[number - 1] : 'r');
    if (fate == 'h')
        return NULL;
    return fate == 'r' ? text_copy("{}")
                       : text_format("{\"access_token\":\"token%zu\",\"expires_in\":100}", number);
}

static size_t token_of(const char *request)
{
    static const char bearer[] = "Authorization: Bearer token";
    const char *found = strstr(request, bearer);
    return found == NULL ? 0 : strtoul(found + strlen(bearer), NULL, 10);
}

static void take_get(struct management_peer *peer, struct management_call *call,
                     const char *request)
{
    char name[64];
    size_t queues = peer->script.queues;
    peer->token_shown = token_of(request);
    if (strstr(request, "/api/overview") != NULL)
        call->body = text_format("{\"rates_mode\":\"basic\",\"object_totals\":{\"queues\":%zu}}",
                                 peer->script.queues_of_broker);
    else if (sscanf(request, "GET /api/queues/%%2F/%63[^?]", name) == 1) {
        peer->singles++;
        const char *given = peer->in_statistics;
        call->body = given != NULL                     ? text_copy(given)
                     : peer->script.without_statistics ? text_format("{\"name\":\"%s\"}", name)
                                                       : list_one(name);
    } else if (strstr(request, "disable_stats=true") != NULL) {
        size_t after = peer->script.totals_hang_after;
        bool hangs = peer->script.totals_hang || (after > 0 && peer->totals >= after) ||
                     peer->totals < peer->script.totals_hang_until;
        peer->totals++;
        call->due_ms += peer->script.totals_ms;
        call->body =
            hangs ? NULL : list_queues(peer, queues - peer->script.cut, peer->in_totals, request);
    } else {
        peer->statistics++;
        call->due_ms += peer->script.statistics_ms;
        call->body = list_queues(peer, queues, peer->in_statistics, request);
    }
}

static void hang_up(struct management_peer *peer, struct management_call *call)
{
    peer->in_flight -= call->in_flight;
    close(call->socket);
    free(call->body);
    free(call->reply);
    *call = (struct management_call){.socket = -1};
}

/* Of the next request. */
static int take_fate(struct management_peer *peer)
{
    int fate = peer->fate;
    if (fate == 0 || peer->fated == 0)
        return fate;
    peer->fated--;
    if (peer->fated == 0)
        peer->fate = 0;
    return fate;
}

static void take_request(struct management_peer *peer, struct management_call *call,
                         const char *request)
{
    call->due_ms = clock_now_ms();
    int fate = take_fate(peer);
    if (fate == 'p')
        call->due_ms += peer->script.proxy_ms;
    if (fate != 0)
        call->body = fate == 'p' ? text_copy("502") : NULL;
    else if (text_starts_with(request, "POST /token"))
        call->body = give_token(peer);
    else
        take_get(peer, call, request);
    call->in_flight = true;
    if (++peer->in_flight > peer->max_in_flight)
        peer->max_in_flight = peer->in_flight;
    if (fate == 'c')
        hang_up(peer, call);
}

static void read_request(struct management_peer *peer, struct management_call *call)
{
    char request[REQUEST_BYTES];
    ssize_t length = recv(call->socket, request, sizeof(request) - 1, MSG_DONTWAIT);
    if (length < 0 && errno == EAGAIN)
        return;
    if (length <= 0) {
        hang_up(peer, call);
        return;
    }
    request[length] = '\0';
    take_request(peer, call, request);
}

/* A body of three digits is a status. */
static const char *status_of(const char *body)
{
    return text_starts_with(body, "{\"error\"") ? "400"
           : strspn(body, "0123456789") == 3    ? body
                                                : "200";
}

static void begin_reply(struct management_peer *peer, struct management_call *call)
{
    call->reply = text_format("HTTP/1.1 %s \r\nContent-Length: %zu\r\n\r\n%s",
                              status_of(call->body), strlen(call->body), call->body);
    call->sent = 0;
    call->length = strlen(call->reply);
    free(TAKE(call->body));
    call->in_flight = false;
    peer->in_flight--;
}

/* As much as there is room for, which the client makes by reading. */
static void send_reply(struct management_call *call)
{
    ssize_t sent = call->socket < 0 ? -1
                                    : send(call->socket, call->reply + call->sent,
                                           call->length - call->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    bool has_gone = sent < 0 && errno != EAGAIN;
    call->sent += sent > 0 ? (size_t)sent : 0;
    if (has_gone || call->sent == call->length)
        free(TAKE(call->reply));
}

static void accept_all(const struct management_peer *peer)
{
    for (struct management_call *call = peer->calls; call < peer->calls + MAX_CALLS; call++)
        if (call->socket < 0 && (call->socket = accept(peer->listener, NULL, NULL)) < 0)
            return;
}

/* Returns when there is more to do. */
static int64_t serve(struct management_peer *peer, struct management_call *call)
{
    if (call->socket >= 0)
        read_request(peer, call);
    if (call->body != NULL && call->due_ms <= clock_now_ms())
        begin_reply(peer, call);
    if (call->reply != NULL)
        send_reply(call);
    if (call->socket >= 0 && !socket_is_settled(call->socket))
        return clock_now_ms();
    return call->body == NULL ? CLOCK_NEVER : call->due_ms;
}

static int64_t work(void *context)
{
    struct management_peer *peer = context;
    int64_t next_ms = CLOCK_NEVER;
    accept_all(peer);
    for (size_t i = 0; i < MAX_CALLS; i++)
        next_ms = clock_earlier(next_ms, serve(peer, &peer->calls[i]));
    return next_ms;
}

void management_peer_start(struct management_peer *peer, const struct management_script *script)
{
    *peer = (struct management_peer){
        .script = *script,
        .calls = memory_array(MAX_CALLS, sizeof(*peer->calls)),
        .time = {.work = work, .context = peer},
    };
    for (size_t i = 0; i < MAX_CALLS; i++)
        peer->calls[i].socket = -1;
    int port = 0;
    peer->listener = listener_open(MAX_CALLS, &port);
    fcntl(peer->listener, F_SETFL, O_NONBLOCK);
    snprintf(peer->host, sizeof(peer->host), "http://guest:guest@127.0.0.1:%d/", port);
    snprintf(peer->token_uri, sizeof(peer->token_uri), "http://127.0.0.1:%d/token", port);
    fast_time_add(&peer->time);
}

void management_peer_stop(struct management_peer *peer)
{
    fast_time_remove(&peer->time);
    for (size_t i = 0; i < MAX_CALLS; i++)
        if (peer->calls[i].socket >= 0)
            hang_up(peer, &peer->calls[i]);
    free(peer->calls);
    close(peer->listener);
}
