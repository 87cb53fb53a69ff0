/*
 * What redis and redis-streams share of their options: where the server is, and how to log in.
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
    const char *username;
    const char *password;
    /* KEDA's keys of what is not supported, kept only to refuse them with advice. */
    int tls;        /* an index of tls_choices */
    int broker_tls; /* an index of redis_switch */
    bool unsafe;
    const char *ca;
    const char *cert;
    const char *key;
    const char *key_password;
    const char *sentinel_master;
    const char *sentinel_username;
    const char *sentinel_password;
};

/* Odd ones are on: `tls` has words, and KEDA's enableTLS a truth. */
extern const char *const redis_switch[];

#define REDIS_CONNECTION(field)                                                                    \
    .scope = OPTION_CONNECTION, OPTION_FIELD(struct redis_connection, field)
#define REDIS_TEXT(field) REDIS_CONNECTION(field), .type = OPTION_STRING
#define REDIS_SECRET(field) REDIS_TEXT(field), .flags = OPTION_SECRET
#define REDIS_NO_TLS .doc = "refused: TLS to Redis is not supported in this build"
#define REDIS_NO_SENTINEL .doc = "refused: Sentinel is not supported, set address to the master"

/* The rows. An address may be written as a URL with a password in it, so none is shown. */
#define REDIS_CONNECTION_OPTIONS                                                                   \
    {.key = "address",                                                                             \
     .alias = "addresses",                                                                         \
     REDIS_CONNECTION(addresses),                                                                  \
     .type = OPTION_LIST,                                                                          \
     .flags = OPTION_URL,                                                                          \
     .doc = "the server as host:port; of several the first counts"},                               \
        {.key = "host",                                                                            \
         .alias = "hosts",                                                                         \
         REDIS_CONNECTION(hosts),                                                                  \
         .type = OPTION_LIST,                                                                      \
         .flags = OPTION_URL,                                                                      \
         .doc = "instead of address; needs as many in port"},                                      \
        {.key = "port",                                                                            \
         .alias = "ports",                                                                         \
         REDIS_CONNECTION(ports),                                                                  \
         .type = OPTION_LIST,                                                                      \
         .doc = "the port of host"},                                                               \
        {.key = "databaseIndex",                                                                   \
         REDIS_CONNECTION(database),                                                               \
         .type = OPTION_INT,                                                                       \
         .fallback = "0",                                                                          \
         .limits = {0, INT32_MAX},                                                                 \
         .doc = "the number of the database"},                                                     \
        {.key = "username",                                                                        \
         REDIS_TEXT(username),                                                                     \
         .doc = "the user, where it is not the default one; needs password"},                      \
        {.key = "password", REDIS_SECRET(password), .doc = "the user's password"},                 \
        {.key = "tls",                                                                             \
         REDIS_CONNECTION(tls),                                                                    \
         .type = OPTION_CHOICE,                                                                    \
         .choices = tls_choices,                                                                   \
         .fallback = "disable",                                                                    \
         REDIS_NO_TLS},                                                                            \
        {.key = "brokerTls",                                                                       \
         .alias = "enableTLS",                                                                     \
         REDIS_CONNECTION(broker_tls),                                                             \
         .type = OPTION_CHOICE,                                                                    \
         .flags = OPTION_ALIAS_IN_FILE,                                                            \
         .choices = redis_switch,                                                                  \
         .fallback = "disable",                                                                    \
         REDIS_NO_TLS},                                                                            \
        {.key = "brokerUnsafeSsl",                                                                 \
         .alias = "unsafeSsl",                                                                     \
         REDIS_CONNECTION(unsafe),                                                                 \
         .type = OPTION_BOOL,                                                                      \
         .flags = OPTION_ALIAS_IN_FILE,                                                            \
         .fallback = "false",                                                                      \
         REDIS_NO_TLS},                                                                            \
        {.key = "ca", REDIS_TEXT(ca), REDIS_NO_TLS},                                               \
        {.key = "cert", .alias = "Cert", REDIS_TEXT(cert), REDIS_NO_TLS},                          \
        {.key = "key", REDIS_SECRET(key), REDIS_NO_TLS},                                           \
        {.key = "keyPassword", REDIS_SECRET(key_password), REDIS_NO_TLS},                          \
        {.key = "sentinelMaster", REDIS_TEXT(sentinel_master), REDIS_NO_SENTINEL},                 \
        {.key = "sentinelUsername", REDIS_TEXT(sentinel_username), REDIS_NO_SENTINEL},             \
    {                                                                                              \
        .key = "sentinelPassword", REDIS_SECRET(sentinel_password), REDIS_NO_SENTINEL              \
    }

/* Rules across keys and of addresses; every mistake is added to the error. */
void redis_connection_check(const struct redis_connection *connection, struct error *mistakes);

/* Of a connection without mistakes: the host of the one server that is asked (the caller frees it),
 * and its port. */
char *redis_connection_host(const struct redis_connection *connection, int *ret_port);

#endif
