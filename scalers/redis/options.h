/*
 * What redis and redis-streams share of their options: where the server is, TLS, and how to log in.
 *
 * Threads: any; nothing here changes after it was parsed.
 */
#ifndef BACKLOG_SCALERS_REDIS_OPTIONS_H
#define BACKLOG_SCALERS_REDIS_OPTIONS_H

#include "base/error.h"
#include "config/option.h"
#include "shared/tls_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_connection {
    struct option_list addresses;
    struct option_list hosts;
    struct option_list ports;
    int64_t database;
    int cluster_database; /* an index of redis_cluster_databases */
    const char *username;
    const char *password;
    struct tls_options tls;
    int broker_tls;              /* an index of redis_switch */
    const char *sentinel_master; /* of Sentinels only, which the addresses are then */
    const char *sentinel_username;
    const char *sentinel_password;
};

enum { REDIS_MAX_SENTINELS = 16 };

/* Odd ones are on: KEDA's enableTLS is a boolean. */
extern const char *const redis_switch[];

extern const char *const redis_cluster_databases[];

#define REDIS_CONNECTION(field)                                                                    \
    .scope = OPTION_CONNECTION, OPTION_FIELD(struct redis_connection, field)
#define REDIS_TEXT(field) REDIS_CONNECTION(field), .type = OPTION_STRING
#define REDIS_SECRET(field) REDIS_TEXT(field), .flags = OPTION_SECRET
#define REDIS_UNSUPPORTED .scope = OPTION_CONNECTION, .type = OPTION_UNSUPPORTED

#define REDIS_NO_SENTINEL                                                                          \
    REDIS_UNSUPPORTED, .doc = "set scaler to redis-sentinel or redis-sentinel-streams, or "        \
                              "address to the master"

#define REDIS_DATABASE                                                                             \
    {.key = "databaseIndex",                                                                       \
     REDIS_CONNECTION(database),                                                                   \
     .type = OPTION_INT,                                                                           \
     .default_value = "0",                                                                         \
     .limits = {0, INT32_MAX},                                                                     \
     .doc = "the number of the database"}

/* The rows, with that of the database. An address may be written as a URL with a password in it, so
 * none is shown. */
#define REDIS_CONNECTION_OPTIONS(address_doc, ...)                                                 \
    {.key = "address",                                                                             \
     .alias = "addresses",                                                                         \
     REDIS_CONNECTION(addresses),                                                                  \
     .type = OPTION_LIST,                                                                          \
     .flags = OPTION_URL | OPTION_HOST,                                                            \
     .doc = (address_doc)},                                                                        \
        {.key = "host",                                                                            \
         .alias = "hosts",                                                                         \
         REDIS_CONNECTION(hosts),                                                                  \
         .type = OPTION_LIST,                                                                      \
         .flags = OPTION_URL | OPTION_HOST,                                                        \
         .doc = "instead of address; needs as many in port"},                                      \
        {.key = "port",                                                                            \
         .alias = "ports",                                                                         \
         REDIS_CONNECTION(ports),                                                                  \
         .type = OPTION_LIST,                                                                      \
         .flags = OPTION_PEER,                                                                     \
         .doc = "the port of host"},                                                               \
        __VA_ARGS__,                                                                               \
        {.key = "username",                                                                        \
         REDIS_TEXT(username),                                                                     \
         .flags = OPTION_CREDENTIAL,                                                               \
         .doc = "the user, where it is not the default one; needs password"},                      \
        {.key = "password", REDIS_SECRET(password), .doc = "the user's password"},                 \
        {.key = "tls",                                                                             \
         REDIS_CONNECTION(tls.enable),                                                             \
         .type = OPTION_CHOICE,                                                                    \
         .choices = tls_choices,                                                                   \
         .default_value = "disable",                                                               \
         .doc = "enable: connect only over TLS"},                                                  \
        {.key = "brokerTls",                                                                       \
         .alias = "enableTLS",                                                                     \
         REDIS_CONNECTION(broker_tls),                                                             \
         .type = OPTION_CHOICE,                                                                    \
         .flags = OPTION_ALIAS_IN_FILE,                                                            \
         .choices = redis_switch,                                                                  \
         .default_value = "disable",                                                               \
         .doc = "enable or true: the same; enableTLS of a trigger of KEDA's own type"},            \
        TLS_FILES(offsetof(struct redis_connection, tls), "Cert")

#define REDIS_SERVER_OPTIONS                                                                       \
    REDIS_CONNECTION_OPTIONS("the server as host:port; of several the first counts",               \
                             REDIS_DATABASE),                                                      \
        {.key = "sentinelMaster", REDIS_NO_SENTINEL},                                              \
        {.key = "sentinelUsername", REDIS_NO_SENTINEL},                                            \
    {                                                                                              \
        .key = "sentinelPassword", REDIS_NO_SENTINEL                                               \
    }

#define REDIS_CLUSTER_OPTIONS                                                                      \
    REDIS_CONNECTION_OPTIONS(                                                                      \
        "nodes of the cluster, each as host:port; one that answers names the others",              \
        {.key = "databaseIndex",                                                                   \
         REDIS_CONNECTION(cluster_database),                                                       \
         .type = OPTION_CHOICE,                                                                    \
         .choices = redis_cluster_databases,                                                       \
         .default_value = "0",                                                                     \
         .doc = "a Redis Cluster has no other"}),                                                  \
        {.key = "sentinelMaster", REDIS_NO_SENTINEL},                                              \
        {.key = "sentinelUsername", REDIS_NO_SENTINEL},                                            \
    {                                                                                              \
        .key = "sentinelPassword", REDIS_NO_SENTINEL                                               \
    }

#define REDIS_SENTINEL_OPTIONS                                                                     \
    REDIS_CONNECTION_OPTIONS("the Sentinels, each as host:port; one that answers is enough",       \
                             REDIS_DATABASE),                                                      \
        {.key = "sentinelMaster",                                                                  \
         REDIS_TEXT(sentinel_master),                                                              \
         .flags = OPTION_REQUIRED,                                                                 \
         .doc = "the name of the master, as the Sentinels have it"},                               \
        {.key = "sentinelUsername",                                                                \
         REDIS_TEXT(sentinel_username),                                                            \
         .flags = OPTION_CREDENTIAL,                                                               \
         .doc = "the user at the Sentinels; needs sentinelPassword"},                              \
        {.key = "sentinelPassword",                                                                \
         REDIS_SECRET(sentinel_password),                                                          \
         .doc = "the user's password at the Sentinels"}

#define REDIS_SENTINEL_DIFFERENCES                                                                 \
    "All Sentinels are asked, and the newest config-epoch counts; KEDA takes the first that "      \
    "answers.\n"                                                                                   \
    "A server that is named must say by ROLE that it is the master, for which the user needs "     \
    "that right.\n"                                                                                \
    "sentinelMaster must be set, and sentinelUsername needs sentinelPassword.\n"

#define REDIS_CLUSTER_DIFFERENCES                                                                  \
    "A node must say by ROLE that it is a master, for which the user needs that right.\n"          \
    "databaseIndex must be 0; KEDA ignores it.\n"

/* Rules across keys and of addresses; every mistake is added to the error. */
void redis_connection_check(const void *connection_options, struct error *mistakes);

bool redis_connection_has_tls(const struct redis_connection *connection);

/* Of a connection without mistakes: its addresses, those of host and port behind the others, as
 * KEDA has them. The caller frees the host. */
size_t redis_connection_count(const struct redis_connection *connection);
char *redis_connection_host(const struct redis_connection *connection, size_t index, int *ret_port);

#endif
