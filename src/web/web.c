#include "web/web.h"

#include "base/memory.h"
#include "base/system/listen.h"
#include "web/http/page.h"
#include "web/http/web_connections.h"
#include "web/http/web_instance.h"
#include "web/http/web_route.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const struct timeval second = {1, 0};

struct web {
    struct web_settings settings;
    int port;
    pthread_t thread;
    struct event_base *base;
    struct evhttp *http;
    struct web_connections *connections;
    struct web_streams *streams;
    struct event *tick; /* NULL: there is nothing to do once per second */
    struct event *stopping;
    int stop_fd;
};

/* ---- responses ---- */

/* Pages load nothing from other origins, and no page shows them in a frame. */
static void add_headers(struct evkeyvalq *headers, const char *type, bool is_immutable)
{
    char instance[WEB_INSTANCE_BYTES];
    evhttp_add_header(headers, "Content-Type", type);
    evhttp_add_header(headers, WEB_INSTANCE_HEADER, web_instance(instance));
    evhttp_add_header(headers, "Cache-Control",
                      is_immutable ? "public, max-age=31536000, immutable" : "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
    evhttp_add_header(headers, "Content-Security-Policy",
                      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                      "connect-src 'self'; base-uri 'none'; form-action 'self'; "
                      "frame-ancestors 'none'");
}

static void free_body(const void *bytes, size_t length, void *body)
{
    (void)bytes;
    (void)length;
    free(body);
}

/* Takes the body. */
static void send_response(struct evhttp_request *evhttp_request, struct page_response *response,
                          bool is_head)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(evhttp_request);
    _cleanup_(memory_free) char *length = text_format("%zu", response->body.length);
    add_headers(headers, response->type, response->is_immutable);
    evhttp_add_header(headers, "Content-Length", length);
    evhttp_add_header(headers, "Connection", "close");
    if (!is_head) {
        size_t bytes = response->body.length;
        char *body = text_take(&response->body);
        evbuffer_add_reference(evhttp_request_get_output_buffer(evhttp_request), body, bytes,
                               free_body, body);
    }
    evhttp_send_reply(evhttp_request, response->code, NULL, NULL);
}

static void add_stream_headers(struct evkeyvalq *headers)
{
    add_headers(headers, "text/event-stream; charset=utf-8", false);
    evhttp_add_header(headers, "X-Accel-Buffering", "no"); /* nginx sends each event at once */
}

/* The response to HEAD has no Content-Length, as that to GET has none (RFC 9110, 8.6). */
static void send_stream_head(struct evhttp_request *evhttp_request)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(evhttp_request);
    add_stream_headers(headers);
    evhttp_add_header(headers, "Connection", "close");
    evhttp_send_reply(evhttp_request, 200, NULL, NULL);
}

/* True: the response has begun, and goes on as long as the stream. False: `response` says why not.
 */
static bool open_stream(struct web *web, const struct web_page *page,
                        struct web_connection *connection, struct evhttp_request *evhttp_request,
                        int64_t ends_s, struct page_response *response)
{
    if (!web_streams_admit(web->streams, evhttp_request_get_connection(evhttp_request))) {
        page_response_refuse(response, 503,
                             "too many readers of this page are connected: try again later");
        return false;
    }
    add_stream_headers(evhttp_request_get_output_headers(evhttp_request));
    web_connection_set_reader(connection, web_streams_open(web->streams, page->stream,
                                                           page->context, evhttp_request, ends_s));
    return true;
}

static void respond(struct evhttp_request *evhttp_request, void *argument)
{
    struct web *web = argument;
    struct page_response response = {.code = 200, .type = page_response_type_text};
    _cleanup_(page_request_done) struct page_request request = {0};
    bool is_head = evhttp_request_get_command(evhttp_request) == EVHTTP_REQ_HEAD;

    struct web_connection *connection = web_connections_begin_request(
        web->connections, evhttp_request_get_connection(evhttp_request));
    if (connection == NULL) { /* closed already: nobody reads the response */
        response.code = 503;
        send_response(evhttp_request, &response, is_head);
        return;
    }
    const struct web_page *page =
        web_route_find(&web->settings, evhttp_request, &request, &response);
    if (page != NULL && page->stream != NULL) {
        if (is_head) {
            web_connection_begin_deadline(connection);
            send_stream_head(evhttp_request);
            return;
        }
        if (open_stream(web, page, connection, evhttp_request, request.ends_s, &response))
            return;
    } else if (page != NULL)
        page->get(page->context, &request, &response);
    if (!is_head && !web_connection_reserve_bytes(connection, response.body.length))
        page_response_refuse(&response, 503, "other responses are not read yet: try again later");
    web_connection_begin_deadline(connection);
    send_response(evhttp_request, &response, is_head);
    text_done(&response.body);
}

/* ---- the server ---- */

static void stop_serving(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(argument);
}

static void *serve_pages(void *argument)
{
    struct web *web = argument;
    event_base_dispatch(web->base);
    return NULL;
}

static void web_free(struct web *web)
{
    web_connections_free(web->connections, web->http);
    web_streams_free(web->streams);
    if (web->tick != NULL)
        event_free(web->tick);
    event_free(web->stopping);
    event_base_free(web->base);
    close(web->stop_fd);
    free(web);
}

static void tick_each_second(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct web *web = argument;
    if (web->settings.login != NULL && web_login_renew(web->settings.login))
        web_streams_disconnect(web->streams);
    if (web->settings.tick != NULL)
        web->settings.tick(web->settings.tick_context);
}

/* False: there are no descriptors. */
static bool make_loop(struct web *web)
{
    web->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (web->stop_fd < 0)
        return false;
    web->base = event_base_new();
    if (web->base == NULL)
        close(web->stop_fd);
    return web->base != NULL;
}

static void make_http(struct web *web, int fd)
{
    web->streams = web_streams_new(web->base);
    web->http = evhttp_new(web->base);
    evhttp_set_max_headers_size(web->http, WEB_CONNECTION_MAX_HEADER_BYTES);
    evhttp_set_max_body_size(web->http, web->settings.login == NULL ? 0 : WEB_ROUTE_MAX_FORM_BYTES);
    /* All methods: evhttp would refuse the others itself, with a page of its own. */
    evhttp_set_allowed_methods(web->http, UINT16_MAX);
    evhttp_set_gencb(web->http, respond, web);
    web->connections = web_connections_new(
        web->http,
        evconnlistener_new(web->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0,
                           fd),
        web->settings.connection_ms);
    if (web->settings.login != NULL || web->settings.tick != NULL) {
        web->tick = event_new(web->base, -1, EV_PERSIST, tick_each_second, web);
        event_add(web->tick, &second);
    }
    web->stopping = event_new(web->base, web->stop_fd, EV_READ, stop_serving, web->base);
    event_add(web->stopping, NULL);
}

bool web_start(const struct web_settings *settings, struct web **ret_web, struct error *error)
{
    int fd = listen_open(settings->listen, error);
    if (fd < 0)
        return false;
    struct web *web = memory_new(sizeof(*web));
    web->settings = *settings;
    web->port = listen_port(fd);
    if (!make_loop(web)) {
        close(fd);
        free(web);
        return error_set(error, ERROR_LIMIT,
                         "cannot start the HTTP port: no file descriptor is left (ulimit -n)");
    }
    make_http(web, fd);
    if (pthread_create(&web->thread, NULL, serve_pages, web) != 0) {
        web_free(web);
        return error_set(error, ERROR_LIMIT, "cannot start the thread of the HTTP port");
    }
    *ret_web = web;
    return true;
}

int web_port(const struct web *web)
{
    return web->port;
}

void web_stop(struct web *web)
{
    if (web == NULL)
        return;
    eventfd_write(web->stop_fd, 1);
    pthread_join(web->thread, NULL);
    web_free(web);
}
