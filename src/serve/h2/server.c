/*
 * The transport on nghttp2: its loop, its thread, and their end. What the other modules of the
 * transport do is in state.h.
 */

#include "serve/h2/server.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "serve/h2/call/call.h"
#include "serve/h2/call/call_answer.h"
#include "serve/h2/call/limits.h"
#include "serve/h2/connection.h"
#include "serve/h2/io.h"
#include "serve/h2/listener.h"
#include "serve/h2/output.h"
#include "serve/h2/session.h"

#include <errno.h>
#include <malloc.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Calls that a turn ends for their time or their session's end: 20,000 take 17 ms. */
enum { MAX_ENDS_PER_TURN = 1000 };

/* Of all connections, in a turn. */
enum { WRITE_US = 2000 };

/* What a connection takes, with answers to requests that were refused, in calls. */
enum { CALLS_OF_A_CONNECTION = 20 };

/* How exactly time limits of connections are held. */
enum { SWEEP_MS = 250 };

/* ---- the turn ---- */

/* Only those that are touched now: what writing leads to waits for the next turn, as do those that
 * no time is left for. */
static void flush_touched(struct h2_server *server)
{
    struct h2_connection *last = TAILQ_LAST(&server->touched, h2_touched);
    server->writes_until_us = clock_now_us() + WRITE_US;
    server->flushes++;
    for (struct h2_connection *connection; (connection = TAILQ_FIRST(&server->touched)) != NULL;) {
        bool was_last = connection == last;
        h2_io_flush(connection);
        if (was_last || clock_now_us() >= server->writes_until_us)
            return;
    }
}

static void check_connections(struct h2_server *server)
{
    struct h2_connection *next;
    for (struct h2_connection *connection = TAILQ_FIRST(&server->connections); connection != NULL;
         connection = next) {
        next = TAILQ_NEXT(connection, all);
        h2_connection_check(connection);
    }
}

static void sweep(struct h2_server *server)
{
    bool is_needed = server->connection_count > 0 || server->is_paused;
    if (!is_needed)
        server->sweep_ms = CLOCK_NEVER;
    else if (server->sweep_ms == CLOCK_NEVER)
        server->sweep_ms = server->now_ms + SWEEP_MS;
    if (server->now_ms < server->sweep_ms)
        return;
    server->sweep_ms = server->now_ms + SWEEP_MS;
    check_connections(server);
    h2_listener_resume(server);
}

/* Something was left to the next turn. */
static bool has_more(const struct h2_server *server)
{
    const struct h2_call *expected = TAILQ_FIRST(&server->expected);
    bool has_late = !TAILQ_EMPTY(&server->late) || (server->ends_left == 0 && expected != NULL &&
                                                    expected->expected_ms <= server->now_ms);
    return has_late || !TAILQ_EMPTY(&server->touched) || !TAILQ_EMPTY(&server->unread) ||
           !TAILQ_EMPTY(&server->readable) || !TAILQ_EMPTY(&server->ending);
}

static void set_timer(struct h2_server *server)
{
    int64_t due_ms = clock_earlier(server->due_ms, server->sweep_ms);
    due_ms = clock_earlier(due_ms, server->trim.due_ms);
    due_ms = clock_earlier(due_ms, atomic_load(&server->drain_by_ms));
    if (has_more(server))
        due_ms = server->now_ms;
    if (due_ms == server->timer_ms && due_ms > server->now_ms)
        return; /* it is set already */

    server->timer_ms = due_ms;
    event_del(server->timer);
    if (due_ms == CLOCK_NEVER)
        return;
    int64_t left_ms = due_ms > server->now_ms ? due_ms - server->now_ms : 0;
    const struct timeval left = {.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000};
    event_add(server->timer, &left);
}

static void timer_expired(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct h2_server *server = argument;
    server->timer_ms = CLOCK_NEVER;
}

/* ---- the drain ---- */

static void begin_drain(struct h2_server *server)
{
    struct h2_connection *next;
    server->draining = true;
    h2_listener_close(server);
    server->handler->drain(server->handler->context);
    for (struct h2_connection *connection = TAILQ_FIRST(&server->connections); connection != NULL;
         connection = next) {
        next = TAILQ_NEXT(connection, all);
        h2_connection_close_gracefully(connection);
    }
}

/* Nobody's calls are left that would have to wait meanwhile: all end now. */
static void cut_connections(struct h2_server *server)
{
    struct h2_connection *connection;
    server->ends_left = SIZE_MAX;
    server->writes_until_us = INT64_MAX;
    h2_connection_end_calls(server);
    while ((connection = TAILQ_FIRST(&server->connections)) != NULL)
        server->cancelled += h2_output_abort(connection);
}

void h2_server_turn(struct h2_server *server, int flags)
{
    server->handshakes_until_us = 0;
    server->ends_left = MAX_ENDS_PER_TURN;
    server->delivers_until_us = 0;
    server->polled_ms = clock_now_ms();
    /* Once: what is ready stays so until it is read. */
    event_base_loop(server->base, flags | EVLOOP_ONCE);
    h2_io_read(server);
    server->now_ms = clock_now_ms();
    h2_connection_end_calls(server);
    h2_calls_check(server);
    int64_t drain_by_ms = atomic_load(&server->drain_by_ms);
    if (drain_by_ms != CLOCK_NEVER && !server->draining)
        begin_drain(server);

    h2_call_deliver_unread(server);
    server->due_ms = server->handler->turn(server->handler->context, server->now_ms);
    sweep(server);
    flush_touched(server);
    if (server->draining && server->now_ms >= drain_by_ms)
        cut_connections(server);
    size_t in_calls = server->call_count + CALLS_OF_A_CONNECTION * server->connection_count;
    if (trim_due(&server->trim, in_calls, server->now_ms))
        malloc_trim(0);
    set_timer(server);
}

static void *h2_serve(void *argument)
{
    struct h2_server *server = argument;
    do
        h2_server_turn(server, 0);
    while (!server->draining || server->connection_count > 0 || !TAILQ_EMPTY(&server->ending));
    return NULL;
}

/* ---- from other threads ---- */

static void h2_wake(struct server *base)
{
    struct h2_server *server = (struct h2_server *)base;
    const uint64_t one = 1;
    if (atomic_exchange(&server->woken, true))
        return;
    while (write(server->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

/* Before the turn: what is signalled from now on needs another wake. */
static void was_woken(evutil_socket_t fd, short what, void *argument)
{
    (void)what;
    struct h2_server *server = argument;
    uint64_t count;
    while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
        continue;
    atomic_store(&server->woken, false);
}

static size_t h2_drain(struct server *base, int64_t grace_ms)
{
    struct h2_server *server = (struct h2_server *)base;
    if (server->stopped)
        return 0;
    atomic_store(&server->drain_by_ms, clock_now_ms() + grace_ms);
    h2_wake(base);
    pthread_join(server->thread, NULL);
    server->stopped = true;
    return server->cancelled;
}

static size_t h2_limit_hits(const struct server *base, struct limit_hits *ret_limits, size_t max)
{
    const struct h2_server *server = (const struct h2_server *)base;
    size_t count = max < H2_LIMITS ? max : H2_LIMITS;
    for (size_t i = 0; i < count; i++)
        ret_limits[i] = (struct limit_hits){.name = h2_limit_table[i].name,
                                            .hits = atomic_load(&server->limits.hits[i])};
    return count;
}

static uint64_t h2_failed_handshakes(const struct server *base)
{
    return atomic_load(&((const struct h2_server *)base)->failed_handshakes);
}

static void h2_use_tls(struct server *base, struct tls *tls)
{
    struct h2_server *server = (struct h2_server *)base;
    pthread_mutex_lock(&server->tls_lock);
    struct tls *old = server->tls;
    server->tls = tls;
    pthread_mutex_unlock(&server->tls_lock);
    tls_free(old);
}

/* ---- beginning and end ---- */

static void h2_free(struct server *base)
{
    struct h2_server *server = (struct h2_server *)base;
    h2_drain(base, 0);
    cut_connections(server); /* of a server that had no thread to drain it */
    h2_listener_close(server);
    if (server->waking != NULL)
        event_free(server->waking);
    if (server->timer != NULL)
        event_free(server->timer);
    if (server->base != NULL)
        event_base_free(server->base);
    if (server->wake_fd >= 0)
        close(server->wake_fd);
    nghttp2_session_callbacks_del(server->callbacks);
    nghttp2_option_del(server->session_options);
    tls_free(server->tls);
    pthread_mutex_destroy(&server->tls_lock);
    free(server);
}

static struct h2_server *new_server(const struct server_options *options,
                                    const struct call_handler *handler)
{
    struct h2_server *server = memory_new(sizeof(*server));
    server->server.transport = &transport_nghttp2;
    server->handler = handler;
    server->stopped = true;
    server->max_message_bytes = options->max_message_bytes;
    server->max_streams = options->max_streams;
    server->ping_interval_ms = options->ping_interval_ms;
    server->max_age_ms =
        options->max_connection_age_ms == 0 ? CLOCK_NEVER : options->max_connection_age_ms;
    server->client_rule = options->client_rule;
    pthread_mutex_init(&server->tls_lock, NULL);
    server->due_ms = CLOCK_NEVER;
    server->sweep_ms = CLOCK_NEVER;
    server->timer_ms = CLOCK_NEVER;
    server->wake_fd = -1;
    server->listen_fd = -1;
    server->spare_fd = -1;
    atomic_store(&server->drain_by_ms, CLOCK_NEVER);
    TAILQ_INIT(&server->connections);
    TAILQ_INIT(&server->touched);
    TAILQ_INIT(&server->expected);
    TAILQ_INIT(&server->unread);
    TAILQ_INIT(&server->readable);
    TAILQ_INIT(&server->late);
    TAILQ_INIT(&server->ending);
    trim_init(&server->trim);
    return server;
}

static bool make_loop(struct h2_server *server, struct error *error)
{
    server->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    server->base = event_base_new();
    if (server->wake_fd < 0 || server->base == NULL)
        return error_set(error, ERROR_INTERNAL, "cannot make the server's loop: %s",
                         strerror(errno));
    server->waking =
        event_new(server->base, server->wake_fd, EV_READ | EV_PERSIST, was_woken, server);
    server->timer = evtimer_new(server->base, timer_expired, server);
    event_add(server->waking, NULL);
    return true;
}

static bool start_thread(struct h2_server *server, struct error *error)
{
    h2_wake(&server->server); /* the first turn returns when the next one is due */
    int failure = pthread_create(&server->thread, NULL, h2_serve, server);
    if (failure != 0)
        return error_set(error, ERROR_INTERNAL, "cannot start the server's thread: %s",
                         strerror(failure));
    return true;
}

bool h2_server_new(const struct server_options *options, const struct call_handler *handler,
                   struct h2_server **ret_server, struct error *error)
{
    struct h2_server *server = new_server(options, handler);
    if (!h2_limits_init(&server->limits, options, error) || !make_loop(server, error)) {
        h2_free(&server->server);
        return false;
    }
    h2_session_prepare(server);
    *ret_server = server;
    return true;
}

static bool h2_start(const struct server_options *options, const struct call_handler *handler,
                     struct tls *tls, struct server **ret_server, struct error *error)
{
    struct h2_server *server = NULL;
    if (!h2_server_new(options, handler, &server, error))
        return false;
    server->tls = tls;
    if (!h2_listener_open(server, options->listen, error) || !start_thread(server, error)) {
        server->tls = NULL; /* the caller's still */
        h2_free(&server->server);
        return false;
    }
    server->stopped = false;
    *ret_server = &server->server;
    return true;
}

static void h2_libraries(struct text *text)
{
    text_addf(text, "nghttp2 %s", nghttp2_version(0)->version_str);
}

const struct transport transport_nghttp2 = {
    .libraries = h2_libraries,
    .name = "nghttp2",
    .limits = h2_limit_table,
    .check = h2_limits_check,
    .start = h2_start,
    .use_tls = h2_use_tls,
    .wake = h2_wake,
    .drain = h2_drain,
    .free = h2_free,
    .limit_hits = h2_limit_hits,
    .failed_handshakes = h2_failed_handshakes,
    .read = h2_call_read,
    .send = h2_call_send,
    .exclude_from_limit = h2_call_exclude_from_limit,
    .finish = h2_call_finish,
};
