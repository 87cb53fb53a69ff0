/*
 * The TLS keys that scalers share: a struct for the connection's, the rows of its table, and the
 * rule across them. Files are given as their content (PEM), as KEDA does.
 *
 * In a trigger `unsafeSsl` is about KEDA's channel to Backlog, so for the broker it is
 * `brokerUnsafeSsl`.
 *
 * Threads: any; a table is constant, and nothing is kept.
 */
#ifndef BACKLOG_SCALERS_SHARED_TLS_OPTIONS_H
#define BACKLOG_SCALERS_SHARED_TLS_OPTIONS_H

#include "base/error.h"
#include "config/option.h"

#include <stdbool.h>
#include <stddef.h>

struct tls_options {
    int enable; /* 1: `tls: enable` */
    bool unsafe;
    const char *ca;
    const char *cert;
    const char *key;
    const char *key_password;
};

extern const char *const tls_choices[];

/* Behind the reason why a source's certificate was refused. */
#define TLS_UNVERIFIED                                                                             \
    ": set ca to the certificates of its authority, and name the host as its certificate does; "   \
    "brokerUnsafeSsl: \"true\" verifies nothing"

/* The rows; `base` is the offset of the struct tls_options in the connection's struct, `places`
 * where KEDA's scaler reads `tls`. One without it has none of these keys. */
#define TLS_OPTIONS(base, places)                                                                  \
    {.key = "tls",                                                                                 \
     .scope = OPTION_CONNECTION,                                                                   \
     .type = OPTION_CHOICE,                                                                        \
     OPTION_FIELD_AT(base, struct tls_options, enable),                                            \
     .keda = (places),                                                                             \
     .choices = tls_choices,                                                                       \
     .default_value = "disable",                                                                   \
     .doc = "enable: connect to the source only over TLS"},                                        \
        TLS_FILES(base, NULL, places)

/* The same where a URL's scheme decides whether TLS is used. */
#define TLS_OPTIONS_OF_URL(base) TLS_FILES(base, NULL, OPTION_KEDA_AUTHENTICATION)

#define TLS_KEDA(places, place) ((places) == OPTION_KEDA_NOWHERE ? OPTION_KEDA_NOWHERE : (place))

/* KEDA's Redis scalers read another name of cert, too. */
#define TLS_FILES(base, cert_alias, places)                                                        \
    {.key = "ca",                                                                                  \
     .scope = OPTION_CONNECTION,                                                                   \
     .type = OPTION_STRING,                                                                        \
     OPTION_FIELD_AT(base, struct tls_options, ca),                                                \
     .flags = OPTION_CREDENTIAL | OPTION_PEER | OPTION_HIDDEN, /* may have its private key */      \
     .keda = TLS_KEDA(places, OPTION_KEDA_AUTHENTICATION),                                         \
     .doc = "PEM certificates of the authorities to trust"},                                       \
        {.key = "cert",                                                                            \
         .alias = (cert_alias),                                                                    \
         .scope = OPTION_CONNECTION,                                                               \
         .type = OPTION_STRING,                                                                    \
         OPTION_FIELD_AT(base, struct tls_options, cert),                                          \
         .flags = OPTION_CREDENTIAL | OPTION_HIDDEN, /* with its key in it */                      \
         .keda = TLS_KEDA(places, OPTION_KEDA_AUTHENTICATION),                                     \
         .doc = "PEM certificate to show to the source; needs key"},                               \
        {.key = "key",                                                                             \
         .scope = OPTION_CONNECTION,                                                               \
         .type = OPTION_STRING,                                                                    \
         OPTION_FIELD_AT(base, struct tls_options, key),                                           \
         .flags = OPTION_SECRET,                                                                   \
         .keda = TLS_KEDA(places, OPTION_KEDA_AUTHENTICATION),                                     \
         .doc = "PEM private key of cert"},                                                        \
        {.key = "keyPassword",                                                                     \
         .scope = OPTION_CONNECTION,                                                               \
         .type = OPTION_STRING,                                                                    \
         OPTION_FIELD_AT(base, struct tls_options, key_password),                                  \
         .flags = OPTION_SECRET,                                                                   \
         .keda = TLS_KEDA(places, OPTION_KEDA_AUTHENTICATION),                                     \
         .doc = "the password of an encrypted key"},                                               \
        {.key = "brokerUnsafeSsl",                                                                 \
         .alias = "unsafeSsl",                                                                     \
         .scope = OPTION_CONNECTION,                                                               \
         .type = OPTION_BOOL,                                                                      \
         OPTION_FIELD_AT(base, struct tls_options, unsafe),                                        \
         .flags = OPTION_ALIAS_IN_FILE | OPTION_PEER,                                              \
         .default_value = "false",                                                                 \
         .keda = TLS_KEDA(places, OPTION_KEDA_METADATA),                                           \
         .doc = "true: the source's certificate is not verified"}

/* With PEM_MAX_ITERATIONS. */
#define TLS_KEY_IS_COSTLY                                                                          \
    "key takes too long to decrypt: at most %d iterations of PBKDF2 are allowed, and of scrypt "   \
    "2 MiB; write it again: openssl pkcs8 -topk8 -iter 100000 -in OLD -out NEW"

void tls_options_check(const struct tls_options *options, struct error *mistakes);

#endif
