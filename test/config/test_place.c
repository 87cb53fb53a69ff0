#include "base/memory.h"
#include "base/text.h"
#include "config/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct place_options {
    const char *secret_url;
    const char *url;
    const char *hosts;
    const char *port;
    const char *parameters;
};

#define ROW(name, field, ...)                                                                      \
    {.key = (name),                                                                                \
     .scope = OPTION_CONNECTION,                                                                   \
     .type = OPTION_STRING,                                                                        \
     OPTION_FIELD(struct place_options, field),                                                    \
     __VA_ARGS__}

static const struct option table[] = {
    ROW("connection", secret_url, .flags = OPTION_SECRET | OPTION_HOST),
    ROW("url", url, .flags = OPTION_URL | OPTION_HOST),
    ROW("hosts", hosts, .flags = OPTION_HOSTS),
    ROW("port", port, ),
    ROW("queryParameters", parameters, .flags = OPTION_HIDDEN),
    {0},
};

enum { SECRET_URL, URL, HOSTS, PORT, QUERY_PARAMETERS };

static struct option_values *values_of(size_t row, const char *text, const char *port)
{
    const char *texts[] = {NULL, NULL, NULL, NULL, NULL};
    texts[PORT] = port;
    texts[row] = text;
    return option_values_new(table, sizeof(struct place_options), OPTION_CONNECTION, texts);
}

static void assert_place(size_t row, const char *text, const char *port, const char *expected)
{
    struct option_values *values = values_of(row, text, port);
    _cleanup_(memory_free) char *place = place_of(values);
    if (!text_equal(place, expected))
        fail_msg("%s: %s", text, place == NULL ? "none" : place);
    option_values_free(values);
}

static void a_place_is_hosts_and_nothing_else(void **state)
{
    (void)state;
    assert_place(URL, "amqp://user:secret@rabbit.shop:5672/vhost", NULL, "rabbit.shop:5672");
    assert_place(URL, "https://prometheus.shop/path?token=secret", NULL, "prometheus.shop");
    assert_place(URL, "redis.shop:6379", NULL, "redis.shop:6379");
    assert_place(URL, "user:p@ss@redis.shop:6379", NULL, "redis.shop:6379");
    assert_place(HOSTS, "kafka-0:9092, kafka-1:9092", NULL, "kafka-0:9092,kafka-1:9092");
    assert_place(HOSTS, "db.shop", "5432", "db.shop:5432");
    assert_place(HOSTS, "[::1]", "5432", "[::1]:5432");
    assert_place(SECRET_URL, "postgresql://user:secret@db.shop:5432/shop", NULL, "db.shop:5432");
    assert_place(HOSTS, NULL, NULL, NULL);
}

/* Rather none than a piece of a password. */
static void a_possible_password_is_no_place(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "amqp://user:pa/ss@rabbit.shop", "amqp://user:pa?ss@rabbit.shop",
        "amqp://user:pa#ss@rabbit.shop", "user secret",
        "host=db password=secret",       "pass=x://secret",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(urls); i++)
        assert_place(URL, urls[i], NULL, NULL);
    assert_place(SECRET_URL, "host=db.shop password=secret", NULL, NULL);
    assert_place(SECRET_URL, "password=a://b host=db", NULL, NULL);
    assert_place(SECRET_URL, "secret", NULL, NULL);
    assert_place(HOSTS, "nats://user:se,cret@nats.shop", NULL, NULL);
}

static void assert_shown(size_t row, const char *text, const char *expected)
{
    struct option_values *values = values_of(row, text, NULL);
    _cleanup_(memory_free) char *shown = place_shown(values, row);
    assert_string_equal(shown, expected);
    option_values_free(values);
}

static void of_a_url_scheme_and_host_are_shown(void **state)
{
    (void)state;
    assert_shown(URL, "amqp://user:secret@rabbit.shop:5672/vhost", "amqp://rabbit.shop:5672");
    assert_shown(URL, "http://prometheus.shop/a?token=secret", "http://prometheus.shop");
    assert_shown(URL, "https://prometheus.shop/api/key/secret", "https://prometheus.shop");
    assert_shown(URL, "http://prometheus.shop#secret", "http://prometheus.shop");
    assert_shown(QUERY_PARAMETERS, "apikey=secret", "(hidden)");
    assert_shown(URL, "redis.shop:6379", "redis.shop:6379");
    assert_shown(URL, "amqp://user:pa/ss@rabbit.shop", "(hidden)");
    assert_shown(SECRET_URL, "postgresql://user:secret@db.shop/shop", "(hidden)");
    assert_shown(HOSTS, "kafka-0:9092", "kafka-0:9092");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_is_hosts_and_nothing_else),
        cmocka_unit_test(a_possible_password_is_no_place),
        cmocka_unit_test(of_a_url_scheme_and_host_are_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
