/*
 * The transport on the gRPC C core: the server, its two threads, and its end. What becomes of a
 * call is in call.c.
 */
#include "serve/grpc_core/state.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "serve/grpc_core/call.h"
#include "serve/grpc_core/tls.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Calls that may arrive at once without waiting for us to request the next. */
#define REQUESTS_AHEAD 128
/* Of all headers of a call. Ours need a few hundred bytes; a proxy's tracing and tokens some more.
 */
#define METADATA_BYTES 16384
#define HANDSHAKE_MS 20000
/* Clients may ping this often, also while they call nothing; faster ones are thrown out by the
 * core. */
#define CLIENT_PING_MS 5000
/* How long a drain without calls waits for the connections to close: a peer that is stopped or lost
 * would hold it up. */
#define LINGER_MS 1000
/* For the calls of a connection that has come of age; the service's own deadline is below it. */
#define AGE_GRACE_MS 10000

/* Where this thread collects the errors of the core, instead of in the log; NULL: it does not. */
static _Thread_local struct text *captured;

/* The core logs an error for each failed handshake, and any client can cause one. */
static bool is_time_to_warn(void)
{
    enum { WARN_EVERY_MS = 1000 };
    static atomic_llong next_ms;
    int64_t now_ms = clock_now_ms();
    long long due_ms = atomic_load(&next_ms);
    return now_ms >= due_ms &&
           atomic_compare_exchange_strong(&next_ms, &due_ms, now_ms + WARN_EVERY_MS);
}

/* The core's messages name peers, addresses and its own state, not the content of calls. */
static void log_core(gpr_log_func_args *args)
{
    if (args->severity == GPR_LOG_SEVERITY_ERROR && captured != NULL)
        text_add(captured, args->message);
    else if (args->severity == GPR_LOG_SEVERITY_ERROR && is_time_to_warn())
        log_warning("gRPC: %s", args->message);
    else
        log_debug("gRPC: %s", args->message);
}

static gpr_timespec queue_deadline(int64_t due_ms)
{
    if (due_ms == CLOCK_NEVER)
        return core.gpr_inf_future(GPR_CLOCK_MONOTONIC);
    gpr_timespec left = core.gpr_time_from_millis(clock_left_ms(due_ms, INT_MAX), GPR_TIMESPAN);
    return core.gpr_time_add(core.gpr_now(GPR_CLOCK_MONOTONIC), left);
}

/* Starts what the hooks ordered, and ends the calls that are over. */
static void settle(struct core_server *server)
{
    for (struct core_call *call; (call = core_call_touched(server)) != NULL;)
        core_call_advance(call);
}

/* One event, or none when the time has come, and all that follows from it. Returns when to be back.
 */
static int64_t take_turn(struct core_server *server, const grpc_event *event)
{
    pthread_mutex_lock(&server->lock);
    if (event->type == GRPC_OP_COMPLETE) {
        const struct operation *operation = event->tag;
        operation->done(operation->owner, event->success != 0);
        settle(server);
    }

    int64_t now_ms = clock_now_ms();
    if (event->type == GRPC_OP_COMPLETE || now_ms >= server->due_ms) {
        server->due_ms = server->handler->turn(server->handler->context, now_ms);
        settle(server);
    }

    bool trim = trim_due(&server->trim, server->live, now_ms);
    int64_t due_ms = server->due_ms < server->trim.due_ms ? server->due_ms : server->trim.due_ms;
    if (server->draining)
        pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);

    if (trim)
        malloc_trim(0);
    return due_ms;
}

/*
 * Whoever took the last turn knows when the next is due, and waits until then at most; the other
 * thread may sleep longer, or wake early and find nothing to do.
 */
static void *core_serve(void *argument)
{
    struct core_server *server = argument;
    for (int64_t due_ms = CLOCK_NEVER;;) {
        grpc_event event =
            core.grpc_completion_queue_next(server->queue, queue_deadline(due_ms), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        due_ms = take_turn(server, &event);
    }
}

static void core_wake(struct server *base)
{
    struct core_server *server = (struct core_server *)base;
    if (!atomic_exchange(&server->woken, true))
        core.grpc_call_start_batch(server->waker, NULL, 0, &server->wake, NULL);
}

/* Before the turn: what is signalled from now on needs another wake. */
static void was_woken(void *owner, bool success)
{
    (void)success;
    struct core_server *server = owner;
    atomic_store(&server->woken, false);
}

static void was_shut(void *owner, bool success)
{
    (void)success;
    struct core_server *server = owner;
    server->shut_down = true;
}

static grpc_arg int_argument(const char *key, int64_t value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER,
                      .key = (char *)key,
                      .value.integer = value > INT_MAX ? INT_MAX : (int)value};
}

static bool core_check_options(const struct server_options *options, struct error *error)
{
    if (options->max_connections > 0)
        error_add(error,
                  "--max-clients needs --transport nghttp2: the transport grpc-core does not "
                  "limit connections");
    if (options->max_peer_connections > 0)
        error_add(error,
                  "--max-peer-clients needs --transport nghttp2: the transport grpc-core does "
                  "not limit connections");
    if (options->limit_count > 0)
        error_add(error,
                  "--client-limits needs --transport nghttp2: the transport grpc-core has no "
                  "such limits");
    return !error_is_set(error);
}

static int64_t or_never(int64_t number)
{
    return number == 0 ? INT_MAX : number; /* which the core takes for no limit */
}

/* Of a connection. A client that has as many waits in silence with the next, so the service must be
 * the one to refuse what is beyond the limit. */
static int64_t max_calls(const struct server_options *options)
{
    enum { BESIDE_STREAMS = 10000 };
    return options->max_streams == 0 ? 0 : 2 * (int64_t)options->max_streams + BESIDE_STREAMS;
}

static grpc_server *new_handle(const struct server_options *options)
{
    grpc_arg arguments[] = {
        int_argument(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int64_t)options->max_message_bytes),
        int_argument(GRPC_ARG_MAX_METADATA_SIZE, METADATA_BYTES),
        int_argument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, HANDSHAKE_MS),
        /* Or a second server would take half of the first one's connections, without an error. */
        int_argument(GRPC_ARG_ALLOW_REUSEPORT, 0),
        int_argument(GRPC_ARG_MAX_CONCURRENT_STREAMS, or_never(max_calls(options))),
        int_argument(GRPC_ARG_MAX_CONNECTION_AGE_MS, or_never(options->max_connection_age_ms)),
        int_argument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, AGE_GRACE_MS),
        int_argument(GRPC_ARG_KEEPALIVE_TIME_MS, options->ping_interval_ms),
        int_argument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, options->ping_interval_ms),
        int_argument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        int_argument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        int_argument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, CLIENT_PING_MS),
    };
    const grpc_channel_args all = {.num_args = ARRAY_LENGTH(arguments), .args = arguments};
    return core.grpc_server_create(&all, NULL);
}

static bool start_threads(struct core_server *server, struct error *error)
{
    for (size_t i = 0; i < ARRAY_LENGTH(server->threads); i++) {
        int failure = pthread_create(&server->threads[i], NULL, core_serve, server);
        if (failure != 0)
            return error_set(error, ERROR_INTERNAL, "cannot start a thread for gRPC: %s",
                             strerror(failure));
        server->thread_count++;
    }
    return true;
}

/* The queue's end, and with it the threads'. A batch after that would abort the process. */
static void stop_threads(struct core_server *server)
{
    core.grpc_completion_queue_shutdown(server->queue);
    if (server->thread_count == 0) /* somebody must take the shutdown event */
        core.grpc_completion_queue_next(server->queue, queue_deadline(CLOCK_NEVER), NULL);
    for (size_t i = 0; i < server->thread_count; i++)
        pthread_join(server->threads[i], NULL);
    server->stopped = true;
}

static void release(struct core_server *server)
{
    if (!server->stopped)
        stop_threads(server);
    core.grpc_call_unref(server->waker);
    core.grpc_channel_destroy(server->lame);
    core.grpc_server_destroy(server->handle);
    core.grpc_completion_queue_destroy(server->queue);
    core.grpc_shutdown();
    tls_free(server->tls);
    pthread_mutex_destroy(&server->tls_lock);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

static struct core_server *new_server(const struct server_options *options,
                                      const struct call_handler *handler)
{
    core.grpc_init();
    core.gpr_set_log_function(log_core);

    struct core_server *server = memory_new(sizeof(*server));
    server->server.transport = &transport_grpc_core;
    server->handler = handler;
    server->wake = (struct operation){.owner = server, .done = was_woken};
    server->shut = (struct operation){.owner = server, .done = was_shut};
    server->due_ms = CLOCK_NEVER;
    trim_init(&server->trim);
    STAILQ_INIT(&server->touched);
    server->client_rule = options->client_rule;
    pthread_mutex_init(&server->tls_lock, NULL);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);

    server->queue = core.grpc_completion_queue_create_for_next(NULL);
    server->handle = new_handle(options);
    core.grpc_server_register_completion_queue(server->handle, server->queue, NULL);
    server->lame =
        core.grpc_lame_client_channel_create("wake", GRPC_STATUS_CANCELLED, "only for wakes");
    server->waker = core.grpc_channel_create_call(server->lame, NULL, 0, server->queue,
                                                  core.grpc_slice_from_static_string("/wake"), NULL,
                                                  core.gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    return server;
}

/* The core gives the reason only in its log: ...{syscall:"bind", os_error:"Address already in
 * use"... */
static char *reason_in(const struct text *errors)
{
    static const char mark[] = "os_error:\"";
    const char *found = errors->bytes == NULL ? NULL : strstr(errors->bytes, mark);
    if (found == NULL)
        return text_copy("it must be host:port, and the host an address of this machine");
    const char *reason = found + strlen(mark);
    return text_copy_bytes(reason, strcspn(reason, "\""));
}

static bool bind_port(struct core_server *server, const char *address, struct error *error)
{
    _cleanup_(text_done) struct text errors = {0};
    grpc_server_credentials *credentials = core_tls_credentials(server);
    captured = &errors;
    server->server.port = core.grpc_server_add_http2_port(server->handle, address, credentials);
    captured = NULL;
    core.grpc_server_credentials_release(credentials);
    if (server->server.port > 0)
        return true;

    _cleanup_(memory_free) char *reason = reason_in(&errors);
    return error_invalid(error, "cannot listen on \"%s\": %s", address, reason);
}

static bool core_start(const struct server_options *options, const struct call_handler *handler,
                       struct tls *tls, struct server **ret_server, struct error *error)
{
    if (!core_check_options(options, error) || !core_library_load(error))
        return false;
    struct core_server *server = new_server(options, handler);
    server->tls = tls;
    server->requests_client_names = tls != NULL && tls->client_ca != NULL;
    if (!start_threads(server, error) || !bind_port(server, options->listen, error)) {
        server->tls = NULL; /* the caller's still */
        release(server);
        return false;
    }

    core.grpc_server_start(server->handle);
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < REQUESTS_AHEAD; i++)
        core_call_request(server);
    pthread_mutex_unlock(&server->lock);
    core_wake(&server->server); /* the first turn returns when the next one is due */
    *ret_server = &server->server;
    return true;
}

/* Waits, without the lock, for something to change; false: the time has come first. */
static bool await_change(struct core_server *server, int64_t deadline_ms)
{
    struct timespec until = clock_monotonic_after(clock_left_ms(deadline_ms, INT_MAX));
    return pthread_cond_clockwait(&server->changed, &server->lock, CLOCK_MONOTONIC, &until) !=
           ETIMEDOUT;
}

static bool is_over(const struct core_server *server)
{
    return server->live == 0 && server->shut_down;
}

static void begin_drain(struct core_server *server)
{
    if (server->draining)
        return;
    server->draining = true;
    server->handler->drain(server->handler->context);
    settle(server);
    core.grpc_server_shutdown_and_notify(server->handle, server->queue, &server->shut);
    core_wake(&server->server);
}

/* Whoever sets `woken` may start a batch, and was_woken() takes it back. Set for good here, so that
 * a wake from now on does nothing. */
static void disable_wake(struct core_server *server)
{
    while (!server->stopped && atomic_exchange(&server->woken, true))
        await_change(server, CLOCK_NEVER);
}

/*
 * A call that the core had handed to us still begins, and is waited for like the others. What
 * arrives after the shutdown, until the client has read GOAWAY, the core resets (CANCELLED) before
 * it begins; it cannot send GOAWAY first.
 */
static size_t core_drain(struct server *base, int64_t grace_ms)
{
    struct core_server *server = (struct core_server *)base;
    int64_t deadline_ms = clock_now_ms() + grace_ms;

    pthread_mutex_lock(&server->lock);
    begin_drain(server);
    for (bool in_time = true; in_time && !is_over(server);) {
        int64_t linger_ms = clock_now_ms() + LINGER_MS;
        bool is_idle = server->live == 0 && linger_ms < deadline_ms;
        in_time = await_change(server, is_idle ? linger_ms : deadline_ms);
    }

    size_t cancelled = server->live;
    if (!is_over(server))
        core.grpc_server_cancel_all_calls(server->handle);
    while (!is_over(server))
        await_change(server, CLOCK_NEVER);
    disable_wake(server);
    pthread_mutex_unlock(&server->lock);
    if (!server->stopped)
        stop_threads(server);
    return cancelled;
}

static void core_free(struct server *base)
{
    struct core_server *server = (struct core_server *)base;
    core_drain(base, 0);
    release(server);
}

static void core_libraries(struct text *text)
{
    _cleanup_(error_done) struct error error = {0};
    if (core_library_load(&error))
        text_addf(text, "gRPC core %s", core.grpc_version_string());
}

const struct transport transport_grpc_core = {
    .libraries = core_libraries,
    .name = "grpc-core",
    .check = core_check_options,
    .start = core_start,
    .use_tls = core_tls_use,
    .wake = core_wake,
    .drain = core_drain,
    .free = core_free,
    .read = core_call_read,
    .send = core_call_send,
    .finish = core_call_finish,
};
