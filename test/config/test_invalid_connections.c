/* One mistake stays its own: what is invalid, what is used all the same, and folders of files. */
#include "base/memory.h"
#include "base/text.h"
#include "config/connections_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct folder {
    char path[32];
    struct connections *loaded;
    struct error error;
};

static int set_up(void **state)
{
    struct folder *folder = memory_new(sizeof(*folder));
    strcpy(folder->path, "/tmp/backlog-test-XXXXXX");
    *state = folder;
    return mkdtemp(folder->path) == NULL;
}

static int tear_down(void **state)
{
    struct folder *folder = *state;
    _cleanup_(memory_free) char *command = text_format("rm -rf %s", folder->path);
    connections_free(folder->loaded);
    error_done(&folder->error);
    free(folder);
    return system(command); // NOLINT(cert-env33-c): the folder is ours
}

static void write_file(const struct folder *folder, const char *name, const char *content)
{
    _cleanup_(memory_free) char *path = text_format("%s/%s", folder->path, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

static void remove_file(const struct folder *folder, const char *name)
{
    _cleanup_(memory_free) char *path = text_format("%s/%s", folder->path, name);
    assert_int_equal(unlink(path), 0);
}

/* As a reload does: the last good versions are inherited. `name`: a file of the folder; "": the
 * folder. */
static bool load(struct folder *folder, const char *name)
{
    struct connections *connections = NULL;
    _cleanup_(memory_free) char *path =
        text_format("%s%s%s", folder->path, name[0] == '\0' ? "" : "/", name);
    if (!connections_load(path, false, NULL, &connections, &folder->error))
        return false;
    connections_inherit(connections, folder->loaded);
    connections_free(folder->loaded);
    folder->loaded = connections;
    return true;
}

static const struct named_connection *find(const struct folder *folder, const char *name)
{
    const struct named_connection *connection = connections_find(folder->loaded, name);
    assert_non_null(connection);
    return connection;
}

static const char *value_of(const struct folder *folder, const char *name, const char *key)
{
    const struct named_connection *connection = find(folder, name);
    assert_true(named_connection_is_usable(connection));
    for (size_t i = 0; i < connection->entries_count; i++)
        if (text_equal(connection->entries[i].key, key))
            return connection->entries[i].value;
    return NULL;
}

static void assert_invalid(const struct folder *folder, const char *name, const char *words)
{
    const struct named_connection *connection = find(folder, name);
    assert_false(named_connection_is_usable(connection));
    if (strstr(error_text(&connection->mistakes), words) == NULL)
        fail_msg("%s", error_text(&connection->mistakes));
}

static const char two[] = "connections:\n"
                          "  a: {scaler: f, passwordFile: password, namespaces: [shop]}\n"
                          "  b: {scaler: f, k: v}\n";

static void a_missing_or_empty_secret_concerns_its_connection_alone(void **state)
{
    struct folder *folder = *state;
    write_file(folder, "c.yaml", two);
    assert_true(load(folder, "c.yaml"));
    assert_invalid(folder, "a", "c.yaml:2: passwordFile: cannot open");
    assert_string_equal(value_of(folder, "b", "k"), "v");
    static const char *const nothing[] = {"", "\n", " \t\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(nothing); i++) {
        write_file(folder, "password", nothing[i]);
        assert_true(load(folder, "c.yaml"));
        assert_invalid(folder, "a", "password is empty");
    }
    assert_int_equal(connections_count_invalid(folder->loaded), 1);
    assert_false(connections_require_valid(folder->loaded, &folder->error));

    write_file(folder, "password", "s3cret");
    assert_true(load(folder, "c.yaml"));
    assert_string_equal(value_of(folder, "a", "password"), "s3cret");
    assert_int_equal(connections_count_invalid(folder->loaded), 0);
}

static void the_last_good_version_is_used_as_long_as_what_is_written_is_invalid(void **state)
{
    struct folder *folder = *state;
    write_file(folder, "c.yaml", two);
    write_file(folder, "password", "s3cret");
    assert_true(load(folder, "c.yaml"));
    remove_file(folder, "password");
    for (int i = 0; i < 3; i++) {
        assert_true(load(folder, "c.yaml"));
        assert_string_equal(value_of(folder, "a", "password"), "s3cret");
        assert_true(named_connection_allows(find(folder, "a"), "shop"));
        assert_false(named_connection_allows(find(folder, "a"), "other"));
        assert_int_equal(connections_count_invalid(folder->loaded), 1);
    }
    write_file(folder, "c.yaml", "connections:\n  a: 1\n  b: {scaler: f, k: w}\n");
    assert_true(load(folder, "c.yaml"));
    assert_string_equal(value_of(folder, "a", "password"), "s3cret");
    assert_string_equal(value_of(folder, "b", "k"), "w");
    write_file(folder, "c.yaml", "connections: {}\n");
    assert_true(load(folder, "c.yaml"));
    assert_null(connections_find(folder->loaded, "a")); /* who deletes it means it */
}

static void a_change_of_its_usability_or_mistakes_is_a_change(void **state)
{
    struct folder *folder = *state;
    struct connections *before = NULL;
    write_file(folder, "c.yaml", two);
    assert_true(load(folder, "c.yaml"));
    before = TAKE(folder->loaded);
    assert_true(load(folder, "c.yaml"));
    assert_true(connections_equal(before, folder->loaded));
    write_file(folder, "password", "");
    assert_true(load(folder, "c.yaml"));
    assert_false(connections_equal(before, folder->loaded));
    connections_number(before, NULL, 1);
    connections_number(folder->loaded, before, 2);
    assert_int_equal(find(folder, "a")->revision, 2);
    assert_int_equal(find(folder, "b")->revision, 1);
    connections_free(before);
}

static void a_folder_is_read_in_the_order_of_its_names_and_the_first_of_a_name_stays(void **state)
{
    struct folder *folder = *state;
    write_file(folder, "b.yaml", "connections:\n  x: {scaler: f, k: b}\n  y: {scaler: f}\n");
    write_file(folder, "a.yml", "connections:\n  x: {scaler: f, k: a}\n");
    write_file(folder, "c.txt", "no connections");
    write_file(folder, ".hidden.yaml", "no connections");
    assert_true(load(folder, ""));
    assert_string_equal(value_of(folder, "x", "k"), "a");
    assert_true(named_connection_is_usable(find(folder, "y")));
    assert_int_equal(connections_count_invalid(folder->loaded), 1);
    assert_false(connections_require_valid(folder->loaded, &folder->error));
    assert_non_null(strstr(error_text(&folder->error), "b.yaml:2: x is there twice: the one at"));
    assert_non_null(strstr(error_text(&folder->error), "a.yml:2 is used"));
}

static void a_file_of_a_folder_that_is_no_yaml_concerns_its_connections_alone(void **state)
{
    struct folder *folder = *state;
    write_file(folder, "a.yaml", "connections:\n  x: {scaler: f, k: a}\n");
    write_file(folder, "b.yaml", "connections:\n  y: {scaler: f, k: b}\n");
    assert_true(load(folder, ""));
    write_file(folder, "b.yaml", "connections: [");
    write_file(folder, "a.yaml", "connections:\n  x: {scaler: f, k: new}\n");
    for (int i = 0; i < 2; i++) {
        assert_true(load(folder, ""));
        assert_string_equal(value_of(folder, "x", "k"), "new");
        assert_string_equal(value_of(folder, "y", "k"), "b");
        assert_int_equal(connections_count_invalid(folder->loaded), 2); /* the file, and y */
    }
    remove_file(folder, "b.yaml");
    assert_true(load(folder, ""));
    assert_null(connections_find(folder->loaded, "y"));
}

static void a_name_of_a_file_that_is_no_yaml_is_not_taken_over_by_a_later_one(void **state)
{
    struct folder *folder = *state;
    write_file(folder, "a.yaml", "connections:\n  x: {scaler: f, k: a}\n");
    write_file(folder, "b.yaml", "connections:\n  x: {scaler: f, k: b}\n  y: {scaler: f}\n");
    assert_true(load(folder, ""));
    assert_string_equal(value_of(folder, "x", "k"), "a");
    write_file(folder, "a.yaml", "connections: [");
    for (int i = 0; i < 2; i++) {
        assert_true(load(folder, ""));
        assert_string_equal(value_of(folder, "x", "k"), "a");
        assert_true(named_connection_is_usable(find(folder, "y")));
        assert_int_equal(connections_count_invalid(folder->loaded), 3); /* the file, x, and b's x */
        assert_false(connections_require_valid(folder->loaded, &folder->error));
        assert_non_null(strstr(error_text(&folder->error), "b.yaml:2: x is there twice: the one "));
    }
    write_file(folder, "a.yaml", "connections:\n  x: {scaler: f, k: new}\n");
    assert_true(load(folder, ""));
    assert_string_equal(value_of(folder, "x", "k"), "new");
    assert_int_equal(connections_count_invalid(folder->loaded), 1);
    write_file(folder, "a.yaml", "connections: [");
    write_file(folder, "Z.yaml", "connections:\n  x: {scaler: f, k: first}\n");
    assert_true(load(folder, ""));
    assert_string_equal(value_of(folder, "x", "k"), "first"); /* an earlier file always has it */
    remove_file(folder, "Z.yaml");
    remove_file(folder, "a.yaml");
    assert_true(load(folder, ""));
    assert_string_equal(value_of(folder, "x", "k"), "b"); /* who deletes it means it */
}

static void a_folder_without_any_good_file_fails_and_an_empty_one_has_none(void **state)
{
    struct folder *folder = *state;
    assert_true(load(folder, ""));
    assert_int_equal(folder->loaded->count, 0);
    write_file(folder, "a.yaml", "connections: [");
    assert_false(load(folder, ""));
    assert_non_null(strstr(error_text(&folder->error), "not YAML"));
}

static void an_entry_that_is_no_connection_refuses_the_file(void **state)
{
    struct folder *folder = *state;
    static const char *const texts[] = {"",
                                        " \r\n",
                                        "connections: [",
                                        "- a\n",
                                        "conections: {}\n",
                                        "connections: x\n",
                                        "connections: {}\n---\na: b\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        write_file(folder, "c.yaml", texts[i]);
        assert_false(load(folder, "c.yaml"));
    }
    assert_false(load(folder, "missing.yaml"));
}

static void more_connections_than_allowed_leave_the_first_ones(void **state)
{
    struct folder *folder = *state;
    struct text yaml = {0};
    text_add(&yaml, "connections:\n");
    for (int i = 0; i < CONNECTIONS_MAX + 2; i++)
        text_addf(&yaml, "  c%04d: {scaler: f}\n", i);
    write_file(folder, "c.yaml", yaml.bytes);
    assert_true(load(folder, "c.yaml"));
    assert_int_equal(folder->loaded->count, CONNECTIONS_MAX);
    assert_int_equal(connections_count_invalid(folder->loaded), 2);
    text_done(&yaml);
}

static void a_folder_may_have_so_many_files_and_no_more(void **state)
{
    enum { MAX_FILES = 1024 };
    struct folder *folder = *state;
    for (int i = 0; i < MAX_FILES; i++) {
        _cleanup_(memory_free) char *name = text_format("%d.yaml", i);
        write_file(folder, name, "connections: {}\n");
    }
    assert_true(load(folder, ""));
    write_file(folder, "more.yaml", "connections: {}\n");
    assert_false(load(folder, ""));
    assert_non_null(strstr(error_text(&folder->error), "has more than 1024 files"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_missing_or_empty_secret_concerns_its_connection_alone),
        TEST(the_last_good_version_is_used_as_long_as_what_is_written_is_invalid),
        TEST(a_change_of_its_usability_or_mistakes_is_a_change),
        TEST(a_folder_is_read_in_the_order_of_its_names_and_the_first_of_a_name_stays),
        TEST(a_file_of_a_folder_that_is_no_yaml_concerns_its_connections_alone),
        TEST(a_name_of_a_file_that_is_no_yaml_is_not_taken_over_by_a_later_one),
        TEST(a_folder_without_any_good_file_fails_and_an_empty_one_has_none),
        TEST(an_entry_that_is_no_connection_refuses_the_file),
        TEST(more_connections_than_allowed_leave_the_first_ones),
        TEST(a_folder_may_have_so_many_files_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
