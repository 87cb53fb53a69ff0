#include "base/json_text.h"

#include "base/memory.h"
#include "base/text.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { TIMES = 10000, MIB = 1 << 20 };

static struct json_text text_of(const char *string)
{
    return (struct json_text){string, strlen(string)};
}

/* What a walk finds: "key=value;" of each, and "!" where it is broken. */
static char *walk(const char *string)
{
    struct text found = {0};
    struct json_walk walk;
    struct json_text key;
    struct json_text value;
    json_walk_begin(&walk, text_of(string));
    while (json_walk_next(&walk, &key, &value)) {
        if (key.bytes != NULL)
            text_addf(&found, "%.*s=", (int)key.length, key.bytes);
        text_addf(&found, "%.*s;", (int)value.length, value.bytes);
    }
    if (walk.is_broken)
        text_add(&found, "!");
    return text_take(&found);
}

static void assert_walk(const char *string, const char *expected)
{
    _cleanup_(memory_free) char *found = walk(string);
    if (strcmp(found, expected) != 0)
        fail_msg("%s: %s instead of %s", string, found, expected);
}

static void a_walk_finds_each_element_and_member(void **state)
{
    (void)state;
    assert_walk("[]", "");
    assert_walk(" { } ", "");
    assert_walk("[1, \"a,]\" ,{\"b\":[2,3]},[[]],null]", "1;\"a,]\";{\"b\":[2,3]};[[]];null;");
    assert_walk("{\"a\":1,\"b\" : {\"c\":\"}\\\"}\"} , \"\\\"\":-2.5e3}",
                "a=1;b={\"c\":\"}\\\"}\"};\\\"=-2.5e3;");
}

static void what_is_broken_is_noticed(void **state)
{
    (void)state;
    static const char *const broken[] = {"",       "1",       "\"a\"", "[",     "[1",   "[1,",
                                         "[1 2]",  "[,1]",    "[1]]",  "[1] x", "[\"]", "[\"\\",
                                         "{\"a\"", "{\"a\":", "{a:1}", "{1:2}", "[{]",  "[1,]"};
    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++) {
        _cleanup_(memory_free) char *found = walk(broken[i]);
        if (strchr(found, '!') == NULL)
            fail_msg("%s: %s", broken[i], found);
    }
}

static void a_member_is_found_in_its_object_only(void **state)
{
    (void)state;
    struct json_text object = text_of("{\"x\":{\"a\":1},\"ab\":2,\"a\":[3]}");
    struct json_text value = json_text_member(object, "a");
    assert_int_equal(value.length, 3);
    assert_memory_equal(value.bytes, "[3]", 3);
    assert_null(json_text_member(object, "b").bytes);
    assert_null(json_text_member(text_of("[\"a\",1]"), "a").bytes);
    assert_null(json_text_member((struct json_text){0}, "a").bytes);
}

/* `piece` again and again, in an array. */
static char *repeated(const char *piece)
{
    struct text all = {0};
    text_add(&all, "[");
    for (size_t i = 0; i < TIMES; i++)
        text_addf(&all, "%s%s", i == 0 ? "" : ",", piece);
    text_add(&all, "]");
    return text_take(&all);
}

static size_t allocated(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* Without a sanitizer, whose malloc counts nothing here. */
static void a_tree_takes_no_more_than_was_reckoned(void **state)
{
    (void)state;
    static const char *const pieces[] = {"{}",      "[]",       "1",          "1.5",
                                         "null",    "\"\"",     "{\"\":{}}",  "{\"a\":1,\"b\":2}",
                                         "[[],[]]", "\"text\"", "{\"a\":[]}", "[1,2,3]",
                                         "[[[[]]]]"};
    for (size_t i = 0; i < ARRAY_LENGTH(pieces); i++) {
        _cleanup_(memory_free) char *string = repeated(pieces[i]);
        size_t reckoned = json_text_tree_bytes(text_of(string));
        size_t before = allocated();
        json_t *tree = json_text_tree(text_of(string), 0, SIZE_MAX - 1);
        assert_non_null(tree);
        if (allocated() - before > reckoned)
            fail_msg("%s: %zu instead of %zu", pieces[i], allocated() - before, reckoned);
        json_decref(tree);
        assert_null(json_text_tree(text_of(string), 0, reckoned - 1));
    }
}

static void a_few_bytes_that_would_be_many_are_refused(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *string = repeated("{}");
    assert_true(strlen(string) < 40000);
    assert_null(json_text_tree(text_of(string), 0, MIB));
}

/* jansson would call itself 2,000 times, on a thread whose stack is small. */
/* An empty body; clang's UBSan sees what is added to NULL. */
static void a_text_without_bytes_has_no_tree(void **state)
{
    (void)state;
    assert_true(json_text_tree_bytes((struct json_text){0}) <= 1024);
    assert_null(json_text_tree((struct json_text){0}, 0, MIB));
}

static void depth_is_bounded(void **state)
{
    (void)state;
    char deep[200];
    memset(deep, '[', 64);
    memset(deep + 64, ']', 64);
    json_t *tree = json_text_tree((struct json_text){deep, 128}, 0, MIB);
    assert_non_null(tree);
    json_decref(tree);
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    assert_null(json_text_tree((struct json_text){deep, 130}, 0, SIZE_MAX - 1));
    memset(deep, '"', 1);
    deep[129] = '"'; /* brackets of a string are none */
    tree = json_text_tree((struct json_text){deep, 130}, JSON_DECODE_ANY, MIB);
    assert_true(json_is_string(tree));
    json_decref(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_walk_finds_each_element_and_member),
        cmocka_unit_test(what_is_broken_is_noticed),
        cmocka_unit_test(a_member_is_found_in_its_object_only),
        cmocka_unit_test(a_tree_takes_no_more_than_was_reckoned),
        cmocka_unit_test(a_few_bytes_that_would_be_many_are_refused),
        cmocka_unit_test(a_text_without_bytes_has_no_tree),
        cmocka_unit_test(depth_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
