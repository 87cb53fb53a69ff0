#include "cli/subcommands.h"

#include "base/clock.h"
#include "base/listen.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/certificates.h"
#include "cli/flags.h"
#include "cli/http_port.h"
#include "cli/reload.h"
#include "cli/serve_flags.h"
#include "config/connections.h"
#include "measure/engine.h"
#include "scale/trigger.h"
#include "serve/external_scaler.h"
#include "serve/health.h"
#include "serve/reflection.h"
#include "serve/transport.h"

#include <inttypes.h>
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
    "SIGTERM ends it: streams end well, calls are answered, then it exits 0.";

/* A client at its limit of calls waits in silence, so the streams' own must be reached before it. */
enum { CALLS_BESIDE_STREAMS = 10000 };

/* A hundred thousand triggers of the usual size; what does not fit is somebody's attack on our memory. */
enum { METADATA_BYTES = 48 << 20 };

struct flags {
    const char *listen;
    const char *http;
    int transport;
    const char *config;
    int64_t interval_ms;
    int64_t hold_ms;
    int64_t measure_deadline_ms;
    int64_t call_deadline_ms;
    int64_t heartbeat_ms;
    int64_t forget_ms;
    int64_t grace_ms;
    int64_t most_connections;
    int64_t most_isolated;
    bool deny_inline;
    int64_t most_inline;
    int64_t most_triggers;
    int64_t most_streams;
    int64_t most_message_bytes;
    int64_t most_clients;
    int64_t most_clients_of_peer;
    struct option_list client_limits;
    int64_t most_age_ms;
    int64_t ping_ms;
    struct certificates_flags tls;
    bool isolate_all;
    int log_level;
    int log_format;
};

static const char *const log_levels[] = {"debug", "info", "warning", "error", NULL};
static const char *const log_formats[] = {"plain", "json", NULL};

#define FLAG(name, kind, field, standard, ...)                                                     \
    {.key = (name),                                                                                \
     .type = (kind),                                                                               \
     .offset = offsetof(struct flags, field),                                                      \
     .fallback = (standard),                                                                       \
     __VA_ARGS__}
#define TIME_LIMITS .limits = {1, 24 * 3600 * 1000.0}
#define COUNT_LIMITS .limits = {1, 1e7}

const struct option serve_flags[] = {
    FLAG("listen", OPTION_STRING, listen, "[::]:9090", .doc = "address and port for KEDA"),
    FLAG("http", OPTION_STRING, http, NULL,
         .doc = "address and port for /metrics, /healthz, /readyz and /api/triggers, such as "
                "[::]:9091; without it there are none"),
    FLAG("transport", OPTION_CHOICE, transport, NULL, .choices = transport_names,
         .doc = "what carries the calls; the default is the first of those in this build"),
    FLAG("config", OPTION_STRING, config, NULL, .doc = "the connections file (YAML)"),
    FLAG("deny-inline-connections", OPTION_BOOL, deny_inline, "false",
         .doc = "only those of the connections file are used"),
    FLAG("interval", OPTION_DURATION, interval_ms, "5s", TIME_LIMITS,
         .doc = "between two measurements of the same thing"),
    FLAG("hold", OPTION_DURATION, hold_ms, "60s", .limits = {0, 24 * 3600 * 1000.0},
         .doc = "how long an active reading answers after measuring began to fail"),
    FLAG("measure-deadline", OPTION_DURATION, measure_deadline_ms, "2s", TIME_LIMITS,
         .doc = "for one measurement of a connection"),
    FLAG("call-deadline", OPTION_DURATION, call_deadline_ms, "5s", TIME_LIMITS,
         .doc = "how long a call waits for its first measurement"),
    FLAG("heartbeat", OPTION_DURATION, heartbeat_ms, "60s", TIME_LIMITS,
         .doc = "between two pushes while a trigger stays active"),
    FLAG("forget", OPTION_DURATION, forget_ms, "10m", TIME_LIMITS,
         .doc = "triggers that nobody asked for are dropped after it"),
    FLAG("grace", OPTION_DURATION, grace_ms, "10s", .limits = {0, 3600 * 1000.0},
         .doc = "for the calls in progress when it ends"),
    FLAG("max-connections", OPTION_INT, most_connections, "1024", COUNT_LIMITS,
         .doc = "to sources"),
    FLAG("max-isolated", OPTION_INT, most_isolated, "64", COUNT_LIMITS,
         .doc = "connections with a process of their own (Kafka)"),
    FLAG("max-inline", OPTION_INT, most_inline, "64", COUNT_LIMITS,
         .doc = "of them, for each namespace, those that are not of the connections file"),
    FLAG("max-triggers", OPTION_INT, most_triggers, "100000", COUNT_LIMITS,
         .doc = "known at a time"),
    FLAG("max-streams", OPTION_INT, most_streams, "50000", COUNT_LIMITS,
         .doc = "open at a time (external-push)"),
    FLAG("max-message", OPTION_INT, most_message_bytes, "65536", .limits = {1024, 4 << 20},
         .doc = "bytes of a request"),
    FLAG("max-clients", OPTION_INT, most_clients, NULL, COUNT_LIMITS,
         .doc = "connections of clients (nghttp2 only, 1024)"),
    FLAG("max-peer-clients", OPTION_INT, most_clients_of_peer, NULL, COUNT_LIMITS,
         .doc = "of one address (nghttp2 only, 256)"),
    FLAG("client-limits", OPTION_LIST, client_limits, NULL,
         .doc = "other numbers than those below, as resets=100000,pings=5000 (nghttp2 only)"),
    FLAG("max-connection-age", OPTION_DURATION, most_age_ms, "0s",
         .limits = {0, 720 * 3600 * 1000.0},
         .doc = "then a client is sent away in order, to find new replicas; 0s: never"),
    FLAG("ping-interval", OPTION_DURATION, ping_ms, "30s", .limits = {1000, 24 * 3600 * 1000.0},
         .doc = "to a client that says nothing; it is gone after two"),
    FLAG("tls-cert", OPTION_STRING, tls.files.certificate, NULL,
         .doc = "PEM file: the certificate to show KEDA, and its chain; without it: plain text"),
    FLAG("tls-key", OPTION_STRING, tls.files.key, NULL, .doc = "PEM file: its private key"),
    FLAG("tls-client-ca", OPTION_STRING, tls.files.client_ca, NULL,
         .doc = "PEM file: clients must show a certificate of these authorities (mTLS)"),
    FLAG("tls-client-names", OPTION_LIST, tls.client_names, NULL,
         .doc = "patterns, with commas between: who may call of those that show one"),
    FLAG("isolate-all", OPTION_BOOL, isolate_all, "false",
         .doc = "a process of its own for every connection"),
    FLAG("log-level", OPTION_CHOICE, log_level, "info", .choices = log_levels,
         .doc = "the least that is logged"),
    FLAG("log-format", OPTION_CHOICE, log_format, "plain", .choices = log_formats,
         .doc = "of the lines on standard error"),
    {0},
};

char *serve_limit_number(const struct limit *limit)
{
    if (limit->most == 0)
        return text_copy("the process's");
    if (limit->per_second == 0)
        return text_format("%" PRId64, limit->most);
    return text_format("%" PRId64 " at once, %" PRId64 " a second", limit->most, limit->per_second);
}

/* The parts, in the order in which they are made. */
struct parts {
    struct reload *reload;
    struct certificates *certificates;
    struct errands *errands;
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
static void make_parts(const struct flags *flags, struct connections *connections,
                       struct parts *parts)
{
    parts->errands = errands_new(wake_server, NULL);

    struct engine_settings engine_settings = ENGINE_DEFAULTS;
    engine_settings.interval_ms = flags->interval_ms;
    engine_settings.deadline_ms = flags->measure_deadline_ms;
    engine_settings.most_connections = (size_t)flags->most_connections;
    engine_settings.most_isolated = (size_t)flags->most_isolated;
    engine_settings.isolate_all = flags->isolate_all;
    engine_settings.wake = wake_server;
    parts->engine = engine_new(&engine_settings);

    parts->triggers = triggers_new(&(struct triggers_settings){
        .scalers = scaler_list,
        .connections = connections,
        .engine = parts->engine,
        .rules = {.interval_ms = flags->interval_ms, .hold_ms = flags->hold_ms},
        .forget_ms = flags->forget_ms,
        .deny_inline = flags->deny_inline,
        .most_inline = (size_t)flags->most_inline,
        .most = (size_t)flags->most_triggers,
        .most_bytes = METADATA_BYTES,
    });
    parts->scaler = external_scaler_new(&(struct external_scaler_settings){
        .triggers = parts->triggers,
        .engine = parts->engine,
        .errands = parts->errands,
        .call_deadline_ms = flags->call_deadline_ms,
        .heartbeat_ms = flags->heartbeat_ms,
        .most_streams = (size_t)flags->most_streams,
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
    if (parts->errands != NULL)
        errands_free(parts->errands);
    reload_end(parts->reload);
    certificates_end(parts->certificates);
}

/* Before anything is made: the C core takes 443 for a port that is missing, and does not say so. */
static bool check_addresses(const struct flags *flags, struct error *error)
{
    return listen_check(flags->listen, "--listen", error) &&
           (flags->http == NULL || listen_check(flags->http, "--http", error));
}

static bool start(const struct flags *flags, struct parts *parts, struct error *error)
{
    struct connections *connections = NULL;
    if (!check_addresses(flags, error) ||
        !certificates_begin(&flags->tls, &parts->certificates, error) ||
        !reload_begin(flags->config, &parts->reload, &connections, error))
        return false;
    make_parts(flags, connections, parts);

    const struct server_options options = {
        .listen = flags->listen,
        .max_message_bytes = (size_t)flags->most_message_bytes,
        .ping_interval_ms = flags->ping_ms,
        .max_connections = (size_t)flags->most_clients,
        .max_peer_connections = (size_t)flags->most_clients_of_peer,
        .max_calls = (size_t)flags->most_streams + CALLS_BESIDE_STREAMS,
        .max_connection_age_ms = flags->most_age_ms,
        .limits = flags->client_limits.items,
        .limit_count = flags->client_limits.count,
        .tls = certificates_files(parts->certificates),
        .client_rule = certificates_rule(parts->certificates),
    };
    const struct transport *transport = transport_find(transport_names[flags->transport]);
    if (!server_start(transport, &options, services_hooks(parts->services), &parts->server, error))
        return false;
    atomic_store(&wakeable, parts->server);
    server_wake(parts->server); /* for what the engine had to say before */
    const struct http_port_parts http_parts = {parts->engine, parts->triggers, parts->scaler,
                                               parts->errands, parts->server};
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

/* Until SIGTERM or SIGINT, which it returns. */
static int look_after(const struct parts *parts, const sigset_t *signals)
{
    const struct timespec second = {.tv_sec = 1};
    for (;;) {
        int number = sigtimedwait(signals, NULL, &second); /* -1: a second has passed */
        if (number == SIGTERM || number == SIGINT)
            return number;
        reload_look(parts->reload, number == SIGHUP, parts->errands, parts->scaler);
        certificates_look(parts->certificates, number == SIGHUP, parts->server);
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

static int run(const struct flags *flags)
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
    if (!start(flags, &parts, &error)) {
        log_error("%s", error_text(&error));
        return 1;
    }
    int number = look_after(&parts, &signals);
    log_info("%s: draining for at most %lld ms", strsignal(number), (long long)flags->grace_ms);
    http_port_drain(parts.http);
    size_t cancelled = server_drain(parts.server, flags->grace_ms);
    if (cancelled > 0)
        log_warning("%zu calls did not end in time and were cancelled", cancelled);
    log_info("ended");
    return 0;
}

static void print_limits(const struct transport *transport)
{
    const struct limit *limit = transport->limits;
    if (limit == NULL)
        return;
    printf("\nWhat one client may do with --transport %s, by the names of --client-limits:\n\n",
           transport->name);
    for (; limit->name != NULL; limit++) {
        _cleanup_(memory_free) char *number = serve_limit_number(limit);
        printf("  %-26s %s [%s]%s%s\n", limit->name, limit->reason, number,
               limit->set_by == NULL ? "" : "; by ", limit->set_by == NULL ? "" : limit->set_by);
    }
}

static void print_all_limits(void)
{
    for (size_t i = 0; transport_list[i] != NULL; i++)
        print_limits(transport_list[i]);
}

int serve_main(int argc, char **argv)
{
    _cleanup_(error_done) struct error error = {0};
    struct option_values *values = NULL;
    bool helped = false;
    if (!flags_parse(argc, argv, serve_flags, sizeof(struct flags), about, &values, &helped,
                     &error)) {
        fprintf(stderr, "backlog serve: %s\n", error_text(&error));
        return 2;
    }
    if (helped)
        print_all_limits();
    int code = helped ? 0 : run(values->data);
    option_values_free(values);
    return code;
}
