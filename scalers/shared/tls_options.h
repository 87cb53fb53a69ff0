/*
 * The TLS keys that scalers share: a struct for the connection's, the rows of its table, and the rule
 * across them. Files are given as their content (PEM), as KEDA does.
 *
 * In a trigger `unsafeSsl` speaks of KEDA's channel to us, so for the broker it is `brokerUnsafeSsl`.
 */
#ifndef BACKLOG_SCALERS_SHARED_TLS_OPTIONS_H
#define BACKLOG_SCALERS_SHARED_TLS_OPTIONS_H

#include "base/error.h"
#include "config/option.h"

#include <stdbool.h>

struct tls_options {
    int enable; /* 1: `tls: enable` */
    bool unsafe;
    const char *ca;
    const char *cert;
    const char *key;
};

extern const char *const tls_choices[];

/* The rows for `struct tls_options MEMBER` in the connection's STRUCTURE. */
#define TLS_OPTIONS(structure, member)                                                             \
    {.key = "tls",                                                                                 \
     .scope = OPTION_CONNECTION,                                                                   \
     .type = OPTION_CHOICE,                                                                        \
     OPTION_FIELD(structure, member.enable),                                                       \
     .choices = tls_choices,                                                                       \
     .fallback = "disable",                                                                        \
     .doc = "enable: nothing but TLS is spoken with the source"},                                  \
        {.key = "ca",                                                                              \
         .scope = OPTION_CONNECTION,                                                               \
         .type = OPTION_STRING,                                                                    \
         OPTION_FIELD(structure, member.ca),                                                       \
         .doc = "PEM certificates of the authorities to trust"},                                   \
        {.key = "cert",                                                                            \
         .scope = OPTION_CONNECTION,                                                               \
         .type = OPTION_STRING,                                                                    \
         OPTION_FIELD(structure, member.cert),                                                     \
         .doc = "PEM certificate to show to the source; needs key"},                               \
        {.key = "key",                                                                             \
         .scope = OPTION_CONNECTION,                                                               \
         .type = OPTION_STRING,                                                                    \
         OPTION_FIELD(structure, member.key),                                                      \
         .flags = OPTION_SECRET,                                                                   \
         .doc = "PEM private key of cert"},                                                        \
        {.key = "brokerUnsafeSsl",                                                                 \
         .alias = "unsafeSsl",                                                                     \
         .scope = OPTION_CONNECTION,                                                               \
         .type = OPTION_BOOL,                                                                      \
         OPTION_FIELD(structure, member.unsafe),                                                   \
         .flags = OPTION_ALIAS_IN_FILE,                                                            \
         .fallback = "false",                                                                      \
         .doc = "true: the source's certificate is not verified"}

void tls_options_check(const struct tls_options *options, struct error *mistakes);

#endif
