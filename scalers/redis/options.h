/*
 * Redis' options as structs, one per scope, and the tables over them: the six scalers share the
 * connection, those of lists a query and a target, and those of streams another two.
 *
 * Threads: any; nothing here changes after it was parsed.
 */
#ifndef BACKLOG_SCALERS_REDIS_OPTIONS_H
#define BACKLOG_SCALERS_REDIS_OPTIONS_H

#include "config/option.h"
#include "shared/tls_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A server, the Sentinels that name it, or nodes of a Cluster. */
struct redis_connection_options {
    struct option_list addresses;
    struct option_list hosts;
    struct option_list ports;
    int64_t database;
    const char *username;
    const char *password;
    struct tls_options tls;
    int broker_tls;              /* an index of switch_choices */
    const char *sentinel_master; /* of Sentinels only, which the addresses are then */
    const char *sentinel_username;
    const char *sentinel_password;
};

enum { REDIS_MAX_SENTINELS = 16 };

enum redis_library { REDIS_NO_LIBRARY, REDIS_BULLMQ, REDIS_RQ };

/* What to count: of a trigger without mistakes one of list_name, keys and library is set. */
struct redis_list_query {
    const char *list_name;
    struct option_list keys;
    int library; /* enum redis_library */
    const char *queue_name;
    const char *prefix; /* NULL: the library's own */
};

struct redis_list_target {
    int64_t list_length;
    int64_t activation_list_length;
};

struct redis_stream_query {
    const char *stream;
    const char *consumer_group;
    int64_t lag_count; /* here, not in the target: it decides what is requested */
};

struct redis_stream_target {
    int64_t pending_entries_count;
    int64_t stream_length;
    int64_t activation_lag_count;
};

extern const struct option redis_list_options[];
extern const struct option redis_sentinel_list_options[];
extern const struct option redis_cluster_list_options[];
extern const struct option redis_stream_options[];
extern const struct option redis_sentinel_stream_options[];
extern const struct option redis_cluster_stream_options[];

extern const char *const redis_library_names[]; /* by enum redis_library */

bool redis_connection_has_tls(const struct redis_connection_options *connection);

/* Its addresses, those of host and port behind the others, as KEDA has them; what is empty behind
 * the last comma is none. The host is of a connection without mistakes; the caller frees it. */
size_t redis_connection_count(const struct redis_connection_options *connection);
char *redis_connection_host(const struct redis_connection_options *connection, size_t index,
                            int *ret_port);

/* What a trigger of a stream counts. */
enum redis_stream_mode { REDIS_STREAM_LENGTH, REDIS_STREAM_PENDING, REDIS_STREAM_LAG };
enum redis_stream_mode redis_stream_mode(const struct redis_stream_query *query);

#endif
