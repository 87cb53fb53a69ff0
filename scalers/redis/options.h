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
    /* Of what is not supported, those that can say so themselves. */
    int tls;        /* an index of tls_choices */
    int broker_tls; /* an index of redis_switch */
    bool unsafe;
};

/* Odd ones are on: `tls` is a choice, and KEDA's enableTLS a boolean. */
extern const char *const redis_switch[];

#define REDIS_CONNECTION(field)                                                                    \
    .scope = OPTION_CONNECTION, OPTION_FIELD(struct redis_connection, field)
#define REDIS_TEXT(field) REDIS_CONNECTION(field), .type = OPTION_STRING
#define REDIS_SECRET(field) REDIS_TEXT(field), .flags = OPTION_SECRET
#define REDIS_UNSUPPORTED .scope = OPTION_CONNECTION, .type = OPTION_UNSUPPORTED

#define REDIS_TLS_ADVICE                                                                           \
    "set address to a port without TLS, or to a TLS proxy (such as stunnel) beside this server"
#define REDIS_NO_TLS REDIS_UNSUPPORTED, .doc = REDIS_TLS_ADVICE
#define REDIS_OFF .doc = "TLS is not supported here: " REDIS_TLS_ADVICE
#define REDIS_NO_SENTINEL                                                                          \
    REDIS_UNSUPPORTED, .doc = "set address to the master, or to a service or proxy that follows "  \
                              "it"

/* The rows. An address may be written as a URL with a password in it, so none is shown. */
#define REDIS_CONNECTION_OPTIONS                                                                   \
    {.key = "address",                                                                             \
     .alias = "addresses",                                                                         \
     REDIS_CONNECTION(addresses),                                                                  \
     .type = OPTION_LIST,                                                                          \
     .flags = OPTION_URL | OPTION_HOST,                                                            \
     .doc = "the server as host:port; of several the first counts"},                               \
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
         .doc = "the port of host"},                                                               \
        {.key = "databaseIndex",                                                                   \
         REDIS_CONNECTION(database),                                                               \
         .type = OPTION_INT,                                                                       \
         .default_value = "0",                                                                     \
         .limits = {0, INT32_MAX},                                                                 \
         .doc = "the number of the database"},                                                     \
        {.key = "username",                                                                        \
         REDIS_TEXT(username),                                                                     \
         .flags = OPTION_CREDENTIAL,                                                               \
         .doc = "the user, where it is not the default one; needs password"},                      \
        {.key = "password", REDIS_SECRET(password), .doc = "the user's password"},                 \
        {.key = "tls",                                                                             \
         REDIS_CONNECTION(tls),                                                                    \
         .type = OPTION_CHOICE,                                                                    \
         .choices = tls_choices,                                                                   \
         .default_value = "disable",                                                               \
         REDIS_OFF},                                                                               \
        {.key = "brokerTls",                                                                       \
         .alias = "enableTLS",                                                                     \
         REDIS_CONNECTION(broker_tls),                                                             \
         .type = OPTION_CHOICE,                                                                    \
         .flags = OPTION_ALIAS_IN_FILE,                                                            \
         .choices = redis_switch,                                                                  \
         .default_value = "disable",                                                               \
         REDIS_OFF},                                                                               \
        {.key = "brokerUnsafeSsl",                                                                 \
         .alias = "unsafeSsl",                                                                     \
         REDIS_CONNECTION(unsafe),                                                                 \
         .type = OPTION_BOOL,                                                                      \
         .flags = OPTION_ALIAS_IN_FILE,                                                            \
         .default_value = "false",                                                                 \
         REDIS_OFF},                                                                               \
        {.key = "ca", REDIS_NO_TLS}, {.key = "cert", .alias = "Cert", REDIS_NO_TLS},               \
        {.key = "key", REDIS_NO_TLS}, {.key = "keyPassword", REDIS_NO_TLS},                        \
        {.key = "sentinelMaster", REDIS_NO_SENTINEL},                                              \
        {.key = "sentinelUsername", REDIS_NO_SENTINEL},                                            \
    {                                                                                              \
        .key = "sentinelPassword", REDIS_NO_SENTINEL                                               \
    }

/* Rules across keys and of addresses; every mistake is added to the error. */
void redis_connection_check(const void *connection_options, struct error *mistakes);

/* Of a connection without mistakes: the host of the one server that is queried (the caller frees it),
 * and its port. */
char *redis_connection_host(const struct redis_connection *connection, int *ret_port);

#endif
