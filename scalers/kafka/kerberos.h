/*
 * Kerberos for SASL GSSAPI. The keytab and krb5.conf come as their contents and stay in memory: the
 * Kerberos library reads them through /proc, and gets its tickets with the keytab by itself. So
 * librdkafka's own way, a kinit started by a shell, is not taken: the shell would see the user's words.
 *
 * The library is told of them by environment variables: so there is one connection a process, as the
 * scaler is isolated, and kerberos_open() comes before any other thread.
 */
#ifndef BACKLOG_KAFKA_KERBEROS_H
#define BACKLOG_KAFKA_KERBEROS_H

#include "options.h"

struct kerberos;

void kerberos_check(const struct kafka_connection *connection, struct error *mistakes);

bool kerberos_open(const struct kafka_connection *connection, struct kerberos **ret_kerberos,
                   struct error *error);
void kerberos_free(struct kerberos *kerberos);

#endif
