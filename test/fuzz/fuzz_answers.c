/*
 * What a broker answers, where the parsing is ours. The first byte says whose answer it is; whatever it says,
 * it becomes a reading of counts, or an error in words.
 */
#include "base/memory.h"
#include "base/text.h"
#include "nats_jetstream/consumer_info.h"
#include "nats_jetstream/jsz.h"
#include "postgresql/answer.h"
#include "prometheus/answer.h"
#include "rabbitmq/counts.h"
#include "rabbitmq/url.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static const struct nats_query_options consumer = {.stream = "orders", .consumer = "workers"};

/* NAN is unknown, and whoever judges says so. */
static void require_sound(bool good, const struct reading *reading, const struct error *error)
{
    require(good != error_is_set(error));
    require(text_is_utf8(error_text(error), strlen(error_text(error))));
    if (!good)
        return;
    require(isnan(reading->waiting) || (isfinite(reading->waiting) && reading->waiting >= 0));
    require(isnan(reading->in_flight) || (isfinite(reading->in_flight) && reading->in_flight >= 0));
    require(!isinf(reading->value));
}

static void try_consumer_info(const char *bytes, size_t length)
{
    _cleanup_(error_done) struct error error = {0};
    struct reading reading = READING_UNKNOWN;
    bool good = nats_consumer_info_parse(bytes, length, &consumer, &reading, &error);
    require_sound(good, &reading, &error);
}

static void try_jsz(const json_t *json)
{
    static const struct jsz_account accounts[] = {{"$G", "$G"}, {NULL, "ABC"}};
    for (size_t i = 0; i < ARRAY_LENGTH(accounts); i++) {
        _cleanup_(error_done) struct error error = {0};
        struct reading reading = READING_UNKNOWN;
        struct jsz jsz;
        jsz_init(&jsz, json, &accounts[i], "NATS monitoring at here:8222");
        bool good = jsz_find(&jsz, &consumer, &reading, &error);
        require_sound(good, &reading, &error);
        jsz_done(&jsz);
    }
}

static void try_prometheus(json_t *json)
{
    _cleanup_(error_done) struct error error = {0};
    struct reading reading = READING_UNKNOWN;
    const struct fetch_answer answer = {.status = 200, .json = json};
    bool good = prometheus_answer_parse("Prometheus at here:9090", &answer, &reading, &error);
    require_sound(good, &reading, &error);
    error_done(&error);
    require(!prometheus_refusal("Prometheus at here:9090", &answer, &error));
}

static void try_rabbitmq(const json_t *json)
{
    struct rabbitmq_tally tally = {0};
    for (int keeps_rates = 0; keeps_rates <= 1; keeps_rates++) {
        const struct rabbitmq_counts counts = rabbitmq_counts_of(json, keeps_rates);
        require(isnan(counts.ready) || (isfinite(counts.ready) && counts.ready >= 0));
        require(isnan(counts.messages) || (isfinite(counts.messages) && counts.messages >= 0));
        require(!isinf(counts.publish_rate) && !isinf(counts.deliver_get_rate));
        if (!isnan(counts.ready + counts.messages + counts.publish_rate + counts.deliver_get_rate))
            rabbitmq_tally_add(&tally, RABBITMQ_AVG, &counts);
    }
    _cleanup_(error_done) struct error none = {0};
    const struct reading reading = rabbitmq_tally_reading(&tally, RABBITMQ_AVG);
    require_sound(true, &reading, &none);
}

static void try_number(const char *text)
{
    double number = 0;
    if (postgresql_number_parse(text, &number))
        require(isfinite(number));
}

/* Four texts, each with its NUL: host, username, password, vhostName. No error shows any of them. */
static void try_url(const char *text, const char *end)
{
    static const char password[] = "sesame";
    _cleanup_(error_done) struct error error = {0};
    struct rabbitmq_url url = {0};
    const char *host = text;
    const char *vhost = host + strlen(host) < end ? host + strlen(host) + 1 : NULL;
    const struct rabbitmq_connection options = {
        .host = host, .username = "user", .password = password, .vhost_name = vhost};
    bool good = rabbitmq_url_parse(&options, &url, &error);
    require(good != error_is_set(&error));
    require(strstr(error_text(&error), password) == NULL);
    if (good) {
        require(url.host != NULL && url.vhost != NULL && url.port > 0 && url.port < 65536);
        free(rabbitmq_url_escaped(url.vhost));
        free(rabbitmq_url_query_escaped(url.vhost));
    }
    rabbitmq_url_done(&url);
}

static void try_json(uint8_t whose, const char *bytes, size_t length)
{
    json_t *json = json_loadb(bytes, length, 0, NULL);
    if (json == NULL)
        return;
    if (whose == 'j')
        try_jsz(json);
    else if (whose == 'p')
        try_prometheus(json);
    else
        try_rabbitmq(json);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    _cleanup_(memory_free) char *text = text_copy_bytes((const char *)data + 1, size - 1);
    if (data[0] == 'c')
        try_consumer_info(text, size - 1);
    else if (data[0] == 'n')
        try_number(text);
    else if (data[0] == 'u')
        try_url(text, text + size - 1);
    else
        try_json(data[0], text, size - 1);
    return 0;
}
