/*
 * Kerberos for SASL GSSAPI. The keytab and krb5.conf come as their contents and stay in memory: the
 * Kerberos library reads them through /proc, and gets its tickets with the keytab by itself. So
 * librdkafka's own way, a kinit started by a shell, is not used: the shell would see the user's
 * text (workaround 13 of client.h).
 *
 * The library finds them by environment variables. So there is one connection per process, as the
 * scaler runs in an agent process.
 *
 * Threads: the measuring thread; kafka_kerberos_open() comes before any other starts. Owner: the
 * client.
 */
#ifndef BACKLOG_SCALERS_KAFKA_LOGIN_KERBEROS_H
#define BACKLOG_SCALERS_KAFKA_LOGIN_KERBEROS_H

#include "kafka/options.h"

struct kafka_kerberos;

/* Adds the mistakes of a connection with SASL GSSAPI: keys that are missing or not for it, and what
 * is wrong in the keytab or in krb5.conf. */
void kafka_kerberos_check(const struct kafka_connection_options *connection,
                          struct error *mistakes);

/* Writes both into files in memory, and sets the environment variables of the process by which the
 * Kerberos library finds them. The caller frees the result, after the last handle that logs in with
 * it. Fails where one of them is invalid, or has no file. */
bool kafka_kerberos_open(const struct kafka_connection_options *connection,
                         struct kafka_kerberos **ret_kerberos, struct error *error);

/* Closes the files; the variables stay, and name nothing any more. NULL is none. */
void kafka_kerberos_free(struct kafka_kerberos *kerberos);

#endif
