/*
 * The keytab of a trigger, out of base64. It is read by the Kerberos library, in a file in memory:
 * so it is a keytab and nothing else, with no bytes left for another file in it. The library logs
 * in as the first principal of the file: so only the keys of the wanted one are left in it.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_KAFKA_LOGIN_KEYTAB_H
#define BACKLOG_SCALERS_KAFKA_LOGIN_KEYTAB_H

#include "base/error.h"

#include <stddef.h>

struct kafka_keytab {
    unsigned char *bytes;
    size_t length; /* of the keytab */
    size_t size;   /* of all bytes, with the keys of other principals */
};

/* Reads the keys of the principal username@realm; white space in the base64 is passed over. The
 * caller ends the keytab with kafka_keytab_done(), after a mistake, too. */
bool kafka_keytab_read(const char *base64, const char *username, const char *realm,
                       struct kafka_keytab *ret_keytab, struct error *error);

/* Wipes the bytes and frees them. */
void kafka_keytab_done(struct kafka_keytab *keytab);

#endif
