#include "kafka/login/kerberos.h"

#include "base/memory.h"
#include "base/system/memory_file.h"
#include "base/text.h"
#include "kafka/login/kerberos_config.h"
#include "kafka/login/keytab.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct kafka_kerberos {
    int keytab;
    int config;
};

void kafka_kerberos_check(const struct kafka_connection_options *connection, struct error *mistakes)
{
    _cleanup_(kafka_keytab_done) struct kafka_keytab keytab = {0};
    _cleanup_(error_done) struct error why = {0};
    if (connection->password != NULL)
        error_add(mistakes, "sasl \"gssapi\" takes no password here: set keytab");
    if (connection->username == NULL || connection->keytab == NULL || connection->realm == NULL ||
        connection->kerberos_config == NULL) {
        error_add(mistakes, "sasl \"gssapi\" needs username, keytab, realm and kerberosConfig");
        return;
    }
    if (!kafka_keytab_read(connection->keytab, connection->username, connection->realm, &keytab,
                           &why))
        error_add(mistakes, "%s", error_text(&why));
    free(kafka_kerberos_config(connection->kerberos_config, mistakes));
}

static void set_path(const char *variable, const char *prefix, int file)
{
    _cleanup_(memory_free) char *path = memory_file_path(file);
    _cleanup_(memory_free) char *value = text_format("%s%s", prefix, path);
    setenv(variable, value, 1);
}

bool kafka_kerberos_open(const struct kafka_connection_options *connection,
                         struct kafka_kerberos **ret_kerberos, struct error *error)
{
    _cleanup_(kafka_keytab_done) struct kafka_keytab keytab = {0};
    if (!kafka_keytab_read(connection->keytab, connection->username, connection->realm, &keytab,
                           error))
        return false;
    _cleanup_(memory_free) char *config = kafka_kerberos_config(connection->kerberos_config, error);
    if (config == NULL)
        return false;
    struct kafka_kerberos *kerberos = memory_new(sizeof(*kerberos));
    kerberos->keytab = memory_file_open("keytab", keytab.bytes, keytab.length, error);
    kerberos->config =
        kerberos->keytab < 0 ? -1 : memory_file_open("krb5.conf", config, strlen(config), error);
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
