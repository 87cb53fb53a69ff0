#include "client.h"

#include "arm.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "groups.h"
#include "kerberos.h"
#include "metadata.h"
#include "oauth.h"
#include "settings.h"
#include "stall.h"

#include <pthread.h>
#include <syslog.h>

/* How long a cluster, all of whose brokers refuse, is tried: a name may have a second address. */
enum { REFUSED_MS = 500, LISTEN_MS = 50 };

enum { LONGEST_BROKERS = 200 }; /* of bootstrapServers, in an error */

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
    const char *brokers = client->options->bootstrap_servers;
    const char *trouble = error_text(&client->trouble);
    return error_unavailable(error, "Kafka at %.*s: %s%s%s",
                             (int)text_cut(brokers, LONGEST_BROKERS), brokers, what,
                             trouble[0] == '\0' ? "" : ": ", trouble);
}

static void on_token_wanted(rd_kafka_t *rk, const char *config, void *opaque)
{
    (void)config;
    const struct kafka_client *client = opaque;
    oauth_refresh(client->options, rk);
}

/* What the options say, for as many handles as there will be. */
static bool prepare(struct kafka_client *client, struct error *error)
{
    const struct kafka_connection *options = client->options;
    if (options->sasl == KAFKA_SASL_GSSAPI && !kerberos_open(options, &client->kerberos, error))
        return false;
    client->settings = settings_new(options, error);
    if (client->settings == NULL)
        return false;
    rd_kafka_conf_set_opaque(client->settings, client);
    rd_kafka_conf_set_log_cb(client->settings, on_log);
    rd_kafka_conf_set_error_cb(client->settings, on_trouble);
    if (options->sasl == KAFKA_SASL_OAUTHBEARER)
        rd_kafka_conf_set_oauthbearer_token_refresh_cb(client->settings, on_token_wanted);
    return true;
}

rd_kafka_t *client_handle(const struct kafka_client *client, rd_kafka_conf_t *conf,
                          struct error *error)
{
    char reason[512] = "";
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
    if (rk == NULL) {
        /* It may as well be a thread that does not start in time. */
        bool is_mistake = rd_kafka_last_error() == RD_KAFKA_RESP_ERR__INVALID_ARG;
        rd_kafka_conf_destroy(conf);
        error_set(error, is_mistake ? ERROR_INVALID : ERROR_UNAVAILABLE, "Kafka: %s", reason);
    } else if (client->options->sasl == KAFKA_SASL_OAUTHBEARER)
        rd_kafka_error_destroy(rd_kafka_sasl_background_callbacks_enable(rk));
    return rk;
}

static bool open_handle(struct kafka_client *client, struct error *error)
{
    client->rk = client_handle(client, rd_kafka_conf_dup(client->settings), error);
    if (client->rk == NULL)
        return false;
    client->answers = rd_kafka_queue_new(client->rk);
    return true;
}

static void close_handle(struct kafka_client *client)
{
    groups_forget(client);
    patterns_forget(client);
    topics_forget(client);
    if (client->answers != NULL)
        rd_kafka_queue_destroy(TAKE(client->answers));
    if (client->rk != NULL)
        rd_kafka_destroy_flags(TAKE(client->rk), RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
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
            return client_fail(client, error, "cannot connect");
        int64_t now_ms = clock_now_ms();
        if (now_ms >= deadline_ms ||
            (client->all_down_ms != 0 && now_ms - client->all_down_ms >= REFUSED_MS))
            return client_fail(client, error, "no broker answers");
    }
}

static bool open_cluster(struct kafka_client *client, int64_t deadline_ms, struct error *error)
{
    client->refused = false;
    client->all_down_ms = 0;
    error_done(&client->trouble);
    if (!open_handle(client, error) || !wait_for_cluster(client, deadline_ms, error))
        return false;
    /* What went wrong on the way (a first address that refused) explains no later failure. */
    error_done(&client->trouble);
    client->all_down_ms = 0;
    return true;
}

bool kafka_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                   struct error *error)
{
    struct kafka_client *client = memory_new(sizeof(*client));
    client->options = connection_options;
    if (!prepare(client, error) || !open_cluster(client, deadline_ms, error)) {
        kafka_disconnect(client);
        return false;
    }
    *ret_client = client;
    return true;
}

bool client_renew(struct kafka_client *client, int64_t deadline_ms, struct error *error)
{
    if (client->is_crowded)
        arms_end(client); /* its handle holds on to them, too */
    close_handle(client);
    client->is_crowded = false;
    client->is_misled = false;
    client->renewed_ms = clock_now_ms();
    return open_cluster(client, deadline_ms, error);
}

void kafka_disconnect(void *argument)
{
    struct kafka_client *client = argument;
    arms_end(client);
    close_handle(client);
    stalls_forget(client);
    if (client->settings != NULL)
        rd_kafka_conf_destroy(client->settings);
    kerberos_free(client->kerberos);
    error_done(&client->trouble);
    free(client);
}
