#include "daemon/serve_flags.h"

#include "base/memory.h"
#include "base/text.h"
#include "cli/common_flags.h"

#include <inttypes.h>

/* Two spellings of one level. */
static const char *const log_levels[] = {"debug", "info", "warn", "warning", "error", NULL};
static const enum log_level log_levels_of[] = {LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING,
                                               LOG_LEVEL_WARNING, LOG_LEVEL_ERROR};
static const char *const log_formats[] = {"plain", "json", NULL};

#define FLAG(...) COMMAND_FLAG(struct serve_flags, __VA_ARGS__)
#define TIME_LIMITS .limits = {1, 24 * 3600 * 1000.0}
#define COUNT_LIMITS .limits = {1, 1e7}

const struct option serve_flags[] = {
    FLAG("listen", OPTION_STRING, listen, "[::]:9090", .group = "Addresses",
         .value_name = "ADDRESS", .doc = "address and port for KEDA; `:9090` is all addresses"),
    FLAG("http", OPTION_STRING, http, NULL, .value_name = "ADDRESS",
         .doc = "address and port for the dashboard, /metrics, /livez, /readyz and /api, such as "
                ":9091; without it there is no HTTP port"),
    FLAG("http-hosts", OPTION_LIST, http_hosts, NULL, .flags = OPTION_NO_VARIABLE,
         .doc = "comma-separated patterns: names that --http is called by, such as "
                "backlog.keda.svc; IP addresses and localhost always are permitted, others get 403 "
                "(DNS rebinding)"),
    FLAG("http-token-file", OPTION_STRING, http_token_file, NULL, .value_name = "FILE",
         .doc = "file with a token that --http requires, except for /login, /livez, /healthz, "
                "/readyz and /metrics; read again when it is replaced"),
    FLAG("probes", OPTION_STRING, probes, NULL, .value_name = "ADDRESS",
         .doc = "address and port for only /livez, /healthz and /readyz, such as :9092; a flood of "
                "--http does not affect it"),
    FLAG("workers", OPTION_LIST, workers, NULL, .flags = OPTION_NO_VARIABLE,
         .doc = "in a pod: comma-separated namespaces; --http also shows the pods of their "
                "ScaledObjects and ScaledJobs, and the pods' logs"),
    FLAG("transport", OPTION_CHOICE, transport, NULL, .choices = transport_names,
         .doc = "implementation of gRPC; the default is nghttp2"),

    FLAG("config", OPTION_STRING, config, NULL, .group = "Connections", .value_name = "FILE",
         .doc = "the connections file (YAML), or a folder of such files"),
    FLAG("strict-config", OPTION_BOOL, strict_config, "false",
         .doc = "refuse to start with an invalid connection, and refuse a reload as a whole"),
    FLAG("kubernetes", OPTION_BOOL, kubernetes, "false",
         .doc =
             "in a pod: triggers without a connectionName must be in a ScaledObject or ScaledJob "
             "as the Kubernetes API has it, and use the TriggerAuthentication that it names"),
    FLAG("kubernetes-cluster-namespace", OPTION_STRING, kubernetes_cluster_namespace, "keda",
         .value_name = "NAMESPACE",
         .doc = "KEDA's cluster object namespace, with the Secrets of a "
                "ClusterTriggerAuthentication"),
    FLAG("kubernetes-allow-authentications", OPTION_BOOL, kubernetes_allow_authentications, "false",
         .doc = "with --deny-inline-connections: permit triggers whose address comes from their "
                "TriggerAuthentication"),
    FLAG("kubernetes-hpa", OPTION_BOOL, kubernetes_hpa, "false",
         .doc = "with --kubernetes: also read the HPA of a ScaledObject, so that a held value "
                "never starts a replica"),
    FLAG("kubernetes-cluster-authentications", OPTION_STRING, kubernetes_cluster_authentications,
         NULL, .flags = OPTION_NO_VARIABLE, .value_name = "YAML",
         .doc = "{NAME: {hosts: [PATTERN], namespaces: [PATTERN]}}: addresses that triggers may "
                "name beside a ClusterTriggerAuthentication, and the namespaces that may use it; "
                "without it: the addresses in it, and all namespaces"),
    FLAG("deny-inline-connections", OPTION_BOOL, deny_inline, "false",
         .doc = "refuse triggers without connectionName, which names a connection of the "
                "connections file. "
                "--kubernetes-allow-authentications permits those whose address comes from their "
                "TriggerAuthentication"),
    FLAG("allow-local-targets", OPTION_BOOL, allow_local_targets, "false",
         .doc = "let triggers of metrics-api ask loopback and link-local addresses, which are this "
                "pod's own and the cloud's; connections of the connections file may in any case"),
    FLAG("all-in-agents", OPTION_BOOL, all_in_agents, "false",
         .doc = "run each connection in an agent process of its own, not only those of Kafka, NATS "
                "and PostgreSQL"),
    FLAG("max-connections", OPTION_INT, max_connections, "1024", COUNT_LIMITS,
         .doc =
             "maximum number of connections to sources. Places for those of the connections file "
             "are reserved"),
    FLAG("max-agents", OPTION_INT, max_agents, "64", COUNT_LIMITS,
         .doc = "maximum number of connections with an agent process of their own. Places for "
                "those of the connections file are reserved"),

    FLAG("interval", OPTION_DURATION, interval_ms, "5s", TIME_LIMITS, .group = "Measuring",
         .doc = "time between two measurements of the same query; another one is also the maximum "
                "age of a reading"),
    FLAG("hold", OPTION_DURATION, hold_ms, "1h", .limits = {0, 24 * 3600 * 1000.0},
         .doc = "how long triggers that were active get the held value, the largest of the last 5 "
                "minutes, while measuring fails"),
    FLAG("measure-timeout", OPTION_DURATION, measure_timeout_ms, "2s", TIME_LIMITS,
         .doc = "time for one measurement of a broker; SQL and HTTP have 10s"),
    FLAG("call-timeout", OPTION_DURATION, call_timeout_ms, "5s", TIME_LIMITS,
         .doc = "how long a call waits for its first measurement"),
    FLAG("peers", OPTION_LIST, peers, NULL, .flags = OPTION_NO_VARIABLE,
         .doc = "comma-separated HOST:PORT of the other replicas, such as backlog.keda.svc:9090; a "
                "start takes over what they hold while measuring fails"),
    FLAG("heartbeat", OPTION_DURATION, heartbeat_ms, "120s", TIME_LIMITS,
         .doc = "time between two pushes while a trigger stays active and KEDA does not poll it "
                "(external-push): at most half of the shortest cooldownPeriod"),
    FLAG("idle-requests", OPTION_INT, idle_requests, "250", .limits = {1, 10000},
         .doc = "requests per second and connection for the first messages of idle triggers "
                "(external-push), where the source cannot notify; they share them"),
    FLAG("forget", OPTION_DURATION, forget_ms, "10m", TIME_LIMITS,
         .doc = "drop triggers that were not called for this long"),

    FLAG("tls-cert", OPTION_STRING, tls.files.certificate, NULL, .group = "TLS",
         .value_name = "FILE",
         .doc = "PEM file: the certificate to show KEDA, and its chain; without it: plain text"),
    FLAG("tls-key", OPTION_STRING, tls.files.key, NULL, .value_name = "FILE",
         .doc = "PEM file: its private key"),
    FLAG("tls-client-ca", OPTION_STRING, tls.files.client_ca, NULL, .value_name = "FILE",
         .doc = "PEM file: clients must show a certificate of these authorities (mTLS)"),
    FLAG("tls-client-names", OPTION_LIST, tls.client_names, NULL,
         .doc = "comma-separated patterns: names that a client's certificate may have; needs "
                "--tls-client-ca"),

    FLAG("max-triggers", OPTION_INT, max_triggers, "20000", COUNT_LIMITS, .group = "Limits",
         .doc = "maximum number of triggers known at the same time; one with more than 2 KiB of "
                "metadata counts as several"),
    FLAG("max-streams", OPTION_INT, max_streams, "50000", COUNT_LIMITS,
         .doc = "maximum number of open streams of each kind (external-push)"),
    FLAG("metrics-per-trigger", OPTION_INT, metrics_per_trigger, "0", .limits = {0, 100000},
         .doc = "number of triggers that get metrics of their own on --http: value, target, "
                "active, age of the reading"),
    FLAG("max-message", OPTION_INT, max_message_bytes, "65536", .limits = {1024, 4 << 20},
         .doc = "maximum size of a request in bytes"),
    FLAG("max-clients", OPTION_INT, max_clients, NULL, COUNT_LIMITS,
         .doc = "maximum number of connections of clients (nghttp2 only, 512)"),
    FLAG("max-peer-clients", OPTION_INT, max_clients_per_peer, NULL, COUNT_LIMITS,
         .doc = "maximum number of connections of one address (nghttp2 only, 128)"),
    FLAG("client-limits", OPTION_LIST, client_limits, NULL,
         .doc = "protocol limits per client, such as resets=100000,pings=5000; --help-limits lists "
                "them (nghttp2 only)"),
    FLAG("max-connection-age", OPTION_DURATION, max_connection_age_ms, "0s",
         .limits = {0, 720 * 3600 * 1000.0},
         .doc = "close connections of clients gracefully at this age, so that they find new "
                "replicas; 0s: never"),
    FLAG("ping-interval", OPTION_DURATION, ping_ms, "30s", .limits = {1000, 24 * 3600 * 1000.0},
         .doc = "time between keepalive pings to clients; a client that does not answer two is "
                "disconnected"),

    FLAG("grace", OPTION_DURATION, grace_ms, "10s", .limits = {0, 3600 * 1000.0},
         .group = "Shutdown and log", .doc = "time for the calls in progress at shutdown"),
    FLAG("log-level", OPTION_CHOICE, log_level, "info", .choices = log_levels,
         .value_name = "LEVEL", .doc = "lowest level that is logged"),
    FLAG("log-format", OPTION_CHOICE, log_format, "plain", .choices = log_formats,
         .value_name = "FORMAT", .doc = "format of the log on standard error"),
    {0},
};

enum log_level serve_log_level(const struct serve_flags *flags)
{
    return log_levels_of[flags->log_level];
}

struct server_options serve_server_options(const struct serve_flags *flags)
{
    return (struct server_options){
        .max_message_bytes = (size_t)flags->max_message_bytes,
        .ping_interval_ms = flags->ping_ms,
        .max_connections = (size_t)flags->max_clients,
        .max_peer_connections = (size_t)flags->max_clients_per_peer,
        .max_streams = (size_t)flags->max_streams,
        .max_connection_age_ms = flags->max_connection_age_ms,
        .limits = flags->client_limits.items,
        .limit_count = flags->client_limits.count,
    };
}

const struct transport *serve_transport(const struct serve_flags *flags)
{
    return transport_find(transport_names[flags->transport]);
}

char *serve_limit_number(const struct limit *limit)
{
    if (limit->max == 0)
        return text_copy("the process's");
    if (limit->per_second == 0)
        return text_format("%" PRId64, limit->max);
    return text_format("%" PRId64 " at once, %" PRId64 " per second", limit->max,
                       limit->per_second);
}

static void write_limits(const struct transport *transport, struct page *page)
{
    const struct limit *limit = transport->limits;
    if (limit == NULL)
        return;
    _cleanup_(memory_free) char *title =
        text_format("Protocol limits per client, with --transport %s", transport->name);
    page_heading(page, title);
    for (; limit->name != NULL; limit++) {
        _cleanup_(memory_free) char *number = serve_limit_number(limit);
        _cleanup_(memory_free) char *doc = text_format(
            "%s (default: %s%s%s)", limit->reason, number, limit->set_by == NULL ? "" : "; set by ",
            limit->set_by == NULL ? "" : limit->set_by);
        page_term(page, limit->name, doc);
    }
}

void serve_write_limits(struct page *page)
{
    if (page->format == PAGE_TEXT)
        text_add(&page->text, "Usage: backlog serve --client-limits NAME=NUMBER,...\n");
    for (size_t i = 0; transport_list[i] != NULL; i++)
        write_limits(transport_list[i], page);
}
