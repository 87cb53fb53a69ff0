#include "base/memory.h"
#include "base/text.h"
#include "config/hide.h"
#include "config/source_address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

struct source_options {
    const char *secret_url;
    const char *url;
    const char *hosts;
    const char *port;
    const char *parameters;
    struct option_list headers;
    const char *username;
    const char *password;
};

#define ROW(name, field, ...)                                                                      \
    {.key = (name),                                                                                \
     .scope = OPTION_CONNECTION,                                                                   \
     .type = OPTION_STRING,                                                                        \
     OPTION_FIELD(struct source_options, field),                                                   \
     __VA_ARGS__}

static const struct option table[] = {
    ROW("connection", secret_url, .flags = OPTION_SECRET | OPTION_HOST),
    ROW("url", url, .flags = OPTION_URL | OPTION_HOST),
    ROW("hosts", hosts, .flags = OPTION_HOSTS),
    ROW("port", port, .flags = OPTION_PORT),
    ROW("queryParameters", parameters, .flags = OPTION_HIDDEN),
    {.key = "customHeaders",
     .scope = OPTION_CONNECTION,
     .type = OPTION_LIST,
     OPTION_FIELD(struct source_options, headers),
     .flags = OPTION_SECRET},
    ROW("username", username, .flags = OPTION_CREDENTIAL | OPTION_USER),
    ROW("password", password, .flags = OPTION_SECRET),
    {0},
};

enum { SECRET_URL, URL, HOSTS, PORT, QUERY_PARAMETERS, HEADERS, USERNAME, PASSWORD, ROWS };

static struct option_values *values_of(size_t row, const char *text, const char *port)
{
    const char *texts[ROWS] = {NULL};
    texts[PORT] = port;
    texts[row] = text;
    return option_values_new(table, sizeof(struct source_options), OPTION_CONNECTION, texts);
}

static void assert_address(size_t row, const char *text, const char *port, const char *expected)
{
    struct option_values *values = values_of(row, text, port);
    _cleanup_(memory_free) char *address = source_address(values);
    if (!text_equal(address, expected))
        fail_msg("%s: %s", text, address == NULL ? "none" : address);
    option_values_free(values);
}

static void an_address_is_hosts_and_nothing_else(void **state)
{
    (void)state;
    assert_address(URL, "amqp://user:secret@rabbit.shop:5672/vhost", NULL, "rabbit.shop:5672");
    assert_address(URL, "https://prometheus.shop/path?token=secret", NULL, "prometheus.shop");
    assert_address(URL, "redis.shop:6379", NULL, "redis.shop:6379");
    assert_address(URL, "user:p@ss@redis.shop:6379", NULL, "redis.shop:6379");
    assert_address(HOSTS, "kafka-0:9092, kafka-1:9092", NULL, "kafka-0:9092,kafka-1:9092");
    assert_address(HOSTS, "db.shop", "5432", "db.shop:5432");
    assert_address(HOSTS, "[::1]", "5432", "[::1]:5432");
    assert_address(HOSTS, "fd00::1", "5432", "[fd00::1]:5432");
    assert_address(HOSTS, "fd00::1", NULL, "fd00::1");
    assert_address(SECRET_URL, "postgresql://user:secret@db.shop:5432/shop", NULL, "db.shop:5432");
    assert_address(HOSTS, NULL, NULL, NULL);
}

/* Rather none than a piece of a password. */
static void a_possible_password_is_no_address(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "amqp://user:pa/ss@rabbit.shop", "amqp://user:pa?ss@rabbit.shop",
        "amqp://user:pa#ss@rabbit.shop", "user secret",
        "host=db password=secret",       "pass=x://secret",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(urls); i++)
        assert_address(URL, urls[i], NULL, NULL);
    assert_address(SECRET_URL, "host=db.shop password=secret", NULL, NULL);
    assert_address(SECRET_URL, "password=a://b host=db", NULL, NULL);
    assert_address(SECRET_URL, "secret", NULL, NULL);
    assert_address(HOSTS, "nats://user:se,cret@nats.shop", NULL, NULL);
}

static void assert_shown(size_t row, const char *text, const char *expected)
{
    struct option_values *values = values_of(row, text, NULL);
    _cleanup_(memory_free) char *shown = source_address_shown(values, row);
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
    assert_shown(PORT, "http://a@b/c", "http://a@b/c"); /* it is none */
}

/* The trigger is refused, but the page of triggers has it. */
static void of_hosts_no_user_is_shown(void **state)
{
    (void)state;
    assert_shown(HOSTS, "user:secret@kafka-0:9092", "kafka-0:9092");
    assert_shown(HOSTS, "u:secret@kafka-0:9092,u:secret@kafka-1:9092", "kafka-0:9092,kafka-1:9092");
    assert_shown(HOSTS, "user:se,cret@kafka-0:9092", "(hidden)");
}

/* Some APIs take a key as the name of a user. */
static void a_user_is_shown_beside_a_secret_only(void **state)
{
    (void)state;
    assert_shown(USERNAME, "api-key-1", "(hidden)");
    const char *texts[ROWS] = {[USERNAME] = "worker", [PASSWORD] = "secret"};
    struct option_values *values =
        option_values_new(table, sizeof(struct source_options), OPTION_CONNECTION, texts);
    _cleanup_(memory_free) char *shown = source_address_shown(values, USERNAME);
    assert_string_equal(shown, "worker");
    option_values_free(values);
}

/* Searching takes many times the memory of the text. */
static void the_end_of_a_very_long_text_is_left_out(void **state)
{
    (void)state;
    struct option_values *values = values_of(QUERY_PARAMETERS, "hunter22hunter", "5672");
    struct error error = {0};
    error_unavailable(&error, "hunter22hunter %0*d", 1 << 20, 0);
    hide_secrets(values, &error);
    assert_true(text_starts_with(error_text(&error), "(hidden) 000"));
    assert_in_range(strlen(error_text(&error)), 8 << 10, 16 << 10);
    error_done(&error);
    option_values_free(values);
}

/* What an error says after the secrets of these values are hidden. */
static void assert_hidden(size_t row, const char *secret, const char *reply, const char *expected)
{
    struct option_values *values = values_of(row, secret, "5672");
    struct error error = {0};
    error_unavailable(&error, "%s", reply);
    hide_secrets(values, &error);
    assert_string_equal(error_text(&error), expected);
    error_done(&error);
    option_values_free(values);
}

static void a_secret_that_a_source_repeats_is_hidden(void **state)
{
    (void)state;
    assert_hidden(QUERY_PARAMETERS, "hunter22hunter", "you sent hunter22hunter and hunter22hunter!",
                  "you sent (hidden) and (hidden)!");
    assert_hidden(QUERY_PARAMETERS, "hunter22hunter", "cut: hunter22hu", "cut: (hidden)");
    assert_hidden(QUERY_PARAMETERS, "one", "one is too short", "one is too short");
    assert_hidden(QUERY_PARAMETERS, "5672", "port 5672 refused", "port 5672 refused");
    assert_hidden(URL, "amqp://user:p%40ssword@rabbit:5672", "user: p%40ssword, p@ssword",
                  "user: (hidden), (hidden)");
    assert_hidden(URL, "amqp://user:p%40ssword@rabbit:5672",
                  "Basic dXNlcjpwQHNzd29yZA==", "Basic (hidden)");
    assert_hidden(URL, "amqp://rabbit:5672", "no user at rabbit:5672", "no user at rabbit:5672");
    assert_hidden(SECRET_URL, "postgresql://user:secret@db", "\"secret\" for user",
                  "\"(hidden)\" for user");
    assert_hidden(SECRET_URL, "postgresql://db/shop?password=hun%20ter&user=shop",
                  "not hun%20ter, \"hun ter\" of shop", "not (hidden), \"(hidden)\" of shop");
    assert_hidden(SECRET_URL, "host=db password=hunter user=shop", "\"hunter\" of shop at db",
                  "\"(hidden)\" of shop at db");
    assert_hidden(SECRET_URL, "host=db password = 'hun\\'t er' user=shop",
                  "hun't er, hun\\'t er of shop", "(hidden), (hidden) of shop");
    assert_hidden(SECRET_URL, "sslpassword=hun\\ ter password=", "hun ter of shop",
                  "(hidden) of shop");
}

static void a_user_without_a_password_is_a_secret(void **state)
{
    (void)state;
    assert_hidden(USERNAME, "api-key-1", "key api-key-1 is unknown", "key (hidden) is unknown");
    assert_hidden(USERNAME, "api-key-1", "Basic YXBpLWtleS0xOg==", "Basic (hidden)");
    assert_hidden(URL, "nats://s3cr3t-token@nats", "token s3cr3t-token", "token (hidden)");
    assert_hidden(URL, "https://s3cr3t%2Btoken:@host", "no s3cr3t+token", "no (hidden)");
}

static void of_an_address_without_a_scheme_the_password_is_hidden(void **state)
{
    (void)state;
    assert_hidden(URL, "user:hunter22@redis:6379", "you sent hunter22", "you sent (hidden)");
    assert_hidden(HOSTS, "u:hunter22@a:9092,u:hunter23@b:9092", "hunter22, hunter23 of b:9092",
                  "(hidden), (hidden) of b:9092");
    assert_hidden(PORT, "user:hunter22@redis:6379", "you sent hunter22", "you sent hunter22");
}

/* As in the URL of a request that an error repeats. */
static void a_secret_is_hidden_as_it_is_encoded_in_a_url(void **state)
{
    (void)state;
    assert_hidden(PASSWORD, "hun/ter 22&", "GET /?key=hun%2fter%2022%26&a=%41",
                  "GET /?key=(hidden)&a=%41");
    assert_hidden(PASSWORD, "hun/ter 22&", "GET /?key=hun%2Fter+22%26", "GET /?key=(hidden)");
    assert_hidden(PASSWORD, "hunter+22", "hunter+22, hunter%2B22", "(hidden), (hidden)");
    assert_hidden(PASSWORD, "hunter22", "%68unter22 is 100%", "(hidden) is 100%");
    assert_hidden(PASSWORD, "hunter22/hunter22", "cut: hunter22%2", "cut: (hidden)");
    assert_hidden(PASSWORD, "hunter22", "100% of 2 + 2", "100% of 2 + 2");
}

/* Pieces of a list, each searched for in the text that was there before. */
static void secrets_that_are_pieces_of_what_takes_their_place_do_not_grow(void **state)
{
    (void)state;
    _cleanup_(text_done) struct text list = {0};
    for (int i = 0; i < 32; i++)
        text_add(&list, i == 0 ? "a=(hid,b=den)" : ",a=(hid,b=den)");
    assert_hidden(HEADERS, list.bytes, "sent (hid and den), or (hidden)",
                  "sent (hidden) and (hidden), or (hidden)");
    assert_hidden(HEADERS, "a=hunter,b=hunter22", "sent hunter22", "sent (hidden)");
}

/* A9 ends the letter before it. */
static void what_is_left_is_utf_8(void **state)
{
    (void)state;
    assert_hidden(SECRET_URL, "amqp://u:%A9abc@broker/",
                  "queue \xc3\xa9"
                  "abc is gone",
                  "queue ?(hidden) is gone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_hosts_and_nothing_else),
        cmocka_unit_test(a_possible_password_is_no_address),
        cmocka_unit_test(of_a_url_scheme_and_host_are_shown),
        cmocka_unit_test(of_hosts_no_user_is_shown),
        cmocka_unit_test(a_user_is_shown_beside_a_secret_only),
        cmocka_unit_test(a_secret_that_a_source_repeats_is_hidden),
        cmocka_unit_test(the_end_of_a_very_long_text_is_left_out),
        cmocka_unit_test(a_user_without_a_password_is_a_secret),
        cmocka_unit_test(of_an_address_without_a_scheme_the_password_is_hidden),
        cmocka_unit_test(a_secret_is_hidden_as_it_is_encoded_in_a_url),
        cmocka_unit_test(what_is_left_is_utf_8),
        cmocka_unit_test(secrets_that_are_pieces_of_what_takes_their_place_do_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
