/*
 * The flags of `backlog serve`, which are in the reference, too.
 *
 * Threads: any; nothing changes after the command line was read.
 */
#ifndef BACKLOG_DAEMON_SERVE_FLAGS_H
#define BACKLOG_DAEMON_SERVE_FLAGS_H

#include "base/log.h"
#include "cli/page.h"
#include "config/option.h"
#include "daemon/certificates.h"
#include "serve/transport/transport.h"

struct serve_flags {
    const char *listen;
    const char *http;
    struct option_list http_hosts;
    const char *http_token_file;
    const char *probes;
    struct option_list workers;
    int transport;
    const char *config;
    bool strict_config;
    bool kubernetes;
    const char *kubernetes_cluster_namespace;
    bool kubernetes_allow_authentications;
    bool kubernetes_hpa;
    struct option_list peers;
    const char *kubernetes_cluster_authentications;
    int64_t interval_ms;
    int64_t hold_ms;
    int64_t measure_timeout_ms;
    int64_t call_timeout_ms;
    int64_t heartbeat_ms;
    int64_t idle_requests;
    int64_t forget_ms;
    int64_t grace_ms;
    int64_t max_connections;
    int64_t max_agents;
    bool deny_inline;
    bool allow_local_targets;
    int64_t max_triggers;
    int64_t max_streams;
    int64_t max_message_bytes;
    int64_t max_clients;
    int64_t max_clients_per_peer;
    struct option_list client_limits;
    int64_t max_connection_age_ms;
    int64_t ping_ms;
    struct certificates_flags tls;
    int64_t metrics_per_trigger;
    bool all_in_agents;
    int log_level;
    int log_format;
};

extern const struct option serve_flags[];

enum log_level serve_log_level(const struct serve_flags *flags);

/* Without the address and TLS. The lists are borrowed from the flags. */
struct server_options serve_server_options(const struct serve_flags *flags);
const struct transport *serve_transport(const struct serve_flags *flags);

/* What --help-limits shows: what each transport lets clients do. */
void serve_write_limits(struct page *page);

/* "1000 at once, 100 per second"; the caller frees it. */
char *serve_limit_number(const struct limit *limit);

#endif
