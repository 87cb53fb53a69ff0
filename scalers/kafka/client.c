#include "client.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "groups.h"
#include "metadata.h"

#include <pthread.h>
#include <syslog.h>

/* How long a cluster, all of whose brokers refuse, is tried: a name may have a second address. */
enum { REFUSED_MS = 500, LISTEN_MS = 50 };

/* The library repeats itself while a broker is down. */
enum { LOG_WINDOW_MS = 60000, LOG_LINES = 10 };

static struct {
    pthread_mutex_t lock;
    int64_t since_ms;
    int lines;
} log_window = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool log_may_warn(void)
{
    pthread_mutex_lock(&log_window.lock);
    int64_t now_ms = clock_now_ms();
    if (log_window.since_ms == 0 || now_ms - log_window.since_ms > LOG_WINDOW_MS) {
        log_window.since_ms = now_ms;
        log_window.lines = 0;
    }
    bool may = log_window.lines++ < LOG_LINES;
    pthread_mutex_unlock(&log_window.lock);
    return may;
}

/*
 * On the library's threads. What it says of brokers that come and go is also the error of some
 * measurement, and is logged as that; only what is worse than an error deserves a line of its own.
 */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *words)
{
    (void)rk;
    if (level < LOG_ERR && log_may_warn())
        log_warning("librdkafka: %s: %s", facility, words);
    else
        log_debug("librdkafka: %s: %s", facility, words);
}

static bool is_refusal(int code)
{
    return code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL ||
           code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
}

/* From client_listen(), so on its thread. "All brokers are down" says less than the reason before it. */
static void on_trouble(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    struct kafka_client *client = opaque;
    client->refused = client->refused || is_refusal(code);
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        if (client->all_down_ms == 0)
            client->all_down_ms = clock_now_ms();
        if (error_is_set(&client->trouble))
            return;
    }
    error_unavailable(&client->trouble, "%s", reason);
}

void client_listen(struct kafka_client *client)
{
    rd_kafka_poll(client->rk, 0);
}

bool client_fail(const struct kafka_client *client, struct error *error, const char *what)
{
    if (!error_is_set(&client->trouble))
        return error_unavailable(error, "%s", what);
    return error_unavailable(error, "%s: %s", what, error_text(&client->trouble));
}

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *error)
{
    char reason[512] = "";
    if (value == NULL ||
        rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) == RD_KAFKA_CONF_OK)
        return true;
    return error_invalid(error, "Kafka: %s", reason);
}

#define STRING(number) STRING_OF(number)
#define STRING_OF(words) #words

/* What every client has, whatever the user says. */
static bool set_behaviour(rd_kafka_conf_t *conf, struct error *error)
{
    static const char *const settings[][2] = {
        {"client.id", "backlog"},
        /* Never joined. Without it librdkafka 2.0 follows a null pointer on NOT_COORDINATOR. */
        {"group.id", "backlog"},
        {"enable.auto.commit", "false"},
        /* Or asking for a topic would create it. */
        {"allow.auto.create.topics", "false"},
        /* KEDA counts up to the high watermark. */
        {"isolation.level", "read_uncommitted"},
        /* A broker that hangs is given up, and its connection closed, within a measurement or two. */
        {"socket.timeout.ms", "2000"},
        {"socket.connection.setup.timeout.ms", "2000"},
        {"socket.keepalive.enable", "true"},
        {"socket.nagle.disable", "true"},
        /* Also when the library forgets the coordinator of a group; see groups.h. */
        {"metadata.max.age.ms", STRING(KAFKA_REMEMBER_MS)},
        {"reconnect.backoff.ms", "50"},
        {"reconnect.backoff.max.ms", "1000"},
        {"log.connection.close", "false"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(settings); i++)
        if (!set(conf, settings[i][0], settings[i][1], error))
            return false;
    return true;
}

static const char *protocol(const struct kafka_connection *options)
{
    static const char *const names[2][2] = {{"plaintext", "ssl"}, {"sasl_plaintext", "sasl_ssl"}};
    return names[options->sasl != KAFKA_SASL_NONE][options->tls.enable];
}

static bool set_tls(rd_kafka_conf_t *conf, const struct kafka_connection *options,
                    struct error *error)
{
    if (!options->tls.enable)
        return true;
    return set(conf, "enable.ssl.certificate.verification", options->tls.unsafe ? "false" : "true",
               error) &&
           set(conf, "ssl.endpoint.identification.algorithm",
               options->tls.unsafe ? "none" : "https", error) &&
           set(conf, "ssl.ca.pem", options->tls.ca, error) &&
           set(conf, "ssl.certificate.pem", options->tls.cert, error) &&
           set(conf, "ssl.key.password", options->tls.key_password, error) &&
           set(conf, "ssl.key.pem", options->tls.key, error);
}

static bool set_sasl(rd_kafka_conf_t *conf, const struct kafka_connection *options,
                     struct error *error)
{
    static const char *const mechanisms[] = {
        [KAFKA_SASL_PLAINTEXT] = "PLAIN",
        [KAFKA_SASL_SHA256] = "SCRAM-SHA-256",
        [KAFKA_SASL_SHA512] = "SCRAM-SHA-512",
    };
    if (options->sasl == KAFKA_SASL_NONE)
        return true;
    return set(conf, "sasl.mechanisms", mechanisms[options->sasl], error) &&
           set(conf, "sasl.username", options->username, error) &&
           set(conf, "sasl.password", options->password, error);
}

static bool open_handle(struct kafka_client *client, const struct kafka_connection *options,
                        struct error *error)
{
    char reason[512] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_trouble);
    if (!set_behaviour(conf, error) ||
        !set(conf, "bootstrap.servers", options->bootstrap_servers, error) ||
        !set(conf, "security.protocol", protocol(options), error) ||
        !set_tls(conf, options, error) || !set_sasl(conf, options, error)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    client->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
    if (client->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return error_invalid(error, "Kafka: %s", reason);
    }
    client->answers = rd_kafka_queue_new(client->rk);
    return true;
}

/* The library asks for the cluster's id by itself as soon as one broker is there. */
static bool wait_for_cluster(struct kafka_client *client, int64_t deadline_ms, struct error *error)
{
    for (;;) {
        char *id = rd_kafka_clusterid(client->rk, clock_left_ms(deadline_ms, LISTEN_MS));
        bool answered = id != NULL;
        rd_kafka_mem_free(client->rk, id);
        client_listen(client);
        if (answered)
            return true;
        if (client->refused)
            return client_fail(client, error, "Kafka refuses the connection");
        int64_t now_ms = clock_now_ms();
        if (now_ms >= deadline_ms ||
            (client->all_down_ms != 0 && now_ms - client->all_down_ms >= REFUSED_MS))
            return client_fail(client, error, "no Kafka broker answers");
    }
}

bool kafka_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                   struct error *error)
{
    struct kafka_client *client = memory_new(sizeof(*client));
    if (!open_handle(client, connection_options, error) ||
        !wait_for_cluster(client, deadline_ms, error)) {
        kafka_disconnect(client);
        return false;
    }
    /* What went wrong on the way (a first address that refused) explains no later failure. */
    error_done(&client->trouble);
    client->all_down_ms = 0;
    *ret_client = client;
    return true;
}

void kafka_disconnect(void *argument)
{
    struct kafka_client *client = argument;
    groups_forget(client);
    topics_forget(client);
    if (client->answers != NULL)
        rd_kafka_queue_destroy(client->answers);
    if (client->rk != NULL)
        rd_kafka_destroy_flags(client->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    error_done(&client->trouble);
    free(client);
}
