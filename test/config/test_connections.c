#include "base/memory.h"
#include "base/text.h"
#include "config/connections_load.h"
#include "support/connections_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct parsed {
    struct connections *connections;
    struct error error;
    bool good;
};

static void parsed_done(struct parsed *parsed)
{
    connections_free(parsed->connections);
    error_done(&parsed->error);
}

static struct parsed parse(const char *text)
{
    struct parsed parsed = {0};
    parsed.good = connections_from_text(text, strlen(text), "connections.yaml", "/nowhere",
                                        &parsed.connections, &parsed.error) &&
                  connections_require_valid(parsed.connections, &parsed.error);
    return parsed;
}

static const char *entry(const struct named_connection *connection, const char *key)
{
    for (size_t i = 0; i < connection->entries_count; i++)
        if (text_equal(connection->entries[i].key, key))
            return connection->entries[i].value;
    return NULL;
}

static void write_file(const char *folder, const char *name, const char *content)
{
    _cleanup_(memory_free) char *path = text_format("%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        abort();
    fputs(content, file);
    fclose(file);
}

static void a_connection_has_its_keys_and_lists_are_joined(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed parsed = parse("connections:\n"
                                                        "  orders:\n"
                                                        "    scaler: kafka\n"
                                                        "    bootstrapServers: [a:9092, b:9092]\n"
                                                        "    tls: enable\n");
    assert_true(parsed.good);
    const struct named_connection *orders = connections_find(parsed.connections, "orders");
    assert_non_null(orders);
    assert_string_equal(orders->scaler, "kafka");
    assert_string_equal(entry(orders, "bootstrapServers"), "a:9092,b:9092");
    assert_string_equal(entry(orders, "tls"), "enable");
    assert_null(connections_find(parsed.connections, "order"));
    assert_null(connections_find(NULL, "orders"));
}

static void a_key_can_be_a_file_beside_the_connections_file(void **state)
{
    (void)state;
    char folder[] = "/tmp/backlog-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    write_file(folder, "password", "s3cret\n");
    write_file(folder, "connections.yaml",
               "connections:\n  a:\n    scaler: fake\n    passwordFile: password\n");

    struct connections *connections = NULL;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *path = text_format("%s/connections.yaml", folder);
    assert_true(connections_load(path, false, NULL, &connections, &error));
    assert_string_equal(entry(connections_find(connections, "a"), "password"), "s3cret\n");
    connections_free(connections);

    _cleanup_(memory_free) char *password = text_format("%s/password", folder);
    unlink(password);
    assert_true(connections_load(path, false, NULL, &connections, &error));
    const struct named_connection *connection = connections_find(connections, "a");
    assert_false(named_connection_is_usable(connection));
    assert_non_null(
        strstr(error_text(&connection->mistakes), "connections.yaml:4: passwordFile: cannot open"));
    connections_free(connections);
    unlink(path);
    rmdir(folder);
}

/* It is not mounted yet, or no longer. */
static void a_folder_that_becomes_empty_is_an_error(void **state)
{
    (void)state;
    char folder[] = "/tmp/backlog-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    struct connections *connections = NULL;
    _cleanup_(error_done) struct error error = {0};
    assert_true(connections_load(folder, false, NULL, &connections, &error));
    assert_null(connections_find(connections, "a"));
    connections_free(TAKE(connections));
    assert_false(connections_load(folder, true, NULL, &connections, &error));
    assert_non_null(strstr(error_text(&error), "no *.yaml or *.yml file any more"));
    assert_null(connections);
    error_done(&error);

    write_file(folder, "c.yaml", "connections:\n  a:\n    scaler: fake\n");
    assert_true(connections_load(folder, true, NULL, &connections, &error));
    assert_non_null(connections_find(connections, "a"));
    connections_free(connections);
    _cleanup_(memory_free) char *path = text_format("%s/c.yaml", folder);
    unlink(path);
    rmdir(folder);
}

/* Even of a file that is wrong: writing one of them may correct it. */
static void every_file_that_is_read_is_watched(void **state)
{
    (void)state;
    char folder[] = "/tmp/backlog-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    write_file(folder, "c.yaml", "connections:\n  a: {scaler: f, kFile: k, lFile: missing}\n");
    write_file(folder, "k", "one");
    _cleanup_(memory_free) char *path = text_format("%s/c.yaml", folder);
    _cleanup_(memory_free) char *secret = text_format("%s/k", folder);
    _cleanup_(memory_free) char *missing = text_format("%s/missing", folder);
    _cleanup_(error_done) struct error error = {0};
    struct connections *connections = NULL;
    const char *const written[] = {"c.yaml", "k", "missing"};
    for (size_t i = 0; i < ARRAY_LENGTH(written); i++) {
        struct file_watch *watch = file_watch_new();
        assert_true(connections_load(path, false, watch, &connections, &error));
        connections_free(TAKE(connections));
        assert_false(file_watch_has_changed(watch));
        write_file(folder, written[i], "something else");
        assert_false(file_watch_has_changed(watch));
        assert_true(file_watch_has_changed(watch));
        file_watch_free(watch);
        write_file(folder, "c.yaml", "connections:\n  a: {scaler: f, kFile: k, lFile: missing}\n");
    }
    assert_null(connections);
    unlink(missing);
    unlink(secret);
    unlink(path);
    rmdir(folder);
}

static void connections_are_equal_where_nothing_of_them_differs(void **state)
{
    (void)state;
    static const char first[] = "connections:\n"
                                "  a: {scaler: f, k: 1, namespaces: [x, y]}\n"
                                "  b: {scaler: f, k: 1, namespaces: [x, y]}\n"
                                "  c: {scaler: g, k: 1, namespaces: [x, y]}\n"
                                "  d: {scaler: f, k: 2, namespaces: [x, y]}\n"
                                "  e: {scaler: f, l: 1, namespaces: [x, y]}\n"
                                "  f: {scaler: f, k: 1, namespaces: [x]}\n"
                                "  g: {scaler: f, k: 1, namespaces: [x, z]}\n"
                                "  h: {scaler: f, namespaces: [x, y]}\n";
    _cleanup_(parsed_done) struct parsed parsed = parse(first);
    const struct named_connection *one = connections_find(parsed.connections, "a");
    assert_true(named_connection_equals(one, connections_find(parsed.connections, "b")));
    for (const char *name = "c\0d\0e\0f\0g\0h\0"; *name != '\0'; name += 2)
        assert_false(named_connection_equals(one, connections_find(parsed.connections, name)));
    assert_false(named_connection_equals(one, NULL));
    assert_true(named_connection_equals(NULL, NULL));
}

static void namespaces_are_patterns_and_none_means_all(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed parsed =
        parse("connections:\n"
              "  some: {scaler: fake, namespaces: [shop, \"billing-*\"]}\n"
              "  all: {scaler: fake}\n");
    assert_true(parsed.good);
    const struct named_connection *some = connections_find(parsed.connections, "some");
    assert_true(named_connection_allows(some, "shop"));
    assert_true(named_connection_allows(some, "billing-eu"));
    assert_false(named_connection_allows(some, "shopping"));
    assert_false(named_connection_allows(some, ""));
    assert_true(named_connection_allows(connections_find(parsed.connections, "all"), "anything"));
}

static void a_file_may_have_no_connections(void **state)
{
    (void)state;
    static const char *const texts[] = {"# nothing\n", "connections:\n", "connections: {}\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        _cleanup_(parsed_done) struct parsed parsed = parse(texts[i]);
        assert_true(parsed.good);
        assert_int_equal(parsed.connections->count, 0);
    }
}

static void a_text_that_fails_has_added_nothing(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *second = text_format(
        "%s---\n%s", "connections: {a: {scaler: f}}\n", "connections: {b: {scaler: f}}\n");
    const char *const texts[] = {second, "connections: {a: {scaler: f}}\nother: {}\n"};
    const struct connections_source source = {.path = "c.yaml", .folder = ""};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        _cleanup_(error_done) struct error error = {0};
        struct connections *connections = connections_new();
        assert_false(
            connections_yaml_read(&source, texts[i], strlen(texts[i]), connections, &error));
        assert_int_equal(connections->count + connections->problems_count, 0);
        connections_free(connections);
    }
}

/* Helm's {{ }} that nobody has filled in, and a NUL byte. */
static void what_is_no_yaml_of_words_concerns_its_connection_alone(void **state)
{
    (void)state;
    static const char *const wrong[] = {"{{ .Values.a }}: 1", "? [x]\n    : 1", "\"x\\0y\": 1"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        _cleanup_(memory_free) char *text = text_format(
            "connections:\n  good: {scaler: f}\n  bad:\n    scaler: f\n    %s\n", wrong[i]);
        _cleanup_(parsed_done) struct parsed parsed = parse(text);
        assert_string_equal(error_text(&parsed.error), "connections.yaml:5: a key must be a word");
        assert_true(named_connection_is_usable(connections_find(parsed.connections, "good")));
    }
    _cleanup_(parsed_done) struct parsed named =
        parse("connections:\n  good: {scaler: f}\n  ? [x]\n  : {scaler: f}\n  \"\": {scaler: f}\n");
    assert_string_equal(error_text(&named.error),
                        "connections.yaml:3: a connection's name must be a word; "
                        "connections.yaml:5: a connection's name must be a word");
    assert_int_equal(named.connections->count, 1);
}

/* A list of namespaces may be shared by many connections. */
static void an_alias_stands_for_what_is_written(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed parsed =
        parse("connections:\n  a: {scaler: f, namespaces: &n [shop, billing]}\n"
              "  b: {scaler: f, namespaces: *n}\n");
    assert_true(parsed.good);
    assert_int_equal(connections_find(parsed.connections, "b")->namespaces_count, 2);
}

static void every_mistake_is_reported_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"connections: [", "not YAML"},
        {"- a\n", "connections.yaml:1: must begin with connections:"},
        {"conections:\n  a: {scaler: fake}\n", "connections.yaml:1: the only key at the top"},
        {"connections: orders\n", "must have named connections"},
        {"connections:\n  a: 1\n", "connections.yaml:2: a must have keys"},
        {"connections:\n  a: {host: b}\n", "connections.yaml:2: a has no scaler"},
        {"connections:\n  a: {scaler: f}\n  a: {scaler: f}\n", "a is there twice"},
        {"connections:\n  a: {scaler: f, b: 1, b: 2}\n", "b is given twice"},
        {"connections:\n  a: {scaler: f, scaler: f}\n", "scaler is given twice"},
        {"connections: {}\n---\nconnections: {}\n",
         "connections.yaml:3: a second document begins here"},
        {"connections: {}\n---\n[", "not YAML"},
        {"connections:\n  a: {scaler: f, b: {c: d}}\n", "b must be a single value or a list"},
        {"connections:\n  a: {scaler: f, namespaces: shop}\n", "namespaces must be one list"},
        {"connections:\n  a: {scaler: f, namespaces: []}\n", "namespaces is empty"},
        {"connections:\n  a: {scaler: f, kFile: x}\n", "kFile: cannot open /nowhere/x"},
        {"connections:\n  a: {scaler: f, b: \"x\\0y\"}\n", "2: the value has a NUL byte"},
        {"connections:\n  a: {scaler: f, b: [x, [y]]}\n", "b must be a single value or a list"},
        {"connections:\n  a: {scaler: f, namespaces: [\"\"]}\n", "namespaces must be a list"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(parsed_done) struct parsed parsed = parse(cases[i].text);
        if (parsed.good || strstr(error_text(&parsed.error), cases[i].words) == NULL)
            fail_msg("%s: %s", cases[i].text, error_text(&parsed.error));
    }
    _cleanup_(parsed_done) struct parsed two = parse("connections:\n  a: 1\n  b: 2\n");
    assert_non_null(strstr(error_text(&two.error), "a must have keys"));
    assert_non_null(strstr(error_text(&two.error), "b must have keys"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_has_its_keys_and_lists_are_joined),
        cmocka_unit_test(a_key_can_be_a_file_beside_the_connections_file),
        cmocka_unit_test(a_folder_that_becomes_empty_is_an_error),
        cmocka_unit_test(every_file_that_is_read_is_watched),
        cmocka_unit_test(connections_are_equal_where_nothing_of_them_differs),
        cmocka_unit_test(namespaces_are_patterns_and_none_means_all),
        cmocka_unit_test(a_file_may_have_no_connections),
        cmocka_unit_test(a_text_that_fails_has_added_nothing),
        cmocka_unit_test(what_is_no_yaml_of_words_concerns_its_connection_alone),
        cmocka_unit_test(an_alias_stands_for_what_is_written),
        cmocka_unit_test(every_mistake_is_reported_with_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
