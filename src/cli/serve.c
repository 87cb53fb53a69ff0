#include "cli/subcommands.h"

#include "base/clock.h"
#include "base/listen.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/trim.h"
#include "cli/certificates.h"
#include "cli/flags.h"
#include "cli/http_port.h"
#include "cli/reload.h"
#include "cli/serve_flags.h"
#include "config/connections.h"
#include "measure/engine.h"
#include "scale/triggers.h"
#include "serve/services/external_scaler.h"
#include "serve/services/health.h"
#include "serve/services/reflection.h"
#include "serve/transport/transport.h"

#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char about[] =
    "Usage: backlog serve [--FLAG VALUE ...]\n\n"
    "Answers KEDA's external and external-push triggers: how much work waits in Kafka, NATS\n"
    "JetStream, RabbitMQ, Redis, PostgreSQL and Prometheus (`backlog reference` has every key).\n"
    "SIGTERM: ends streams cleanly, answers the calls in progress, and exits 0.";

/* The parts, in the order in which they are made. */
struct parts {
    struct reload *reload;
    struct certificates *certificates;
    struct loop_calls *loop_calls;
    struct engine *engine;
    struct triggers *triggers;
    struct external_scaler *scaler;
    struct health *health;
    struct services *services;
    struct server *server;
    struct http_port *http;
};

/* The server once it is there: the engine is older than it. */
static _Atomic(struct server *) wakeable;

static void wake_server(void *context)
{
    (void)context;
    struct server *server = atomic_load(&wakeable);
    if (server != NULL)
        server_wake(server);
}

/* Takes the connections. */
static void make_parts(const struct serve_flags *flags, bool interval_is_set,
                       struct connections *connections, struct parts *parts)
{
    parts->loop_calls = loop_calls_new(wake_server, NULL);

    struct engine_settings engine_settings = ENGINE_DEFAULTS;
    engine_settings.interval_ms = flags->interval_ms;
    engine_settings.timeout_ms = flags->measure_deadline_ms;
    engine_settings.connect_timeout_ms = flags->measure_deadline_ms;
    engine_settings.max_connections = (size_t)flags->max_connections;
    engine_settings.max_agents = (size_t)flags->max_isolated;
    engine_settings.all_in_agents = flags->isolate_all;
    engine_settings.wake = wake_server;
    parts->engine = engine_new(&engine_settings);

    parts->triggers = triggers_new(&(struct triggers_settings){
        .scalers = scaler_list,
        .connections = connections,
        .engine = parts->engine,
        .rules = {.interval_ms = flags->interval_ms,
                  .interval_is_set = interval_is_set,
                  .hold_ms = flags->hold_ms},
        .forget_ms = flags->forget_ms,
        .deny_inline = flags->deny_inline,
        .max_inline = (size_t)flags->max_inline,
        .max = (size_t)flags->max_triggers,
        .max_bytes = SERVE_METADATA_BYTES,
    });
    parts->scaler = external_scaler_new(&(struct external_scaler_settings){
        .triggers = parts->triggers,
        .engine = parts->engine,
        .loop_calls = parts->loop_calls,
        .call_deadline_ms = flags->call_deadline_ms,
        .heartbeat_ms = flags->heartbeat_ms,
        .max_streams = (size_t)flags->max_streams,
    });

    const struct rpc_service *scaler = external_scaler_service(parts->scaler);
    parts->health = health_new(scaler->name);
    parts->services = services_new();
    services_add(parts->services, scaler);
    services_add(parts->services, health_service(parts->health));
    services_add(parts->services, &reflection_v1);
    services_add(parts->services, &reflection_v1alpha);
}

/* Once the server has drained it calls nobody any more; it outlives the engine, which may still wake it. Where
 * a part could not be started it has not drained before. */
static void free_parts(struct parts *parts)
{
    http_port_end(parts->http);
    if (parts->server != NULL)
        server_drain(parts->server, 0);
    if (parts->triggers != NULL)
        triggers_free(parts->triggers);
    if (parts->engine != NULL)
        engine_free(parts->engine);
    if (parts->scaler != NULL)
        external_scaler_free(parts->scaler);
    health_free(parts->health);
    if (parts->server != NULL)
        server_free(parts->server);
    services_free(parts->services);
    if (parts->loop_calls != NULL)
        loop_calls_free(parts->loop_calls);
    reload_end(parts->reload);
    certificates_end(parts->certificates);
}

/* Before anything is made: the C core takes 443 for a port that is missing, without an error. */
static bool check_addresses(const struct serve_flags *flags, struct error *error)
{
    return listen_check(flags->listen, "--listen", error) &&
           (flags->http == NULL || listen_check(flags->http, "--http", error));
}

static bool start(const struct serve_flags *flags, bool interval_is_set, struct parts *parts,
                  struct error *error)
{
    struct connections *connections = NULL;
    if (!check_addresses(flags, error) ||
        !certificates_begin(&flags->tls, &parts->certificates, error) ||
        !reload_begin(flags->config, &parts->reload, &connections, error))
        return false;
    make_parts(flags, interval_is_set, connections, parts);

    const struct server_options options = {
        .listen = flags->listen,
        .max_message_bytes = (size_t)flags->max_message_bytes,
        .ping_interval_ms = flags->ping_ms,
        .max_connections = (size_t)flags->max_clients,
        .max_peer_connections = (size_t)flags->max_clients_per_peer,
        .max_streams = (size_t)flags->max_streams,
        .max_connection_age_ms = flags->max_connection_age_ms,
        .limits = flags->client_limits.items,
        .limit_count = flags->client_limits.count,
        .tls = certificates_files(parts->certificates),
        .client_rule = certificates_rule(parts->certificates),
    };
    const struct transport *transport = transport_find(transport_names[flags->transport]);
    if (!server_start(transport, &options, services_hooks(parts->services), &parts->server, error))
        return false;
    atomic_store(&wakeable, parts->server);
    server_wake(parts->server); /* for what the engine signalled before */
    const struct http_port_parts http_parts = {
        .engine = parts->engine,
        .triggers = parts->triggers,
        .scaler = parts->scaler,
        .services = parts->services,
        .loop_calls = parts->loop_calls,
        .server = parts->server,
        .reload = parts->reload,
        .certificates = parts->certificates,
    };
    if (!http_port_begin(flags->http, &http_parts, &parts->http, error))
        return false;

    int host = (int)(strrchr(flags->listen, ':') - flags->listen);
    log_info("backlog %s listening on %.*s:%d", BACKLOG_VERSION, host, flags->listen,
             parts->server->port);
    return true;
}

/* Every thread inherits the mask, so that the signals come to sigtimedwait() here alone. */
static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Returns to the system what many queries took, a while after they have ended. */
static void trim_memory(struct engine *engine, struct trim *queries)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
    if (trim_due(queries, stats.queries, clock_now_ms()))
        malloc_trim(0);
}

/* Until SIGTERM or SIGINT, which it returns. */
static int main_loop(const struct parts *parts, const sigset_t *signals)
{
    const struct timespec second = {.tv_sec = 1};
    struct trim queries;
    trim_init(&queries);
    for (;;) {
        int number = sigtimedwait(signals, NULL, &second); /* -1: a second has passed */
        if (number == SIGTERM || number == SIGINT)
            return number;
        reload_check(parts->reload, number == SIGHUP, parts->loop_calls, parts->scaler);
        certificates_check(parts->certificates, number == SIGHUP, parts->server);
        trim_memory(parts->engine, &queries);
    }
}

/* A dump would have the secrets of all connections in it. Children inherit the limit. */
static void forbid_core_dumps(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
}

/* The client libraries look names up inside calls that have a deadline, and the resolver knows none: by
 * default it waits 5 s and asks twice. Who sets the variable knows better. */
static void bound_lookups(void)
{
    setenv("RES_OPTIONS", "timeout:1 attempts:1", 0);
}

static int run(const struct serve_flags *flags, bool interval_is_set)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(free_parts) struct parts parts = {0};
    sigset_t signals;

    log_init((enum log_level)flags->log_level, (enum log_format)flags->log_format);
    forbid_core_dumps();
    mallopt(M_ARENA_MAX,
            1); /* one thread allocates nearly all: others' arenas would only be larger */
    bound_lookups();
    block_signals(&signals);
    if (!start(flags, interval_is_set, &parts, &error)) {
        log_error("%s", error_text(&error));
        return 1;
    }
    int number = main_loop(&parts, &signals);
    log_info("%s: draining for at most %lld ms", strsignal(number), (long long)flags->grace_ms);
    http_port_drain(parts.http);
    size_t cancelled = server_drain(parts.server, flags->grace_ms);
    if (cancelled > 0)
        log_warning("%zu calls did not end in time: cancelled", cancelled);
    log_info("shutdown complete");
    return 0;
}

int serve_main(int argc, char **argv)
{
    _cleanup_(error_done) struct error error = {0};
    struct option_values *values = NULL;
    bool helped = false;
    if (!flags_parse(argc, argv, serve_flags, sizeof(struct serve_flags), about, &values, &helped,
                     &error)) {
        fprintf(stderr, "backlog serve: %s\n", error_text(&error));
        return 2;
    }
    if (helped)
        serve_print_limits();
    int code = helped ? 0 : run(values->data, option_is_given(values, "interval"));
    option_values_free(values);
    return code;
}
