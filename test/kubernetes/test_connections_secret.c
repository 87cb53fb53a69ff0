/* What the Kubernetes API sends about a Secret of connections. */
#include "kubernetes/api/connections_secret.h"

#include "base/memory.h"
#include "base/text.h"
#include "kubernetes/api/api_object.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

/* connections:\n  a: {scaler: f, k: v}\n */
#define GOOD "Y29ubmVjdGlvbnM6CiAgYToge3NjYWxlcjogZiwgazogdn0K"
/* connections:\n  a: {scaler: f, kFile: /etc/passwd}\n  b: {scaler: f, namespaces: [x]}\n */
#define FORBIDDEN                                                                                  \
    "Y29ubmVjdGlvbnM6CiAgYToge3NjYWxlcjogZiwga0ZpbGU6IC9ldGMvcGFzc3dkfQogIGI6IHtzY2FsZXI6IGYsIG5h" \
    "bWVzcGFjZXM6IFt4XX0K"
#define SECRET(data)                                                                               \
    "{\"metadata\":{\"name\":\"backlog-connections\",\"namespace\":\"shop\",\"resourceVersion\":"  \
    "\"8\"},\"data\":{" data "}}"

struct parsed {
    struct api_object *object;
    struct error error;
};

static void parsed_done(struct parsed *parsed)
{
    api_object_free(parsed->object);
    error_done(&parsed->error);
}

static struct parsed parse(const char *text)
{
    struct parsed parsed = {0};
    parsed.object = api_object_parse(OBJECT_CONNECTIONS, "shop", "backlog-connections", text,
                                     strlen(text), &parsed.error);
    return parsed;
}

static void a_secret_has_connections_or_none(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed found = parse(SECRET("\"orders\":\"" GOOD "\""));
    const struct named_connection *a = connections_find(found.object->connections, "a");
    assert_non_null(a);
    assert_true(a->is_of_secret);
    assert_string_equal(a->scaler, "f");
    assert_string_equal(found.object->revision, "8");
    _cleanup_(parsed_done) struct parsed empty = parse(SECRET(""));
    assert_int_equal(empty.object->connections->count, 0);
}

static void what_is_no_secret_is_an_error_and_never_an_empty_one(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"items\":[]}",
        "{\"metadata\":{\"name\":\"other\",\"namespace\":\"shop\"},\"data\":{}}",
        "{\"metadata\":{\"name\":\"backlog-connections\",\"namespace\":\"bar\"},\"data\":{}}"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        _cleanup_(parsed_done) struct parsed parsed = parse(texts[i]);
        assert_null(parsed.object);
        assert_int_equal(parsed.error.code, ERROR_UNAVAILABLE);
    }
}

static void files_and_namespaces_are_refused_and_a_broken_key_is_a_problem(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed parsed =
        parse(SECRET("\"a\":\"" FORBIDDEN "\",\"b\":\"!\",\"c\":\"Ww==\",\"d\":7"));
    const struct connections *connections = parsed.object->connections;
    const struct named_connection *a = connections_find(connections, "a");
    const struct named_connection *b = connections_find(connections, "b");
    assert_false(named_connection_is_usable(a));
    assert_false(named_connection_is_usable(b));
    assert_non_null(strstr(error_text(&a->mistakes), "kFile is not allowed here"));
    assert_non_null(strstr(error_text(&b->mistakes), "namespaces is not allowed here"));
    assert_int_equal(connections->problems_count, 3);
    assert_non_null(strstr(connections->problems[0].text, "Secret shop/backlog-connections: b"));
}

/* A Secret with one key, of so many repetitions. */
static char *secret_of(const char *head, const char *unit, size_t bytes)
{
    _cleanup_(text_done) struct text yaml = {0};
    _cleanup_(text_done) struct text base64 = {0};
    text_add(&yaml, head);
    while (yaml.length + strlen(unit) <= bytes)
        text_add(&yaml, unit);
    _cleanup_(memory_free) unsigned char *encoded = memory_new(yaml.length / 3 * 4 + 8);
    EVP_EncodeBlock(encoded, (const unsigned char *)yaml.bytes, (int)yaml.length);
    return text_format(SECRET("\"orders\":\"%s\""), (const char *)encoded);
}

/* No version of it is known then: the last one that was read stays in use. */
static void a_secret_that_is_too_large_is_an_error(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *fits = secret_of("connections: {}\n", "#", (64 << 10) - 8);
    _cleanup_(memory_free) char *large = secret_of("connections: {}\n", "#", 65 << 10);
    _cleanup_(parsed_done) struct parsed taken = parse(fits);
    _cleanup_(parsed_done) struct parsed parsed = parse(large);
    assert_null(parsed.object);
    assert_non_null(strstr(error_text(&parsed.error), "has 665"));
    assert_int_equal(taken.object->connections->problems_count, 0);

    _cleanup_(text_done) struct text keys = {0};
    for (int i = 0; i < 65; i++)
        text_addf(&keys, "%s\"k%d\":\"\"", i == 0 ? "" : ",", i);
    _cleanup_(memory_free) char *many = text_format(SECRET("%s"), keys.bytes);
    _cleanup_(parsed_done) struct parsed refused = parse(many);
    assert_null(refused.object);
    assert_non_null(strstr(error_text(&refused.error), "has 65 keys"));
}

/* One thread reads the Secrets of all teams. The limit is many times what the worst takes,
 * sanitized; with libyaml alone the first takes seconds. */
static void no_secret_takes_long(void **state)
{
    (void)state;
    static const char *const shapes[][2] = {
        {"", "["},
        {"", "{"},
        {"", "- ["},
        {"connections:\n", "  ? []\n  : 1\n"},
        {"connections:\n", "  a: {}\n"},
        {"connections:\n", "  a: {a: 1, b: 2, c: 3, d: 4}\n"},
        {"connections:\n  a:\n    scaler: kafka\n", "    a: b\n"},
        {"connections:\n  a: [", "a,"},
        {"connections:\n  a:\n    k: &a [a]\n", "    x: *a\n"},
        {"connections:\n", "  a: &a b\n"},
        {"", "a: b\n"},
        {"", "-\n"},
        {"", "---\n"},
        {"a: \"", "\\x41"},
    };
    double worst = 0;
    size_t worst_shape = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++) {
        _cleanup_(memory_free) char *text = secret_of(shapes[i][0], shapes[i][1], (64 << 10) - 64);
        clock_t began = clock();
        _cleanup_(parsed_done) struct parsed parsed = parse(text);
        double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
        assert_non_null(parsed.object);
        worst_shape = seconds > worst ? i : worst_shape;
        worst = seconds > worst ? seconds : worst;
    }
    print_message("slowest Secret: %.0f ms (%s)\n", worst * 1000, shapes[worst_shape][1]);
    assert_true(worst < 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_has_connections_or_none),
        cmocka_unit_test(what_is_no_secret_is_an_error_and_never_an_empty_one),
        cmocka_unit_test(files_and_namespaces_are_refused_and_a_broken_key_is_a_problem),
        cmocka_unit_test(a_secret_that_is_too_large_is_an_error),
        cmocka_unit_test(no_secret_takes_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
