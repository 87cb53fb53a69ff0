#include "kafka/kerberos.h"

#include "base/memory.h"
#include "base/text.h"
#include "kafka/kerberos_config.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { KEYTAB_MAGIC = 5 }; /* the first byte of the file format */

struct kafka_kerberos {
    int keytab;
    int config;
};

static void keytab_free(unsigned char *keytab, size_t size)
{
    if (keytab != NULL)
        explicit_bzero(keytab, size);
    free(keytab);
}

/* White space is left out, as base64 wraps its lines. NULL where it is no base64 of a keytab. The caller
 * frees it with keytab_free(). */
static unsigned char *keytab_decode(const char *base64, size_t *ret_length)
{
    size_t length = strlen(base64);
    unsigned char *packed = memory_new(length + 1);
    unsigned char *keytab = memory_new(length + 4);
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        if (strchr(" \t\r\n", base64[i]) == NULL)
            packed[count++] = (unsigned char)base64[i];

    int decoded = count < 4 ? -1 : EVP_DecodeBlock(keytab, packed, (int)count);
    bool is_keytab = decoded >= 1 && keytab[0] == KEYTAB_MAGIC;
    if (is_keytab)
        *ret_length = (size_t)decoded - (packed[count - 1] == '=') - (packed[count - 2] == '=');
    else
        keytab_free(TAKE(keytab), length + 4);
    keytab_free(packed, length + 1);
    return keytab;
}

void kafka_kerberos_check(const struct kafka_connection *connection, struct error *mistakes)
{
    size_t length = 0;
    if (connection->password != NULL)
        error_add(mistakes, "sasl \"gssapi\" takes no password here: set keytab");
    if (connection->username == NULL || connection->keytab == NULL || connection->realm == NULL ||
        connection->kerberos_config == NULL) {
        error_add(mistakes, "sasl \"gssapi\" needs username, keytab, realm and kerberosConfig");
        return;
    }
    unsigned char *keytab = keytab_decode(connection->keytab, &length);
    if (keytab == NULL)
        error_add(mistakes, "keytab must be a keytab file in base64");
    keytab_free(keytab, length);
    free(kafka_kerberos_config(connection->kerberos_config, mistakes));
}

/* A file without a name; what it holds is gone with the process. */
static int memory_file(const char *name, const void *bytes, size_t length, struct error *error)
{
    int file = memfd_create(name, MFD_CLOEXEC);
    if (file >= 0 && write(file, bytes, length) == (ssize_t)length)
        return file;
    error_unavailable(error, "cannot keep the %s in memory: %s", name, strerror(errno));
    if (file >= 0)
        close(file);
    return -1;
}

static void set_path(const char *variable, const char *prefix, int file)
{
    _cleanup_(memory_free) char *path = text_format("%s/proc/self/fd/%d", prefix, file);
    setenv(variable, path, 1);
}

bool kafka_kerberos_open(const struct kafka_connection *connection,
                         struct kafka_kerberos **ret_kerberos, struct error *error)
{
    size_t length = 0;
    unsigned char *keytab = keytab_decode(connection->keytab, &length);
    if (keytab == NULL)
        return error_invalid(error, "keytab must be a keytab file in base64");

    _cleanup_(memory_free) char *config = kafka_kerberos_config(connection->kerberos_config, error);
    if (config == NULL) {
        keytab_free(keytab, length);
        return false;
    }
    struct kafka_kerberos *kerberos = memory_new(sizeof(*kerberos));
    kerberos->keytab = memory_file("keytab", keytab, length, error);
    kerberos->config =
        kerberos->keytab < 0 ? -1 : memory_file("krb5.conf", config, strlen(config), error);
    keytab_free(keytab, length);
    if (kerberos->config < 0) {
        kafka_kerberos_free(kerberos);
        return false;
    }
    set_path("KRB5_CLIENT_KTNAME", "FILE:", kerberos->keytab);
    set_path("KRB5_CONFIG", "", kerberos->config);
    setenv("KRB5CCNAME", "MEMORY:backlog", 1);
    *ret_kerberos = kerberos;
    return true;
}

void kafka_kerberos_free(struct kafka_kerberos *kerberos)
{
    if (kerberos == NULL)
        return;
    if (kerberos->keytab >= 0)
        close(kerberos->keytab);
    if (kerberos->config >= 0)
        close(kerberos->config);
    free(kerberos);
}
