/*
 * What a broker answers, where the parsing is ours. The first byte says whose answer it is;
 * whatever it says, it becomes a reading of counts, or an error in words. Of those that answer over
 * HTTP the rest is what fetched.h reads, and a whole measurement is made of it.
 */
#include "base/memory.h"
#include "base/text.h"
#include "feed.h"
#include "fetched.h"
#include "kit/http_source.h"
#include "metrics_api/options.h"
#include "nats_jetstream/client/config.h"
#include "nats_jetstream/consumer_info.h"
#include "postgresql/answer.h"
#include "rabbitmq/url.h"
#include "require.h"
#include "source.h"
#include "time.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const struct scaler scaler_nats_jetstream;
extern const struct scaler scaler_prometheus;
extern const struct scaler scaler_rabbitmq;

#define MONITORED {"natsServerMonitoringEndpoint", "nats:8222"}, {"account", "$G"}
#define PROMETHEUS {"serverAddress", "http://prometheus:9090"}, {"threshold", "1"}
#define QUEUES {"host", "http://rabbitmq:15672/shop"}, {"value", "5"}
#define TOKENS                                                                                     \
    QUEUES, {"oauthTokenURI", "https://login/token"}, {"clientID", "u"}, {"clientSecret", "p"}

static const struct {
    uint8_t whose;
    struct source source;
} over_http[] = {
    {'j',
     {&scaler_nats_jetstream,
      {{MONITORED, {"stream", "orders"}, {"consumer", "workers"}},
       {MONITORED, {"stream", "memes"}, {"consumer", "makers"}}}}},
    {'p',
     {&scaler_prometheus,
      {{PROMETHEUS, {"query", "up"}}, {PROMETHEUS, {"query", "sum(jobs{queue=\"a b\"})"}}}}},
    {'r',
     {&scaler_rabbitmq,
      {{QUEUES, {"mode", "QueueLength"}, {"queueName", "orders"}},
       {QUEUES, {"mode", "DeliverGetRate"}, {"queueName", "orders"}},
       {QUEUES, {"mode", "QueueLength"}, {"queueName", "^a b"}, {"useRegex", "true"}},
       {QUEUES, {"mode", "MessageRate"}, {"queueName", "x"}, {"useRegex", "true"}}}}},
    {'t', {&scaler_rabbitmq, {{TOKENS, {"mode", "QueueLength"}, {"queueName", "orders"}}}}},
};

static void try_over_http(uint8_t whose, const char *lines)
{
    fetched_begin(lines);
    fuzz_time_begin(NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(over_http); i++)
        if (over_http[i].whose == whose)
            source_measure(&over_http[i].source);
}

static void try_consumer_info(const char *bytes, size_t length)
{
    static const struct nats_query consumer = {.stream = "orders", .consumer = "workers"};
    _cleanup_(error_done) struct error error = {0};
    struct reading reading = READING_UNKNOWN;
    struct nats_consumer_origin origin;
    bool good = nats_consumer_info_parse(bytes, length, &consumer, &reading, &origin, &error);
    require_error(good, &error);
    require_counts(&reading);
}

extern const struct http_source metrics_api_source;

/* A valueLocation, a line break and a response. */
static void try_metrics_api(int format, const char *text)
{
    size_t length = strcspn(text, "\n");
    _cleanup_(memory_free) char *location = text_copy_bytes(text, length);
    _cleanup_(error_done) struct error error = {0};
    const struct metrics_api_query query = {format, location};
    struct http_answer answer = {.name = "the API", .status = HTTP_OK};
    struct reading reading = READING_UNKNOWN;
    metrics_api_check(&(struct options){.query = &query}, &error);
    if (error_is_set(&error) || length == 0)
        return;
    text_add(&answer.body, text + length);
    bool good = metrics_api_source.parse(&query, &answer, &reading, &error);
    require_error(good, &error);
    require(good == (bool)isfinite(reading.value));
    text_done(&answer.body);
}

static void try_config(const char *bytes, size_t length)
{
    struct nats_config config = {0};
    nats_config_parse(bytes, length, &config);
    require(config.has_subjects || config.subjects.count == 0);
    for (size_t i = 0; i < config.subjects.count; i++)
        require(config.subjects.items[i][0] != '\0');
    nats_config_done(&config);
}

static void try_number(const char *text)
{
    double number = 0;
    if (postgresql_answer_parse_number(text, &number))
        require(isfinite(number));
}

/* Four texts, each with its NUL: host, username, password, vhostName. No error shows any of them.
 */
static void try_url(const char *text, const char *end)
{
    static const char password[] = "sesame";
    _cleanup_(error_done) struct error error = {0};
    struct rabbitmq_url url = {0};
    const char *host = text;
    const char *vhost = host + strlen(host) < end ? host + strlen(host) + 1 : NULL;
    const struct rabbitmq_connection_options options = {
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    _cleanup_(memory_free) char *text = text_copy_bytes((const char *)data + 1, size - 1);
    if (data[0] == 'c')
        try_consumer_info(text, size - 1);
    else if (data[0] == 's')
        try_config(text, size - 1);
    else if (data[0] == 'n')
        try_number(text);
    else if (data[0] == 'u')
        try_url(text, text + size - 1);
    else if (data[0] == 'J')
        try_metrics_api(METRICS_API_JSON, text);
    else if (data[0] == 'Y')
        try_metrics_api(METRICS_API_YAML, text);
    else if (data[0] == 'P')
        try_metrics_api(METRICS_API_PROMETHEUS, text);
    else
        try_over_http(data[0], text);
    return 0;
}
