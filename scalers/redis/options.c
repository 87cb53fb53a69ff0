#include "redis/options.h"

#include "base/text.h"
#include "shared/address.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Odd ones are on: KEDA's enableTLS is a boolean. */
static const char *const switch_choices[] = {"disable", "enable", "false", "true", NULL};
const char *const redis_library_names[] = {"none", "bullmq", "rq", NULL};

#define LIST_QUERY(field) .scope = OPTION_QUERY, OPTION_FIELD(struct redis_list_query, field)
#define LIST_TARGET(field) .scope = OPTION_TARGET, OPTION_FIELD(struct redis_list_target, field)
#define STREAM_QUERY(field) .scope = OPTION_QUERY, OPTION_FIELD(struct redis_stream_query, field)
#define STREAM_TARGET(field) .scope = OPTION_TARGET, OPTION_FIELD(struct redis_stream_target, field)
#define CONNECTION(field)                                                                          \
    .scope = OPTION_CONNECTION, OPTION_FIELD(struct redis_connection_options, field)
#define TEXT(field) CONNECTION(field), .type = OPTION_STRING
#define SECRET(field) TEXT(field), .flags = OPTION_SECRET

#define KEDA_ANYWHERE (OPTION_KEDA_METADATA | OPTION_KEDA_VARIABLE | OPTION_KEDA_AUTHENTICATION)

#define NO_SENTINEL(name)                                                                          \
    {.key = (name),                                                                                \
     .scope = OPTION_CONNECTION,                                                                   \
     .type = OPTION_UNSUPPORTED,                                                                   \
     .doc = "set scaler to redis-sentinel or redis-sentinel-streams, or address to the master"}
#define NO_SENTINELS                                                                               \
    NO_SENTINEL("sentinelMaster"), NO_SENTINEL("sentinelUsername"), NO_SENTINEL("sentinelPassword")

#define DATABASE(database_doc)                                                                     \
    {.key = "databaseIndex",                                                                       \
     CONNECTION(database),                                                                         \
     .type = OPTION_INT,                                                                           \
     .default_value = "0",                                                                         \
     .limits = {0, INT32_MAX},                                                                     \
     .doc = (database_doc)}
#define SERVER_DATABASE DATABASE("the number of the database")

/* The rows, with that of the database. An address may be written as a URL with a password in it, so
 * none is shown. */
#define CONNECTION_OPTIONS(address_doc, ...)                                                       \
    {.key = "address",                                                                             \
     .alias = "addresses",                                                                         \
     CONNECTION(addresses),                                                                        \
     .type = OPTION_LIST,                                                                          \
     .flags = OPTION_URL | OPTION_HOST,                                                            \
     .keda = KEDA_ANYWHERE,                                                                        \
     .doc = (address_doc)},                                                                        \
        {.key = "host",                                                                            \
         .alias = "hosts",                                                                         \
         CONNECTION(hosts),                                                                        \
         .type = OPTION_LIST,                                                                      \
         .flags = OPTION_URL | OPTION_HOST,                                                        \
         .keda = KEDA_ANYWHERE,                                                                    \
         .doc = "instead of address; needs as many in port"},                                      \
        {.key = "port",                                                                            \
         .alias = "ports",                                                                         \
         CONNECTION(ports),                                                                        \
         .type = OPTION_LIST,                                                                      \
         .flags = OPTION_PORT,                                                                     \
         .keda = KEDA_ANYWHERE,                                                                    \
         .doc = "the port of host"},                                                               \
        __VA_ARGS__,                                                                               \
        {.key = "username",                                                                        \
         TEXT(username),                                                                           \
         .flags = OPTION_CREDENTIAL | OPTION_USER,                                                 \
         .keda = KEDA_ANYWHERE,                                                                    \
         .doc = "the user, where it is not the default one; needs password"},                      \
        {.key = "password",                                                                        \
         SECRET(password),                                                                         \
         .keda = KEDA_ANYWHERE,                                                                    \
         .doc = "the user's password"},                                                            \
        {.key = "tls",                                                                             \
         CONNECTION(tls.enable),                                                                   \
         .type = OPTION_CHOICE,                                                                    \
         .choices = tls_choices,                                                                   \
         .default_value = "disable",                                                               \
         .keda = OPTION_KEDA_AUTHENTICATION,                                                       \
         .doc = "enable: connect only over TLS"},                                                  \
        {.key = "brokerTls",                                                                       \
         .alias = "enableTLS",                                                                     \
         CONNECTION(broker_tls),                                                                   \
         .type = OPTION_CHOICE,                                                                    \
         .flags = OPTION_ALIAS_IN_FILE,                                                            \
         .choices = switch_choices,                                                                \
         .default_value = "disable",                                                               \
         .doc = "enable or true: the same; enableTLS of a trigger of KEDA's own type"},            \
        TLS_FILES(offsetof(struct redis_connection_options, tls), "Cert",                          \
                  OPTION_KEDA_AUTHENTICATION)

#define SERVER_OPTIONS                                                                             \
    CONNECTION_OPTIONS("the server as host:port; of several the first counts", SERVER_DATABASE),   \
        NO_SENTINELS

#define CLUSTER_OPTIONS                                                                            \
    CONNECTION_OPTIONS(                                                                            \
        "nodes of the cluster, each as host:port; one that answers names the others",              \
        DATABASE("the number of the database: a Redis Cluster has only 0, one of Valkey 9 more")), \
        NO_SENTINELS

#define SENTINEL_OPTIONS                                                                           \
    CONNECTION_OPTIONS("the Sentinels, each as host:port; one that answers is enough",             \
                       SERVER_DATABASE),                                                           \
        {.key = "sentinelMaster",                                                                  \
         TEXT(sentinel_master),                                                                    \
         .flags = OPTION_REQUIRED,                                                                 \
         .keda = KEDA_ANYWHERE,                                                                    \
         .doc = "the name of the master, as the Sentinels have it"},                               \
        {.key = "sentinelUsername",                                                                \
         TEXT(sentinel_username),                                                                  \
         .flags = OPTION_CREDENTIAL | OPTION_USER,                                                 \
         .keda = KEDA_ANYWHERE,                                                                    \
         .doc = "the user at the Sentinels; needs sentinelPassword"},                              \
        {.key = "sentinelPassword",                                                                \
         SECRET(sentinel_password),                                                                \
         .keda = KEDA_ANYWHERE,                                                                    \
         .doc = "the user's password at the Sentinels"}

#define LIST_OPTIONS                                                                               \
    {.key = "listName",                                                                            \
     LIST_QUERY(list_name),                                                                        \
     .type = OPTION_STRING,                                                                        \
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_REQUIRED,                                          \
     .doc = "the key of a list, set, sorted set or hash; one that does not exist has no items; "   \
            "must be set unless keys or library is"},                                              \
        {.key = "keys",                                                                            \
         LIST_QUERY(keys),                                                                         \
         .type = OPTION_LIST,                                                                      \
         .keda = OPTION_KEDA_NOWHERE,                                                              \
         .doc = "instead of listName: up to 64 such keys, whose items are added; they are read "   \
                "at one moment"},                                                                  \
        {.key = "library",                                                                         \
         LIST_QUERY(library),                                                                      \
         .type = OPTION_CHOICE,                                                                    \
         .choices = redis_library_names,                                                           \
         .default_value = "none",                                                                  \
         .keda = OPTION_KEDA_NOWHERE,                                                              \
         .doc = "instead of listName: the job library of the queue queueName. Jobs count that "    \
                "wait or whose delay is over, none while the queue is paused; jobs in progress "   \
                "are in flight"},                                                                  \
        {.key = "queueName",                                                                       \
         LIST_QUERY(queue_name),                                                                   \
         .type = OPTION_STRING,                                                                    \
         .keda = OPTION_KEDA_NOWHERE,                                                              \
         .doc = "with library: the name of the queue, as the library has it"},                     \
        {.key = "prefix",                                                                          \
         LIST_QUERY(prefix),                                                                       \
         .type = OPTION_STRING,                                                                    \
         .keda = OPTION_KEDA_NOWHERE,                                                              \
         .doc = "with library: what its keys begin with, without the colon, at most 256 bytes; "   \
                "default: bull, or rq"},                                                           \
        {.key = "listLength",                                                                      \
         LIST_TARGET(list_length),                                                                 \
         .type = OPTION_INT,                                                                       \
         .flags = OPTION_THRESHOLD,                                                                \
         .default_value = "5",                                                                     \
         .limits = {1, INFINITY},                                                                  \
         .doc = "items per replica"},                                                              \
        {.key = "activationListLength",                                                            \
         LIST_TARGET(activation_list_length),                                                      \
         .type = OPTION_INT,                                                                       \
         .default_value = "0",                                                                     \
         .doc = "active above this many items"}

#define STREAM_OPTIONS                                                                             \
    {.key = "stream",                                                                              \
     STREAM_QUERY(stream),                                                                         \
     .type = OPTION_STRING,                                                                        \
     .flags = OPTION_REQUIRED,                                                                     \
     .doc = "the key of the stream"},                                                              \
        {.key = "consumerGroup",                                                                   \
         STREAM_QUERY(consumer_group),                                                             \
         .type = OPTION_STRING,                                                                    \
         .doc = "the group whose pending entries, or whose lag, counts; without it all entries "   \
                "of the stream do"},                                                               \
        {.key = "lagCount",                                                                        \
         STREAM_QUERY(lag_count),                                                                  \
         .type = OPTION_INT,                                                                       \
         .flags = OPTION_THRESHOLD,                                                                \
         .default_value = "0",                                                                     \
         .limits = {0, INFINITY},                                                                  \
         .doc =                                                                                    \
             "with consumerGroup: lag per replica, instead of pending entries; needs Redis 7; 0: " \
             "count pending entries"},                                                             \
        {.key = "pendingEntriesCount",                                                             \
         STREAM_TARGET(pending_entries_count),                                                     \
         .type = OPTION_INT,                                                                       \
         .flags = OPTION_THRESHOLD,                                                                \
         .default_value = "5",                                                                     \
         .limits = {1, INFINITY},                                                                  \
         .doc = "with consumerGroup: pending entries per replica"},                                \
        {.key = "streamLength",                                                                    \
         STREAM_TARGET(stream_length),                                                             \
         .type = OPTION_INT,                                                                       \
         .flags = OPTION_THRESHOLD,                                                                \
         .default_value = "5",                                                                     \
         .limits = {1, INFINITY},                                                                  \
         .doc = "without consumerGroup: entries per replica; only deleting and trimming lowers "   \
                "their number"},                                                                   \
        {.key = "activationLagCount",                                                              \
         STREAM_TARGET(activation_lag_count),                                                      \
         .type = OPTION_INT,                                                                       \
         .default_value = "0",                                                                     \
         .doc = "active above this many entries, in any of the three modes"}

const struct option redis_list_options[] = {SERVER_OPTIONS, LIST_OPTIONS, {0}};
const struct option redis_sentinel_list_options[] = {SENTINEL_OPTIONS, LIST_OPTIONS, {0}};
const struct option redis_cluster_list_options[] = {CLUSTER_OPTIONS, LIST_OPTIONS, {0}};
const struct option redis_stream_options[] = {SERVER_OPTIONS, STREAM_OPTIONS, {0}};
const struct option redis_sentinel_stream_options[] = {SENTINEL_OPTIONS, STREAM_OPTIONS, {0}};
const struct option redis_cluster_stream_options[] = {CLUSTER_OPTIONS, STREAM_OPTIONS, {0}};

bool redis_connection_has_tls(const struct redis_connection_options *connection)
{
    return connection->tls.enable != 0 || connection->broker_tls % 2 != 0;
}

/* The last address is empty behind a closing comma. */
static size_t count_addresses(const struct redis_connection_options *connection)
{
    size_t count = connection->addresses.count;
    while (count > 0 && *connection->addresses.items[count - 1] == '\0')
        count--;
    return count;
}

size_t redis_connection_count(const struct redis_connection_options *connection)
{
    return count_addresses(connection) + connection->hosts.count;
}

char *redis_connection_host(const struct redis_connection_options *connection, size_t index,
                            int *ret_port)
{
    size_t whole_count = count_addresses(connection);
    bool whole = index < whole_count;
    const char *text =
        whole ? connection->addresses.items[index] : connection->hosts.items[index - whole_count];
    const char *colon = whole ? strrchr(text, ':') : NULL;
    size_t length = whole ? (size_t)(colon - text) : strlen(text);
    *ret_port = atoi(whole ? colon + 1 : connection->ports.items[index - whole_count]);
    return address_is_bracketed(text, length) ? text_copy_bytes(text + 1, length - 2)
                                              : text_copy_bytes(text, length);
}

enum redis_stream_mode redis_stream_mode(const struct redis_stream_query *query)
{
    if (query->consumer_group == NULL)
        return REDIS_STREAM_LENGTH;
    return query->lag_count == 0 ? REDIS_STREAM_PENDING : REDIS_STREAM_LAG;
}
