#include "cli/command.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "base/system/host_port.h"
#include "base/system/listen.h"
#include "base/system/process.h"
#include "base/system/thread.h"
#include "base/system/trim.h"
#include "base/text.h"
#include "cli/flags.h"
#include "config/connections.h"
#include "daemon/agent_memory.h"
#include "daemon/certificates.h"
#include "daemon/credentials_feed.h"
#include "daemon/http_port.h"
#include "daemon/peers.h"
#include "daemon/reload.h"
#include "daemon/serve_check.h"
#include "daemon/watchdog.h"
#include "daemon/worker_pages.h"
#include "kubernetes/api/api.h"
#include "kubernetes/informer/informer.h"
#include "measure/engine.h"
#include "scale/table/triggers.h"
#include "serve/services/external_scaler.h"
#include "serve/services/health.h"
#include "serve/services/peers_service.h"
#include "serve/services/reflection.h"
#include "serve/transport/transport.h"

#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* For connections to be closed in order when the server ends: milliseconds. What takes longer is a
 * client library that does not return, or a source that is connected to in vain. */
enum { STOP_MS = 1000 };

/* What start() has made so far. NULL: it is not there yet, or not wanted. */
struct parts {
    int exit_status;
    struct reload *reload;
    struct certificates *certificates;
    struct cluster_authentications *cluster_authentications;

    struct informer *informer; /* with --kubernetes, as the next one */
    struct credentials_feed *credentials;
    struct worker_pages *workers;

    struct peer_values *peer_values; /* with --peers, as the next two */
    struct peers *peers;
    struct peers_service *peers_service;

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

static struct own_credentials_settings own_credentials_of(const struct serve_flags *flags,
                                                          const struct parts *parts)
{
    struct own_credentials_settings own = credentials_feed_hooks(parts->credentials);
    /* Others than KEDA may have certificates of the authority. */
    own.callers_are_verified =
        flags->tls.files.client_ca != NULL && flags->tls.client_names.count > 0;
    own.allows_authentications = flags->kubernetes_allow_authentications;
    own.cluster = parts->cluster_authentications;
    return own;
}

static void make_engine(const struct serve_flags *flags, struct parts *parts)
{
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.interval_ms = flags->interval_ms;
    settings.idle_requests = flags->idle_requests;
    settings.timeout_ms = flags->measure_timeout_ms;
    settings.connect_timeout_ms = flags->measure_timeout_ms;
    settings.max_connections = (size_t)flags->max_connections;
    settings.max_agents = (size_t)flags->max_agents;
    settings.has_memory = agent_memory_is_left;
    settings.keeps_history = flags->http != NULL;
    settings.all_in_agents = flags->all_in_agents;
    settings.allows_local = flags->allow_local_targets;
    settings.wake = wake_server;
    parts->engine = engine_new(&settings);
}

/* Takes the connections. */
static void make_triggers(const struct serve_flags *flags, struct connections *connections,
                          struct parts *parts)
{
    const struct engine_settings engine = ENGINE_DEFAULTS; /* written out it changes nothing */
    if (flags->peers.count > 0)
        parts->peer_values = peer_values_new();
    parts->triggers = triggers_new(&(struct triggers_settings){
        .scalers = scaler_list,
        .connections = connections,
        .engine = parts->engine,
        .own = own_credentials_of(flags, parts),
        .rules = {.interval_ms = flags->interval_ms,
                  .interval_is_set = flags->interval_ms != engine.interval_ms,
                  .hold_ms = flags->hold_ms},
        .peers = parts->peer_values,
        .forget_ms = flags->forget_ms,
        .deny_inline = flags->deny_inline,
        .max = (size_t)flags->max_triggers,
    });
}

static void make_services(const struct serve_flags *flags, struct parts *parts)
{
    parts->scaler = external_scaler_new(&(struct external_scaler_settings){
        .triggers = parts->triggers,
        .engine = parts->engine,
        .loop_calls = parts->loop_calls,
        .call_timeout_ms = flags->call_timeout_ms,
        .heartbeat_ms = flags->heartbeat_ms,
        .max_streams = (size_t)flags->max_streams,
    });
    const struct rpc_service *scaler = external_scaler_service(parts->scaler);
    parts->health = health_new(scaler->name);
    parts->services = services_new();
    services_add(parts->services, scaler);
    services_add(parts->services, health_service(parts->health));
    if (parts->peer_values != NULL) {
        parts->peers_service = peers_service_new(parts->triggers, parts->peer_values);
        services_add(parts->services, peers_service_rpcs(parts->peers_service));
    }
    services_add(parts->services, &reflection_v1);
    services_add(parts->services, &reflection_v1alpha);
}

/* Ends the process at once where a part hangs: what it uses cannot be freed. */
static void end_if(bool hangs, const char *why, int exit_status)
{
    if (!hangs)
        return;
    log_warning("%s: ending without it", why);
    _exit(exit_status);
}

/* Who calls ends before what it calls: first the HTTP port, then the server's loop (it drains here
 * where a part could not be started), then the threads that may wait for a call to the loop, then
 * the triggers, then the engine's pollers. The server is freed after the engine, which may wake it
 * until then. */
static void free_parts(struct parts *parts)
{
    http_port_end(parts->http);
    bool pages_hang = !worker_pages_free(parts->workers);
    if (parts->server != NULL)
        server_drain(parts->server, 0);
    loop_calls_end(parts->loop_calls); /* the informer's thread may wait for one */
    bool peers_hang = !peers_end(parts->peers);
    bool informer_hangs = !informer_stop(parts->informer); /* calls use it until they have ended */
    triggers_free(parts->triggers);
    bool engine_hangs = parts->engine != NULL && !engine_stop(parts->engine, STOP_MS);
    end_if(engine_hangs, "a source's client has not returned in time", parts->exit_status);
    end_if(informer_hangs || pages_hang, "a reply of the Kubernetes API does not end",
           parts->exit_status);
    end_if(peers_hang, "looking up --peers does not end", parts->exit_status);
    engine_free(parts->engine);
    external_scaler_free(parts->scaler);
    health_free(parts->health);
    server_free(parts->server);
    services_free(parts->services);
    peers_service_free(parts->peers_service);
    peer_values_free(parts->peer_values);
    loop_calls_free(parts->loop_calls);
    credentials_feed_free(parts->credentials);
    informer_free(parts->informer);
    cluster_authentications_free(parts->cluster_authentications);
    reload_end(parts->reload);
    certificates_end(parts->certificates);
}

static void log_configuration(const struct command_line *line)
{
    _cleanup_(memory_free) char *effective = flags_effective(line);
    log_info("configuration: %s", effective);
    serve_warn(line->flags);
}

/* Before the first call comes. */
static void request_from_peers(const struct serve_flags *flags, struct parts *parts)
{
    const struct tls_files *files = &flags->tls.files;
    const struct grpc_socket_tls tls = {
        .is_on = files->certificate != NULL,
        .ca = files->client_ca,
        .certificate = files->certificate,
        .key = files->key,
        .trusts_own = true,
    };
    if (parts->peer_values != NULL)
        parts->peers = peers_begin(&flags->peers, &tls, parts->peer_values);
}

static bool make_informer(const struct serve_flags *flags, struct parts *parts, struct error *error)
{
    struct kubernetes_api api;
    if (!flags->kubernetes)
        return true;
    if (!kubernetes_api_find("--kubernetes", &api, error))
        return false;
    parts->informer = informer_new(&api);
    parts->credentials = credentials_feed_new(parts->informer, flags->kubernetes_cluster_namespace,
                                              flags->kubernetes_hpa);
    return true;
}

/* Once there are triggers for what it reads. */
static void start_informer(const struct parts *parts)
{
    const struct hand_over to = {parts->loop_calls, parts->triggers};
    if (parts->informer == NULL)
        return;
    credentials_feed_hand_to(parts->credentials, &to);
    informer_start(parts->informer);
}

static bool start(const struct serve_flags *flags, struct parts *parts, struct error *error)
{
    struct connections *connections = NULL;
    parts->certificates = certificates_begin(&flags->tls);
    bool shows_hpas = flags->http != NULL && flags->kubernetes && flags->kubernetes_hpa;
    if (!make_informer(flags, parts, error) ||
        !worker_pages_new(&flags->workers, shows_hpas, &parts->workers, error) ||
        !cluster_authentications_parse(flags->kubernetes_cluster_authentications,
                                       &parts->cluster_authentications, error) ||
        !reload_begin(flags->config, flags->strict_config, &parts->reload, &connections, error))
        return false;
    parts->loop_calls = loop_calls_new(wake_server, NULL);
    make_engine(flags, parts);
    make_triggers(flags, connections, parts);
    make_services(flags, parts);
    start_informer(parts);

    struct server_options options = serve_server_options(flags);
    _cleanup_(memory_free) char *listen = listen_whole(flags->listen);
    options.listen = listen;
    options.tls = certificates_files(parts->certificates);
    options.client_rule = certificates_rule(parts->certificates);
    request_from_peers(flags, parts);
    if (!server_start(serve_transport(flags), &options, services_handler(parts->services),
                      &parts->server, error))
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
        .workers = parts->workers,
        .credentials = parts->credentials,
        .informer = parts->informer,
        .metrics_per_trigger = (size_t)flags->metrics_per_trigger,
    };
    const struct http_port_addresses addresses = {
        flags->http,
        flags->probes,
        {(const char *const *)flags->http_hosts.items, flags->http_hosts.count},
        flags->http_token_file};
    if (!http_port_begin(&addresses, &http_parts, &parts->http, error))
        return false;

    int host = (int)host_port_host_length(listen);
    log_info("backlog %s listening on %.*s:%d", BACKLOG_VERSION, host, listen, parts->server->port);
    return true;
}

/* Every thread inherits the mask, so that the signals come to sigtimedwait() here alone. */
static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    sigaddset(signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Returns to the system what many queries took, a while after they have ended. */
static void trim_memory(struct engine *engine, struct trim *queries)
{
    struct connection_stats stats;
    engine_stats(engine, &stats);
    if (trim_due(queries, stats.counts[COUNT_QUERIES], clock_now_ms()))
        malloc_trim(0);
}

/* A pod may be resized while it runs. */
static double container_bytes(void)
{
    return process_memory_limit("/sys/fs/cgroup");
}

enum { LARGE_BYTES = 128 << 10 };

enum { SECOND_MS = 1000 };

/* Between debug and what the flag says; where that is debug, info. Agents follow with their next
 * tasks. */
static void toggle_debug(enum log_level usual)
{
    enum log_level other = usual == LOG_LEVEL_DEBUG ? LOG_LEVEL_INFO : usual;
    enum log_level next = log_level_now() == LOG_LEVEL_DEBUG ? other : LOG_LEVEL_DEBUG;
    log_set_level(LOG_LEVEL_INFO); /* so that the line is seen */
    log_info("SIGUSR1: logging from level %s on", log_level_name(next));
    log_set_level(next);
}

/* Until SIGTERM or SIGINT, which it returns. */
static int main_loop(const struct parts *parts, const sigset_t *signals, enum log_level usual)
{
    double memory_bytes = container_bytes();
    int64_t turn_ms = SECOND_MS;
    int64_t checked_ms = 0;
    struct watchdog watchdog = {.loop_calls = parts->loop_calls};
    const struct hand_over to = {parts->loop_calls, parts->triggers};
    struct trim queries;
    trim_init(&queries);
    for (;;) {
        const struct timespec turn = {.tv_sec = turn_ms / 1000,
                                      .tv_nsec = turn_ms % 1000 * 1000000};
        int number = sigtimedwait(signals, NULL, &turn); /* -1: so much time has passed */
        if (number == SIGTERM || number == SIGINT)
            return number;
        if (number == SIGUSR1)
            toggle_debug(usual);
        turn_ms = agent_memory_bound(memory_bytes, SECOND_MS);
        if (number < 0 && turn_ms < SECOND_MS && clock_now_ms() - checked_ms < SECOND_MS)
            continue;
        checked_ms = clock_now_ms();
        memory_bytes = container_bytes();
        reload_check(parts->reload, number == SIGHUP, &to);
        certificates_check(parts->certificates, number == SIGHUP, parts->server, checked_ms);
        trim_memory(parts->engine, &queries);
        watchdog_check(&watchdog, SECOND_MS);
    }
}

/* For 64 connections to Redis Clusters of 256 nodes, twice each while they are followed, and as
 * many clients as there may be. */
enum { ENOUGH_DESCRIPTORS = 40000 };

static void raise_descriptors(void)
{
    uint64_t max = process_raise_descriptors();
    if (max < ENOUGH_DESCRIPTORS)
        log_warning("at most %" PRIu64 " descriptors may be open: the connections to sources can "
                    "take all of them; raise the hard limit (ulimit -Hn) to %d",
                    max, ENOUGH_DESCRIPTORS);
}

/* Before the first thread and the first child, which inherit it. */
static void prepare_process(void)
{
    process_hide_memory();
    raise_descriptors();

    /* One thread allocates nearly all: others' arenas would only be larger. */
    mallopt(M_ARENA_MAX, 1);

    /* What is large goes back to the system when it is freed, and is not copied when it grows. By
     * default glibc keeps as much as was ever freed at once, in a heap with holes. */
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);

    /* All client libraries look names up with getaddrinfo() inside calls that have a deadline of 2
     * s, and the resolver knows none: by default it waits 5 s for a lost packet. A second attempt
     * after 1 s, its shortest time, leaves another second to connect; a third would always be too
     * late. A variable that the user sets is left as it is. */
    setenv("RES_OPTIONS", "timeout:1 attempts:2", 0);
}

/* Longer than the grace period: for what is cut then. */
enum { CUT_MS = 5000 };

struct drain {
    struct server *server;
    int64_t grace_ms;
    size_t cancelled;
};

static void *drain_server(void *argument)
{
    struct drain *drain = argument;
    drain->cancelled = server_drain(drain->server, drain->grace_ms);
    return NULL;
}

/* Returns how many calls were cancelled. Ends the process where the event loop stands still: the
 * watchdog does not run during a drain. */
static size_t drain(struct server *server, int64_t grace_ms)
{
    struct drain drain = {.server = server, .grace_ms = grace_ms};
    struct timespec until = clock_monotonic_after(grace_ms + CUT_MS);
    pthread_t thread;
    if (!thread_begin_without_signals(&thread, drain_server, &drain))
        drain_server(&drain);
    else if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) != 0) {
        log_error("the event loop has not responded for %d s after the grace period: ending "
                  "without it",
                  CUT_MS / 1000);
        _exit(EXIT_FAILURE);
    }
    return drain.cancelled;
}

static int run_serve(const struct command_line *line, struct error *error)
{
    const struct serve_flags *flags = line->flags;
    _cleanup_(error_done) struct error failure = {0};
    _cleanup_(free_parts) struct parts parts = {.exit_status = EXIT_FAILURE};
    sigset_t signals;
    (void)error; /* the log has it, in its format */

    log_init(serve_log_level(flags), (enum log_format)flags->log_format);
    if (flags->http != NULL)
        recent_log_start();
    log_configuration(line);
    prepare_process();
    block_signals(&signals);
    if (!start(flags, &parts, &failure)) {
        log_error("%s", error_text(&failure));
        return parts.exit_status;
    }
    int number = main_loop(&parts, &signals, serve_log_level(flags));
    log_info("%s: draining for at most %lld ms", strsignal(number), (long long)flags->grace_ms);
    http_port_drain(parts.http);
    size_t cancelled = drain(parts.server, flags->grace_ms);
    if (cancelled > 0)
        log_warning("%zu calls did not end in time: cancelled", cancelled);
    log_info("shutdown complete");
    parts.exit_status = EXIT_SUCCESS;
    return parts.exit_status;
}

const struct command command_serve = {
    .name = "serve",
    .is_server = true,
    .summary = "answer KEDA",
    .about =
        "Answers KEDA's external and external-push triggers: how much work waits in Kafka, NATS "
        "JetStream, RabbitMQ, Redis, PostgreSQL, Prometheus and HTTP APIs. `backlog reference` has "
        "every key of a trigger.\n\n"
        "SIGTERM: ends streams, answers the calls in progress, and exits 0. SIGHUP: reads the "
        "connections file and the certificates again. SIGUSR1: switches debug messages on, and off "
        "again.",
    .exit_status = "0 after SIGTERM or SIGINT; 1 it could not start, or its event loop does not "
                   "respond",
    .examples = {{"for KEDA on port 9090; metrics and health on port 9091",
                  "backlog serve --http :9091"},
                 {"with connections that triggers name, and no others",
                  "backlog serve --config connections.yaml --deny-inline-connections"},
                 {"only for clients with a certificate of this authority",
                  "backlog serve --tls-cert tls.crt --tls-key tls.key --tls-client-ca ca.crt"}},
    .flags = serve_flags,
    .flags_size = sizeof(struct serve_flags),
    .topic = {"help-limits", "what one client may do on the wire", serve_write_limits},
    .check = serve_check,
    .run = run_serve,
};
