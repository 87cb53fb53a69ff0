#include "cli/serve_flags.h"

#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const log_levels[] = {"debug", "info", "warning", "error", NULL};
static const char *const log_formats[] = {"plain", "json", NULL};

#define FLAG(name, kind, field, standard, ...)                                                     \
    {.key = (name),                                                                                \
     .type = (kind),                                                                               \
     .offset = offsetof(struct serve_flags, field),                                                \
     .default_value = (standard),                                                                  \
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
    FLAG("max-connections", OPTION_INT, max_connections, "1024", COUNT_LIMITS, .doc = "to sources"),
    FLAG("max-isolated", OPTION_INT, max_isolated, "64", COUNT_LIMITS,
         .doc = "connections with a process of their own (Kafka)"),
    FLAG("max-inline", OPTION_INT, max_inline, "64", COUNT_LIMITS,
         .doc = "of them, for each namespace, those that are not of the connections file"),
    FLAG("max-triggers", OPTION_INT, max_triggers, "100000", COUNT_LIMITS,
         .doc = "known at a time"),
    FLAG("max-streams", OPTION_INT, max_streams, "50000", COUNT_LIMITS,
         .doc = "open at a time (external-push)"),
    FLAG("max-message", OPTION_INT, max_message_bytes, "65536", .limits = {1024, 4 << 20},
         .doc = "bytes of a request"),
    FLAG("max-clients", OPTION_INT, max_clients, NULL, COUNT_LIMITS,
         .doc = "connections of clients (nghttp2 only, 1024)"),
    FLAG("max-peer-clients", OPTION_INT, max_clients_per_peer, NULL, COUNT_LIMITS,
         .doc = "of one address (nghttp2 only, 256)"),
    FLAG("client-limits", OPTION_LIST, client_limits, NULL,
         .doc = "other numbers than those below, as resets=100000,pings=5000 (nghttp2 only)"),
    FLAG("max-connection-age", OPTION_DURATION, max_connection_age_ms, "0s",
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
    if (limit->max == 0)
        return text_copy("the process's");
    if (limit->per_second == 0)
        return text_format("%" PRId64, limit->max);
    return text_format("%" PRId64 " at once, %" PRId64 " a second", limit->max, limit->per_second);
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

void serve_print_limits(void)
{
    for (size_t i = 0; transport_list[i] != NULL; i++)
        print_limits(transport_list[i]);
}
