#include "kafka/client/settings.h"

#include "base/memory.h"
#include "base/system/socket.h"
#include "base/text.h"
#include "shared/address.h"

/* How long the library remembers metadata, and a group's coordinator to which nothing is sent. It
 * is longer than the usual interval, or each measurement would look for the coordinators first. */
enum { REMEMBER_MS = 15000 };

bool kafka_settings_set(rd_kafka_conf_t *conf, const char *name, const char *value,
                        struct error *error)
{
    char reason[512] = "";
    if (value == NULL ||
        rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) == RD_KAFKA_CONF_OK)
        return true;
    return error_invalid(error, "Kafka: %s", reason);
}

static bool set_number(rd_kafka_conf_t *conf, const char *name, int value, struct error *error)
{
    _cleanup_(memory_free) char *text = text_format("%d", value);
    return kafka_settings_set(conf, name, text, error);
}

/* What every client has, beside the user's settings. */
static bool set_behaviour(rd_kafka_conf_t *conf, struct error *error)
{
    static const char *const settings[][2] = {
        {"client.id", "backlog"},
        /* Never joined (workaround 2 of client.h). */
        {"group.id", "backlog"},
        {"enable.auto.commit", "false"},
        /* Or a request for a topic's metadata would create the topic. */
        {"allow.auto.create.topics", "false"},
        /* KEDA counts up to the high watermark. */
        {"isolation.level", "read_uncommitted"},
        /* The connection to a broker that hangs is closed within two measurements. */
        {"socket.timeout.ms", "2000"},
        {"socket.connection.setup.timeout.ms", "2000"},
        {"socket.keepalive.enable", "true"},
        {"socket.nagle.disable", "true"},
        /* The library connects to all brokers at once (workaround 11). Otherwise every fourth
         * attempt to connect failed where one of two addresses was dead. */
        {"enable.sparse.connections", "false"},
        {"reconnect.backoff.ms", "50"},
        {"reconnect.backoff.max.ms", "1000"},
        {"log.connection.close", "false"},
        /* It must be smaller than receive.message.max.bytes, and at least message.max.bytes. */
        {"fetch.max.bytes", "1000000"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(settings); i++)
        if (!kafka_settings_set(conf, settings[i][0], settings[i][1], error))
            return false;
    return set_number(conf, "metadata.max.age.ms", REMEMBER_MS, error) &&
           /* Or a broker can make us allocate 100 MB per connection (workaround 13). */
           set_number(conf, "receive.message.max.bytes", KAFKA_MAX_REPLY_BYTES, error) &&
           set_number(conf, "socket.receive.buffer.bytes", SOCKET_SOURCE_BYTES, error) &&
           set_number(conf, "socket.send.buffer.bytes", SOCKET_SOURCE_BYTES, error);
}

static const char *protocol(const struct kafka_connection_options *options)
{
    static const char *const names[2][2] = {{"plaintext", "ssl"}, {"sasl_plaintext", "sasl_ssl"}};
    return names[options->sasl != KAFKA_SASL_NONE][options->tls.enable];
}

/* The key in the file needs no password: the library would read any kind of key, however long that
 * takes (workaround 13). */
static bool set_tls(rd_kafka_conf_t *conf, const struct kafka_connection_options *options,
                    const char *tls_path, struct error *error)
{
    if (!options->tls.enable)
        return true;
    return kafka_settings_set(conf, "enable.ssl.certificate.verification",
                              options->tls.unsafe ? "false" : "true", error) &&
           kafka_settings_set(conf, "ssl.endpoint.identification.algorithm",
                              options->tls.unsafe ? "none" : "https", error) &&
           kafka_settings_set(conf, "ssl.ca.pem", options->tls.ca, error) &&
           kafka_settings_set(conf, "ssl.certificate.location", tls_path, error) &&
           kafka_settings_set(conf, "ssl.key.location", tls_path, error);
}

static bool set_password(rd_kafka_conf_t *conf, const char *mechanism,
                         const struct kafka_connection_options *options, struct error *error)
{
    return kafka_settings_set(conf, "sasl.mechanisms", mechanism, error) &&
           kafka_settings_set(conf, "sasl.username", options->username, error) &&
           kafka_settings_set(conf, "sasl.password", options->password, error);
}

static bool set_sasl(rd_kafka_conf_t *conf, const struct kafka_connection_options *options,
                     struct error *error)
{
    switch ((enum kafka_sasl)options->sasl) {
    case KAFKA_SASL_NONE:
        return true;
    case KAFKA_SASL_PLAINTEXT:
        return set_password(conf, "PLAIN", options, error);
    case KAFKA_SASL_SHA256:
        return set_password(conf, "SCRAM-SHA-256", options, error);
    case KAFKA_SASL_SHA512:
        return set_password(conf, "SCRAM-SHA-512", options, error);
    case KAFKA_SASL_OAUTHBEARER:
        rd_kafka_conf_enable_sasl_queue(conf, 1);
        return kafka_settings_set(conf, "sasl.mechanisms", "OAUTHBEARER", error);
    case KAFKA_SASL_GSSAPI: /* no kinit: see kerberos.h */
        return kafka_settings_set(conf, "sasl.mechanisms", "GSSAPI", error) &&
               kafka_settings_set(conf, "sasl.kerberos.service.name", options->kerberos_service,
                                  error) &&
               kafka_settings_set(conf, "sasl.kerberos.min.time.before.relogin", "0", error);
    case KAFKA_SASL_AWS_MSK_IAM: /* refused: check.c */
        break;
    }
    return error_invalid(error, "Kafka: this sasl is not supported");
}

char *kafka_settings_brokers(const struct kafka_connection_options *options)
{
    struct text brokers = {0};
    for (const char *rest = options->bootstrap_servers; rest != NULL;) {
        _cleanup_(memory_free) char *piece = text_take_piece(&rest, ",");
        _cleanup_(memory_free) char *broker =
            options->tls.enable ? address_without_dot(piece) : text_copy(piece);
        text_addf(&brokers, "%s%s", brokers.length == 0 ? "" : ",", broker);
    }
    return text_take(&brokers);
}

rd_kafka_conf_t *kafka_settings_new(const struct kafka_connection_options *options,
                                    const char *tls_path, struct error *error)
{
    _cleanup_(memory_free) char *brokers = kafka_settings_brokers(options);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (set_behaviour(conf, error) &&
        kafka_settings_set(conf, "bootstrap.servers", brokers, error) &&
        kafka_settings_set(conf, "security.protocol", protocol(options), error) &&
        set_tls(conf, options, tls_path, error) && set_sasl(conf, options, error))
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}
