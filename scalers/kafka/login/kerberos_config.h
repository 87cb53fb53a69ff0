/*
 * The krb5.conf of a trigger. Whoever writes a trigger must not have our process read files of ours
 * or load code: krb5.conf can do both (include, includedir, module, [plugins], keytab and
 * certificate paths). So the Kerberos library is not given what the user wrote, but a krb5.conf of
 * our own: a list of keys, each with values of one shape (a name, a flag, a number, names, an
 * address), on lines that are shorter than the library's buffer.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_KAFKA_LOGIN_KERBEROS_CONFIG_H
#define BACKLOG_SCALERS_KAFKA_LOGIN_KERBEROS_CONFIG_H

#include "base/error.h"

/* Makes the text for the library, which the caller frees. NULL: the mistakes were added, each with
 * its line. */
char *kafka_kerberos_config(const char *text, struct error *mistakes);

#endif
