#include "web/http/http.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/system/listen.h"
#include "web/http/address.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

/* Enough for every scraper, probe and reader at once; an attacker's share of descriptors and
 * memory. */
enum { MAX_CONNECTIONS = 64, MAX_HEADER_BYTES = 8192 };

/* Closed at once for as many that wait. The others have had the time to be read. */
enum { MAX_EVICTED = MAX_CONNECTIONS / 2 };

/* Of a Host that is refused. */
enum { MAX_SHOWN_BYTES = 256 };

/* What a client sends behind its request is read by nobody, and stays in the kernel. */
enum { MAX_UNREAD_BYTES = 2 * MAX_HEADER_BYTES };

/* The form of the login page, with the longest token percent-encoded. */
enum { MAX_FORM_BYTES = 4 * LOGIN_MAX_BYTES };

static const char stream_type[] = "text/event-stream; charset=utf-8";
static const struct timeval connection_timeout = {5, 0};
static const struct timeval pause_time = {0, 100000};
static const struct timeval moment = {0, 1000};
static const struct timeval second = {1, 0};

/* A connection's place: evhttp limits neither their number nor their time. */
struct web_connection {
    struct web *web;
    struct bufferevent
        *stream; /* a reference of ours: the descriptor stays open as long as we use it */
    struct event *deadline;
    bool has_place;        /* among those that are answered once */
    bool has_requested;    /* evhttp calls us at its end */
    struct reader *reader; /* NULL: it is answered once */
    TAILQ_ENTRY(web_connection) all;
};

struct web {
    struct web_settings settings;
    int port;
    int listen_fd; /* the listener's */
    pthread_t thread;
    struct event_base *base;
    struct evhttp *http;
    struct evconnlistener *listener; /* owned by http; NULL: it is gone */
    struct event *pause;             /* at the limit of connections, until there is room */
    struct event *tick;              /* NULL: nothing is to be done */
    struct event *stopping;
    int stop_fd;
    size_t connection_count;
    TAILQ_HEAD(, web_connection) connections; /* the oldest first; without readers */
    struct streams *streams;
};

/* ---- connections ---- */

/* It does not count among those that are answered once any more. */
static void give_place(struct web_connection *connection)
{
    struct web *web = connection->web;
    if (!connection->has_place)
        return;
    connection->has_place = false;
    TAILQ_REMOVE(&web->connections, connection, all);
    if (--web->connection_count < MAX_CONNECTIONS && web->listener != NULL)
        evconnlistener_enable(web->listener);
}

static void connection_free(struct web_connection *connection)
{
    if (connection->reader != NULL)
        streams_closed(connection->reader);
    else
        give_place(connection);
    event_free(connection->deadline);
    bufferevent_decref(connection->stream);
    free(connection);
}

/* evhttp sees its connection end, and frees it. */
static void connection_is_late(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct web_connection *connection = argument;
    int own_fd = bufferevent_getfd(connection->stream);
    if (own_fd >= 0)
        shutdown(own_fd, SHUT_RDWR);
    if (!connection->has_requested)
        connection_free(connection);
}

static void connection_closed(struct evhttp_connection *evhttp_connection, void *argument)
{
    (void)evhttp_connection;
    connection_free(argument);
}

/* New connections wait in the kernel's queue until what the present ones have sent is read. */
static void pause_listener(struct web *web)
{
    evconnlistener_disable(web->listener);
    evtimer_add(web->pause, &moment);
}

/* The first of the address that has the most: probes and scrapers have few. Not NULL, as there are
 * some. */
static struct web_connection *find_victim(const struct web *web)
{
    struct web_address addresses[MAX_CONNECTIONS];
    size_t count = 0;
    struct web_connection *connection;
    TAILQ_FOREACH(connection, &web->connections, all)
        if (count < MAX_CONNECTIONS)
            addresses[count++] = web_address_of(bufferevent_getfd(connection->stream));
    size_t index = web_address_commonest(addresses, count);
    for (connection = TAILQ_FIRST(&web->connections); index > 0; index--)
        connection = TAILQ_NEXT(connection, all);
    return connection;
}

/* How many wait in the kernel's queue; 0 where it does not know. */
static size_t count_waiting(const struct web *web)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);
    return getsockopt(web->listen_fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0
               ? info.tcpi_unacked
               : 0;
}

/* At the limit connections are closed for those that wait: silent ones must not lock out probes and
 * scrapers, however fast they come. Where one has sent a request, evhttp reports its end in the
 * next turn. */
static void make_room(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct web *web = argument;
    size_t waiting = count_waiting(web);
    size_t wanted = waiting < 1 ? 1 : waiting > MAX_EVICTED ? MAX_EVICTED : waiting;
    bool is_full = web->connection_count >= MAX_CONNECTIONS;
    while (is_full && web->connection_count + wanted > MAX_CONNECTIONS) {
        struct web_connection *victim = find_victim(web);
        give_place(victim);
        connection_is_late(-1, 0, victim);
    }
}

/* evhttp calls this for the stream of a connection that it has accepted. */
static struct bufferevent *connection_new(struct event_base *base, void *argument)
{
    struct web *web = argument;
    struct web_connection *connection = memory_new(sizeof(*connection));
    connection->web = web;
    connection->has_place = true;
    connection->stream = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_incref(connection->stream);
    bufferevent_setwatermark(connection->stream, EV_READ, 0, MAX_UNREAD_BYTES);
    connection->deadline = evtimer_new(base, connection_is_late, connection);
    evtimer_add(connection->deadline, &connection_timeout);
    TAILQ_INSERT_TAIL(&web->connections, connection, all);
    if (++web->connection_count >= MAX_CONNECTIONS)
        pause_listener(web);
    return connection->stream;
}

/* The end of a connection with a request is reported by evhttp, and frees its place. */
static struct web_connection *watch_end(struct web *web,
                                        struct evhttp_connection *evhttp_connection)
{
    struct web_connection *connection;
    const struct bufferevent *stream = evhttp_connection_get_bufferevent(evhttp_connection);
    TAILQ_FOREACH(connection, &web->connections, all)
        if (connection->stream == stream) {
            connection->has_requested = true;
            evhttp_connection_set_closecb(evhttp_connection, connection_closed, connection);
            return connection;
        }
    return NULL;
}

static void resume(evutil_socket_t fd, short what, void *listener)
{
    (void)fd;
    (void)what;
    evconnlistener_enable(listener);
}

/* Out of descriptors: the connection stays in the queue, and would be reported again and again. */
static void accept_failed(struct evconnlistener *listener, void *http)
{
    (void)http;
    evconnlistener_disable(listener);
    event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, resume, listener,
                    &pause_time);
}

/* ---- requests ---- */

static void request_done(struct web_request *request)
{
    for (size_t i = 0; i < request->below_count; i++)
        free(request->below[i]);
    if (request->parameters != NULL)
        evhttp_clear_headers(request->parameters);
}

const char *web_parameter(const struct web_request *request, const char *name)
{
    return evhttp_find_header(request->parameters, name);
}

/* False: more segments than any page has, or an empty one. */
static bool split_path(const char *path, struct web_request *request)
{
    while (*path != '\0') {
        size_t length = strcspn(path, "/");
        if (length == 0 || request->below_count == WEB_MAX_SEGMENTS)
            return false;
        _cleanup_(memory_free) char *raw = text_copy_bytes(path, length);
        request->below[request->below_count++] = evhttp_uridecode(raw, 0, NULL);
        path += length;
        path += *path == '/';
    }
    return true;
}

static const struct web_page *find_page(const struct web *web, const char *path,
                                        struct web_request *request)
{
    const struct web_page *page;
    for (page = web->settings.pages; page->path != NULL; page++) {
        if (text_equal(page->path, path))
            return page;
        if (text_ends_with(page->path, "/") && text_starts_with(path, page->path))
            return split_path(path + strlen(page->path), request) ? page : NULL;
    }
    return NULL;
}

static void refuse(struct web_answer *answer, int code, const char *text)
{
    answer->code = code;
    text_add(&answer->body, text);
}

static void refuse_method(struct evhttp_request *request, struct web_answer *answer)
{
    evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
    refuse(answer, HTTP_BADMETHOD, "method not allowed: only GET and HEAD\n");
}

/* "a=1&b" as well: evhttp knows no parameter without a value. */
static bool parse_parameters(const char *query, struct evkeyvalq *ret_parameters)
{
    _cleanup_(text_done) struct text all = {0};
    while (query != NULL && *query != '\0') {
        size_t length = strcspn(query, "&");
        text_add_bytes(&all, query, length);
        text_add(&all, memchr(query, '=', length) == NULL ? "=" : "");
        text_add(&all, query[length] == '&' ? "&" : "");
        query += length + (query[length] == '&');
    }
    return all.length == 0 || evhttp_parse_query_str(all.bytes, ret_parameters) == 0;
}

/* "devbox" of "devbox:9091", the address to listen on. */
static bool is_own_name(const struct web *web, const char *header)
{
    const char *listen = web->settings.listen;
    size_t length = (size_t)(strrchr(listen, ':') - listen);
    return length > 0 && strncasecmp(listen, header, length) == 0 &&
           (header[length] == '\0' || header[length] == ':');
}

/* The Host, or that of a whole URL; one that is not permitted. NULL: all are, or there is none, as
 * a browser always sends one. */
static const char *refused_host(const struct web *web, struct evhttp_request *request)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *of_uri = uri == NULL ? NULL : evhttp_uri_get_host(uri);
    const struct evkeyval *header;
    if (of_uri != NULL && !web_host_is_permitted(&web->settings.hosts, of_uri) &&
        !is_own_name(web, of_uri))
        return of_uri;
    TAILQ_FOREACH(header, evhttp_request_get_input_headers(request), next)
        if (strcasecmp(header->key, "Host") == 0 &&
            !web_host_is_permitted(&web->settings.hosts, header->value) &&
            !is_own_name(web, header->value))
            return header->value;
    return NULL;
}

/* ---- the login ---- */

static const char *header_of(struct evhttp_request *request, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(request), name);
}

static void add_header(struct evhttp_request *request, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(request), name, value);
}

static int64_t unix_s(void)
{
    return (int64_t)clock_unix_s(clock_now_ms());
}

static void redirect(struct evhttp_request *request, struct web_answer *answer, const char *path)
{
    answer->code = 303;
    add_header(request, "Location", path);
}

/* Browsers ask for HTML when somebody goes to a page, and keep its fragment. */
static void refuse_stranger(struct evhttp_request *request, struct web_answer *answer)
{
    const char *accept = header_of(request, "Accept");
    if (accept != NULL && text_starts_with(accept, "text/html")) {
        redirect(request, answer, "/login");
        return;
    }
    add_header(request, "WWW-Authenticate", "Bearer realm=\"Backlog\"");
    refuse(answer, 401,
           "a token is needed: \"Authorization: Bearer TOKEN\" with that of the server's "
           "--http-token-file\n");
}

/* POST /login with the token as a form, and POST /logout. False: it is neither. */
static bool change_session(const struct web *web, struct evhttp_request *request, const char *path,
                           struct web_answer *answer)
{
    if (text_equal(path, "/logout")) {
        add_header(request, "Set-Cookie", login_no_cookie);
        redirect(request, answer, "/login");
        return true;
    }
    if (!text_equal(path, "/login"))
        return false;
    struct evbuffer *body = evhttp_request_get_input_buffer(request);
    size_t length = evbuffer_get_length(body);
    const char *proxied = header_of(request, "X-Forwarded-Proto");
    struct evkeyvalq form;
    TAILQ_INIT(&form);
    _cleanup_(memory_free) char *bytes =
        text_copy_bytes((const char *)evbuffer_pullup(body, -1), length);
    bool is_form = length > 0 && parse_parameters(bytes, &form);
    _cleanup_(memory_free) char *cookie =
        login_cookie(web->settings.login, is_form ? evhttp_find_header(&form, "token") : NULL,
                     proxied != NULL && text_equal(proxied, "https"), unix_s());
    if (cookie != NULL)
        add_header(request, "Set-Cookie", cookie);
    redirect(request, answer, cookie != NULL ? "/" : "/login?wrong");
    evhttp_clear_headers(&form);
    return true;
}

/* Returns the page where it is a stream: it is not written here. */
static const struct web_page *write_answer(const struct web *web,
                                           struct evhttp_request *evhttp_request,
                                           struct web_answer *answer)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(evhttp_request);
    const char *path = uri == NULL ? NULL : evhttp_uri_get_path(uri);
    const char *query = uri == NULL ? NULL : evhttp_uri_get_query(uri);
    struct evkeyvalq parameters;
    TAILQ_INIT(&parameters);
    _cleanup_(memory_free) char *target = text_format(
        "%s%s%s", path == NULL ? "" : path, query == NULL ? "" : "?", query == NULL ? "" : query);
    _cleanup_(request_done) struct web_request request = {.target = target,
                                                          .parameters = &parameters};

    const char *host = refused_host(web, evhttp_request);
    if (host != NULL) {
        answer->code = 403;
        text_addf(&answer->body,
                  "host \"%.*s\" is not permitted: use an IP address or localhost, or add the name "
                  "to --http-hosts of the server\n",
                  (int)text_cut(host, MAX_SHOWN_BYTES), host);
        return NULL;
    }
    const struct login *login = web->settings.login;
    if (evhttp_request_get_command(evhttp_request) == EVHTTP_REQ_POST) {
        if (login == NULL || path == NULL || !change_session(web, evhttp_request, path, answer))
            refuse_method(evhttp_request, answer);
        return NULL;
    }
    if (!parse_parameters(query, &parameters)) {
        refuse(answer, HTTP_BADREQUEST, "invalid query string\n");
        return NULL;
    }
    const struct web_page *page = path == NULL ? NULL : find_page(web, path, &request);
    if (login != NULL && (page == NULL || !page->is_open) &&
        !login_permits(login, header_of(evhttp_request, "Authorization"),
                       header_of(evhttp_request, "Cookie"), unix_s())) {
        refuse_stranger(evhttp_request, answer);
        return NULL;
    }
    if (page != NULL && page->stream != NULL)
        return page;
    if (page != NULL)
        page->get(page->context, &request, answer);
    else
        refuse(answer, HTTP_NOTFOUND, "page not found\n");
    return NULL;
}

/* Pages load nothing from elsewhere, and nobody shows them in a frame. */
static void add_headers(struct evkeyvalq *headers, const char *type)
{
    evhttp_add_header(headers, "Content-Type", type);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
    evhttp_add_header(headers, "Content-Security-Policy",
                      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                      "connect-src 'self'; base-uri 'none'; form-action 'self'; "
                      "frame-ancestors 'none'");
}

static void send_answer(struct evhttp_request *evhttp_request, const struct web_answer *answer)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(evhttp_request);
    _cleanup_(memory_free) char *length = text_format("%zu", answer->body.length);
    add_headers(headers, answer->type);
    evhttp_add_header(headers, "Content-Length", length);
    evhttp_add_header(headers, "Connection", "close");
    if (evhttp_request_get_command(evhttp_request) != EVHTTP_REQ_HEAD)
        evbuffer_add(evhttp_request_get_output_buffer(evhttp_request), answer->body.bytes,
                     answer->body.length);
    evhttp_send_reply(evhttp_request, answer->code, NULL, NULL);
}

/* From here on it is a reader, which neither the deadline nor the limit of connections concerns. */
static bool open_stream(struct web *web, const struct web_page *page,
                        struct web_connection *connection, struct evhttp_request *evhttp_request)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(evhttp_request);
    if (connection == NULL ||
        !streams_make_room(web->streams, evhttp_request_get_connection(evhttp_request)))
        return false;
    add_headers(headers, stream_type);
    evtimer_del(connection->deadline);
    give_place(connection);
    connection->reader = streams_open(web->streams, page->stream, page->context, evhttp_request);
    return true;
}

static void answer_request(struct evhttp_request *evhttp_request, void *argument)
{
    struct web *web = argument;
    const struct web_page *stream = NULL;
    struct web_answer answer = {.code = HTTP_OK, .type = "text/plain; charset=utf-8"};
    enum evhttp_cmd_type method = evhttp_request_get_command(evhttp_request);

    struct web_connection *connection =
        watch_end(web, evhttp_request_get_connection(evhttp_request));
    if (method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD || method == EVHTTP_REQ_POST)
        stream = write_answer(web, evhttp_request, &answer);
    else
        refuse_method(evhttp_request, &answer);
    if (stream != NULL && method == EVHTTP_REQ_GET &&
        open_stream(web, stream, connection, evhttp_request))
        return;
    if (stream != NULL && method == EVHTTP_REQ_HEAD)
        answer.type = stream_type;
    else if (stream != NULL)
        refuse(&answer, 503, "too many readers of this page are connected: try again later\n");
    send_answer(evhttp_request, &answer);
    text_done(&answer.body);
}

/* ---- the server ---- */

static void stop(evutil_socket_t fd, short what, void *argument)
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
    struct web_connection *connection;
    struct web_connection *next;
    web->listener = NULL;
    evhttp_free(web->http); /* its connections and its listener with it */
    for (connection = TAILQ_FIRST(&web->connections); connection != NULL; connection = next) {
        next = TAILQ_NEXT(connection, all);
        connection_free(connection);
    }
    streams_free(web->streams);
    event_free(web->pause);
    if (web->tick != NULL)
        event_free(web->tick);
    event_free(web->stopping);
    event_base_free(web->base);
    close(web->stop_fd);
    free(web);
}

static void tick(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct web *web = argument;
    if (web->settings.login != NULL && login_renew(web->settings.login))
        streams_disconnect(web->streams);
    if (web->settings.tick != NULL)
        web->settings.tick(web->settings.tick_context);
}

static void make_http(struct web *web, int fd)
{
    web->base = event_base_new();
    web->streams = streams_new(web->base);
    web->http = evhttp_new(web->base);
    evhttp_set_max_headers_size(web->http, MAX_HEADER_BYTES);
    evhttp_set_max_body_size(web->http, web->settings.login == NULL ? 0 : MAX_FORM_BYTES);
    evhttp_set_bevcb(web->http, connection_new, web);
    evhttp_set_gencb(web->http, answer_request, web);

    web->listener = evconnlistener_new(web->base, NULL, NULL,
                                       LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    evhttp_bind_listener(web->http, web->listener);
    evconnlistener_set_error_cb(web->listener, accept_failed);
    web->pause = evtimer_new(web->base, make_room, web);
    if (web->settings.login != NULL || web->settings.tick != NULL) {
        web->tick = event_new(web->base, -1, EV_PERSIST, tick, web);
        event_add(web->tick, &second);
    }
    web->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    web->stopping = event_new(web->base, web->stop_fd, EV_READ, stop, web->base);
    event_add(web->stopping, NULL);
}

bool web_start(const struct web_settings *settings, struct web **ret_web, struct error *error)
{
    int fd = listen_open(settings->listen, error);
    if (fd < 0)
        return false;
    struct web *web = memory_new(sizeof(*web));
    web->settings = *settings;
    web->listen_fd = fd;
    TAILQ_INIT(&web->connections);
    web->port = listen_port(fd);
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
