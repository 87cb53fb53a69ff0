#include "kafka/client/client.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/system/memory_file.h"
#include "base/system/process.h"
#include "base/text.h"
#include "kafka/client/destinations.h"
#include "kafka/client/settings.h"
#include "kafka/login/kerberos.h"
#include "kafka/login/oauth.h"
#include "kafka/memory.h"
#include "shared/tls.h"
#include "shared/tls_file.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>

/* How long a cluster is tried whose brokers are all down: a name may have a second address. */
enum { REFUSED_MS = 500, POLL_MS = 50 };

/* How long a request for a token may take. While the client is opened it ends before the deadline
 * for that, so that its reason is the error. */
enum { TOKEN_MS = 1500, TOKEN_BEFORE_DEADLINE_MS = 200 };

enum { LONGEST_TIMEOUT_MS = 3600000 }; /* the library takes no longer one (workaround 1) */

enum { MAX_BROKERS_LENGTH = 200 }; /* of bootstrapServers, in an error */

/* The library repeats the same line while a broker is down. */
enum { LOG_WINDOW_MS = 60000, MAX_LOG_LINES = 10 };

/* ---- what the library calls ---- */

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
    bool may = log_window.lines++ < MAX_LOG_LINES;
    pthread_mutex_unlock(&log_window.lock);
    return may;
}

/*
 * On the library's threads. The failure of a broker is logged as the error of a task, with our
 * secrets hidden, as the broker's words may repeat them. So only what is worse than an error is
 * logged here.
 */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    if (strcmp(facility, "FAIL") == 0 || strcmp(facility, "ERROR") == 0)
        return;
    if (level < LOG_ERR && log_may_warn())
        log_warning("librdkafka: %s: %s", facility, text);
    else
        log_debug("librdkafka: %s: %s", facility, text);
}

/* From kafka_client_poll(), so on its thread. "All brokers are down" does not replace the reason
 * before it, and a broker that is silent does not replace the refusal of another one. */
static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    struct kafka_client *client = opaque;
    bool is_refusal = code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL ||
                      code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
    client->is_refused = client->is_refused || is_refusal;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        if (client->all_down_since_ms == 0)
            client->all_down_since_ms = clock_now_ms();
        if (error_is_set(&client->last_error))
            return;
    }
    if (is_refusal || !client->is_refused)
        error_unavailable(&client->last_error, "%s%s", reason,
                          strstr(reason, "certificate verify failed") == NULL ? ""
                                                                              : TLS_UNVERIFIED);
}

static void on_token_needed(rd_kafka_t *rk, const char *config, void *opaque)
{
    (void)config;
    struct kafka_client *client = opaque;
    int64_t now_ms = clock_now_ms(), deadline_ms = now_ms + TOKEN_MS;
    int64_t before_ms = client->open_deadline_ms - TOKEN_BEFORE_DEADLINE_MS;
    if (now_ms < before_ms && before_ms < deadline_ms)
        deadline_ms = before_ms;
    client->has_no_token = !kafka_oauth_refresh(client->options, rk, deadline_ms);
}

/* ---- open ---- */

/* What all handles need. */
static bool prepare(struct kafka_client *client, struct error *error)
{
    const struct kafka_connection_options *options = client->options;
    _cleanup_(memory_free) char *tls_path = NULL;
    client->tls_file = -1;
    client->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const int reason = errno;
    kafka_handles_open(&client->handles, &client->memory, client->event_fd);
    if (client->event_fd < 0)
        return error_unavailable(error, "Kafka: no eventfd: %s", strerror(reason));
    if (options->sasl == KAFKA_SASL_GSSAPI &&
        !kafka_kerberos_open(options, &client->kerberos, error))
        return false;
    if (options->tls.enable && options->tls.cert != NULL) {
        client->tls_file = tls_file_open(&options->tls, error);
        if (client->tls_file < 0)
            return false;
        tls_path = memory_file_path(client->tls_file);
    }
    if (options->tls.enable && options->tls.ca != NULL)
        tls_need_no_root();
    client->settings = kafka_settings_new(options, tls_path, error);
    if (client->settings == NULL)
        return false;
    rd_kafka_conf_set_opaque(client->settings, client);
    rd_kafka_conf_set_log_cb(client->settings, on_log);
    kafka_destinations_limit(client->settings, options->bootstrap_servers);
    if (options->sasl == KAFKA_SASL_OAUTHBEARER)
        rd_kafka_conf_set_oauthbearer_token_refresh_cb(client->settings, on_token_needed);
    return true;
}

/* Errors of the handle make event_fd readable, too, or they would pile up. */
rd_kafka_t *kafka_client_new_main_handle(struct kafka_client *client, struct error *error)
{
    rd_kafka_conf_t *settings = rd_kafka_conf_dup(client->settings);
    rd_kafka_conf_set_error_cb(settings, on_error);
    rd_kafka_t *rk = kafka_handles_new_handle(&client->handles, settings, false, 0, error);
    if (rk == NULL)
        return NULL;
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(rk);
    kafka_handles_signal(queue, client->event_fd);
    rd_kafka_queue_destroy(queue);
    return rk;
}

/* Whether a broker has answered. The library requests the cluster's ID as soon as one is connected,
 * and returns early where the answer has no ID. */
static bool wait_for_id(const struct kafka_client *client, int wait_ms)
{
    int64_t began_ms = clock_now_ms();
    char *id = rd_kafka_clusterid(client->rk, wait_ms);
    bool has_answered = id != NULL || clock_now_ms() - began_ms < wait_ms / 2;
    rd_kafka_mem_free(client->rk, id);
    return has_answered;
}

/* Whether no broker will answer. After a refusal by one broker others may still accept us. Without
 * a token the library connects to none. */
static bool is_hopeless(const struct kafka_client *client, int64_t now_ms)
{
    bool are_down = client->all_down_since_ms != 0;
    if (client->is_refused)
        return are_down || client->has_no_token;
    return are_down && now_ms - client->all_down_since_ms >= REFUSED_MS;
}

static bool wait_for_cluster(struct kafka_client *client, int64_t deadline_ms, struct error *error)
{
    for (;;) {
        bool has_answered = wait_for_id(client, clock_left_ms(deadline_ms, POLL_MS));
        kafka_client_poll(client);
        if (has_answered)
            return true;
        int64_t now_ms = clock_now_ms();
        if (now_ms >= deadline_ms || is_hopeless(client, now_ms))
            return kafka_client_fail(client, error,
                                     client->is_refused ? "cannot connect" : "no broker answers");
    }
}

bool kafka_client_open(struct kafka_client *client, const struct kafka_connection_options *options,
                       int64_t deadline_ms, struct error *error)
{
    client->options = options;
    client->open_deadline_ms = deadline_ms;
    if (!prepare(client, error))
        return false;
    client->rk = kafka_client_new_main_handle(client, error);
    if (client->rk == NULL || !wait_for_cluster(client, deadline_ms, error))
        return false;
    kafka_memory_init(&client->memory, process_mappable_bytes());
    client->max_partitions = kafka_memory_max_partitions(&client->memory);
    client->opened_ms = clock_now_ms();
    kafka_client_clear_errors(client); /* as a first address that refused */
    return true;
}

/* ---- poll ---- */

void kafka_client_poll(struct kafka_client *client)
{
    kafka_handles_poll(&client->handles);
}

void kafka_client_clear_errors(struct kafka_client *client)
{
    client->is_refused = false;
    client->all_down_since_ms = 0;
    error_done(&client->last_error);
    kafka_destinations_forget_refused();
}

void kafka_client_note_answer(struct kafka_client *client, int64_t now_ms)
{
    client->answered_ms = now_ms;
}

bool kafka_client_is_unreadable(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR__BAD_MSG;
}

bool kafka_client_fail(const struct kafka_client *client, struct error *error, const char *what)
{
    _cleanup_(memory_free) char *brokers = kafka_settings_brokers(client->options);
    _cleanup_(memory_free) char *refused = kafka_destinations_refused();
    _cleanup_(text_done) struct text words = {0};
    text_addf(&words, "Kafka at %.*s: %s", (int)text_cut(brokers, MAX_BROKERS_LENGTH), brokers,
              what);
    if (error_is_set(&client->last_error))
        text_addf(&words, ": %s", error_text(&client->last_error));
    if (refused != NULL)
        text_addf(&words,
                  "; the broker %s is at an address that only one of bootstrapServers may have",
                  refused);
    return error_unavailable(error, "%s", words.bytes);
}

/* ---- queues and calls ---- */

rd_kafka_queue_t *kafka_client_new_queue(struct kafka_client *client, rd_kafka_t *rk)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    client->queues += rk == client->rk;
    kafka_handles_signal(queue, client->event_fd);
    return queue;
}

void kafka_client_end_queue(struct kafka_client *client, rd_kafka_queue_t *queue)
{
    client->queues--;
    kafka_handles_end_queue(queue);
}

rd_kafka_AdminOptions_t *kafka_client_new_call_options(rd_kafka_t *rk,
                                                       rd_kafka_admin_op_t operation, void *opaque)
{
    char reason[128];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, operation);
    rd_kafka_AdminOptions_set_request_timeout(options, LONGEST_TIMEOUT_MS, reason, sizeof(reason));
    rd_kafka_AdminOptions_set_opaque(options, opaque);
    return options;
}

/* ---- memory ---- */

rd_kafka_t *kafka_client_new_side_handle(struct kafka_client *client, int64_t now_ms,
                                         struct error *error)
{
    if (!kafka_memory_has_for_side_handle(&client->memory)) {
        error_unavailable(
            error, "no memory for a further connection to each Kafka broker (there are %zu): %s",
            client->memory.brokers, kafka_memory_advice(&client->memory));
        return NULL;
    }
    if (now_ms >= client->side_retry_ms) {
        error_done(&client->side_failure);
        rd_kafka_t *rk = kafka_handles_new_handle(
            &client->handles, rd_kafka_conf_dup(client->settings), false,
            kafka_memory_of_handle(&client->memory), &client->side_failure);
        if (rk != NULL)
            return rk;
        client->side_retry_ms = now_ms + KAFKA_SIDE_RETRY_MS;
    }
    error_copy(error, &client->side_failure);
    return NULL;
}

int64_t kafka_client_side_retry_ms(const struct kafka_client *client, int64_t now_ms)
{
    return client->side_retry_ms > now_ms ? client->side_retry_ms : CLOCK_NEVER;
}

void kafka_client_note_brokers(struct kafka_client *client, size_t brokers)
{
    if (brokers <= client->memory.brokers)
        return;
    kafka_handles_add_bytes_to_others(&client->handles, client->rk,
                                      (double)(brokers - client->memory.brokers) *
                                          KAFKA_MEMORY_PER_BROKER);
    kafka_memory_note_brokers(&client->memory, brokers);
}

/* ---- renew and close ---- */

static void end_main_handle(struct kafka_client *client, int64_t now_ms)
{
    assert(client->queues == 0); /* a module does not take part (session.h) */
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(client->rk);
    kafka_handles_end(&client->handles, TAKE(client->rk), queue, now_ms);
}

void kafka_client_renew(struct kafka_client *client, rd_kafka_t *rk, int64_t now_ms)
{
    /* From now on the new handle is the one that `mappable_bytes` leaves out. */
    kafka_handles_add_bytes(&client->handles, client->rk,
                            kafka_memory_of_handle(&client->memory) +
                                (double)client->memory.partitions * KAFKA_MEMORY_PER_PARTITION);
    end_main_handle(client, now_ms);
    client->rk = rk;
    client->opened_ms = now_ms;
    kafka_client_clear_errors(client);
}

bool kafka_client_close(struct kafka_client *client)
{
    if (client->rk != NULL)
        end_main_handle(client, clock_now_ms());
    bool has_ended = kafka_handles_close(&client->handles);
    if (has_ended) {
        if (client->event_fd >= 0)
            close(client->event_fd);
        if (client->tls_file >= 0)
            close(client->tls_file);
        kafka_kerberos_free(client->kerberos);
    }
    if (client->settings != NULL)
        rd_kafka_conf_destroy(client->settings);
    error_done(&client->last_error);
    error_done(&client->side_failure);
    return has_ended;
}
