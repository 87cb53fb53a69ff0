/* What a trigger may repeat of its named connection. */
#include "base/memory.h"
#include "base/text.h"
#include "config/connections.h"
#include "measure/scaler.h"
#include "scale/connections/named_connections.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct source_options {
    const char *url, *host, *password, *ca, *max;
};

struct source_query {
    const char *queue;
};

#define ROW(name, field, ...)                                                                      \
    {.key = (name),                                                                                \
     .scope = OPTION_CONNECTION,                                                                   \
     .type = OPTION_STRING,                                                                        \
     OPTION_FIELD(struct source_options, field),                                                   \
     __VA_ARGS__}

static const struct option table[] = {
    ROW("url", url, .flags = OPTION_URL | OPTION_HOST),
    ROW("host", host, .flags = OPTION_HOST),
    ROW("password", password, .flags = OPTION_SECRET),
    ROW("ca", ca, .flags = OPTION_PEER),
    ROW("maxSessions", max, .flags = OPTION_FILE_ONLY),
    {.key = "queue",
     .scope = OPTION_QUERY,
     .type = OPTION_STRING,
     OPTION_FIELD(struct source_query, queue)},
    {0},
};

enum { URL, HOST, PASSWORD, CA, MAX_SESSIONS, QUEUE, ROWS };

static const char *const usual[ROWS] = {
    [URL] = "amqp://rabbit.shop",
    [HOST] = "a@b?c", /* no URL: there is no user in it */
    [PASSWORD] = "secret",
    [MAX_SESSIONS] = "4",
};

/* What is left of the entry; and the mistakes, which the caller frees. */
static size_t left_of(const char *const texts[ROWS], const char *key, const char *value,
                      struct error *mistakes)
{
    struct option_values *values =
        option_values_new(table, sizeof(struct source_options), OPTION_CONNECTION, texts);
    const struct named_connection connection = {.name = (char[]){"orders"}};
    const struct option_entry entry = {key, value};
    size_t count = 7;
    _cleanup_(memory_free) struct option_entry *left =
        named_connections_entries_beside(&connection, values, &entry, 1, &count, mistakes);
    if (count == 1)
        assert_ptr_equal(left[0].value, value);
    option_values_free(values);
    return count;
}

static void assert_dropped(const char *const texts[ROWS], const char *key, const char *value,
                           const char *words)
{
    _cleanup_(error_done) struct error mistakes = {0};
    assert_int_equal(left_of(texts, key, value, &mistakes), 0);
    if (words == NULL ? error_is_set(&mistakes) : strstr(error_text(&mistakes), words) == NULL)
        fail_msg("%s=%s: %s", key, value, error_text(&mistakes));
}

static void an_equal_value_may_be_repeated(void **state)
{
    (void)state;
    assert_dropped(usual, "url", "amqp://rabbit.shop", NULL);
    assert_dropped(usual, "url", "  amqp://rabbit.shop\n", NULL);
    assert_dropped(usual, "host", "a@b?c", NULL);
    assert_dropped(usual, "url", "  ", NULL); /* as though it were absent */
    assert_dropped(usual, "password", "", NULL);
    assert_dropped(usual, "maxSessions", "5", NULL); /* who parses it refuses it wherever it is */
}

static void another_value_is_refused(void **state)
{
    (void)state;
    static const char words[] = "differs from that of connection \"orders\": leave it out";
    assert_dropped(usual, "url", "amqp://evil", words);
    assert_dropped(usual, "host", "a@b", words);
    assert_dropped(usual, "ca", "x", words); /* which the connection does not have */
}

/* Comparing it would confirm a right guess. */
static void what_may_hold_a_secret_is_refused_right_or_wrong(void **state)
{
    (void)state;
    static const char words[] = "may hold a secret, and is not compared with that of connection";
    static const char *const urls[] = {"amqp://user:secret@rabbit.shop",
                                       "http://prometheus.shop?token=secret"};
    assert_dropped(usual, "password", "secret", words);
    assert_dropped(usual, "password", "guess", words);
    for (size_t i = 0; i < ARRAY_LENGTH(urls); i++) {
        const char *const texts[ROWS] = {[URL] = urls[i]};
        assert_dropped(texts, "url", urls[i], words);
        assert_dropped(texts, "url", "amqp://rabbit.shop", words);
    }
}

static void keys_of_the_trigger_stay(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error mistakes = {0};
    assert_int_equal(left_of(usual, "queue", "jobs", &mistakes), 1);
    assert_int_equal(left_of(usual, "unknown", "x", &mistakes), 1);
    assert_false(error_is_set(&mistakes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_equal_value_may_be_repeated),
        cmocka_unit_test(another_value_is_refused),
        cmocka_unit_test(what_may_hold_a_secret_is_refused_right_or_wrong),
        cmocka_unit_test(keys_of_the_trigger_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
