#include "base/memory.h"
#include "base/text.h"
#include "config/yaml_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static struct yaml_forest parsed(const char *text)
{
    _cleanup_(error_done) struct error error = {0};
    struct yaml_forest forest = {0};
    if (!yaml_forest_parse(text, strlen(text), "t.yaml", &forest, &error))
        fail_msg("%s", error_text(&error));
    return forest;
}

/* The bytes between two places. */
static void assert_bytes(const char *text, size_t start, size_t end, const char *expected)
{
    _cleanup_(memory_free) char *bytes = text_copy_bytes(text + start, end - start);
    assert_string_equal(bytes, expected);
}

static void assert_item(const char *text, const char *path, const char *expected)
{
    struct yaml_forest forest = parsed(text);
    const struct yaml_tree *item = yaml_tree_find(forest.trees[0], path);
    assert_non_null(item);
    assert_bytes(text, item->start, item->end, expected);
    yaml_forest_done(&forest);
}

static void an_item_knows_its_bytes(void **state)
{
    (void)state;
    assert_item("a: word # why\nb: 2\n", "a", "word");
    assert_item("a: 'it''s'\n", "a", "'it''s'");
    assert_item("a:\n  b: 1\n  c: [x, {y: z}]\n\n# behind it\nd: 2\n", "a",
                "b: 1\n  c: [x, {y: z}]");
    assert_item("a:\n  b: |\n    one\n    two\n  c: 3\n", "a.b", "|\n    one\n    two\n");
    assert_item("{a: {b: c}, d: e}\n", "a", "{b: c}");
}

/* libyaml counts characters, and a byte order mark as none. */
static void bytes_are_counted_where_characters_have_several(void **state)
{
    (void)state;
    _cleanup_(text_done) struct text text = {0};
    text_add(&text, "# ");
    for (size_t i = 0; i < 700; i++)
        text_add(&text, "äß€");
    text_add(&text, "\nkey: wörd\nother: x\n");
    assert_item(text.bytes, "key", "wörd");
    assert_item(text.bytes, "other", "x");
    assert_item("\xEF\xBB\xBF"
                "key: wörd\nother: x\n",
                "other", "x");
    assert_item("\xEF\xBB\xBFkey: word\n", "key", "word");
}

static void a_key_knows_its_bytes_and_line(void **state)
{
    (void)state;
    static const char text[] = "a:\n  'the key' : 1\n  b: 2\n";
    struct yaml_forest forest = parsed(text);
    const struct yaml_tree *map = yaml_tree_find(forest.trees[0], "a");
    assert_bytes(text, map->key_spans[0].start, map->key_spans[0].end, "'the key'");
    assert_int_equal(map->key_spans[0].line, 2);
    assert_int_equal(map->key_spans[1].line, 3);
    yaml_forest_done(&forest);
}

static void an_item_that_an_alias_repeats_is_shared(void **state)
{
    (void)state;
    struct yaml_forest forest = parsed("a: &x {b: 1}\nc: *x\nd: {e: 2}\n");
    assert_true(yaml_tree_find(forest.trees[0], "a")->is_shared);
    assert_true(yaml_tree_find(forest.trees[0], "a.b")->is_shared);
    assert_true(yaml_tree_find(forest.trees[0], "c")->is_shared);
    assert_false(yaml_tree_find(forest.trees[0], "d.e")->is_shared);
    yaml_forest_done(&forest);
}

static void quotes_and_brackets_are_known(void **state)
{
    (void)state;
    struct yaml_forest forest = parsed("a: 5\nb: \"5\"\nc: [1]\nd:\n  - 1\n");
    assert_true(yaml_tree_find(forest.trees[0], "a")->is_plain);
    assert_false(yaml_tree_find(forest.trees[0], "b")->is_plain);
    assert_true(yaml_tree_find(forest.trees[0], "c")->is_flow);
    assert_false(yaml_tree_find(forest.trees[0], "d")->is_flow);
    yaml_forest_done(&forest);
}

static void assert_refused(const struct text *yaml, const char *part)
{
    _cleanup_(error_done) struct error error = {0};
    struct yaml_forest forest = {0};
    assert_false(yaml_forest_parse(yaml->bytes, yaml->length, "t.yaml", &forest, &error));
    assert_non_null(strstr(error_text(&error), part));
}

/* Ten names, each a list of ten times the last one. */
static void aliases_do_not_make_much_of_a_short_file(void **state)
{
    (void)state;
    _cleanup_(text_done) struct text words = {0};
    _cleanup_(text_done) struct text bytes = {0};
    text_add(&words, "a0: &a0 x\n");
    for (size_t i = 1; i < 10; i++) {
        text_addf(&words, "a%zu: &a%zu [", i, i);
        for (size_t k = 0; k < 10; k++)
            text_addf(&words, "*a%zu, ", i - 1);
        text_add(&words, "]\n");
    }
    text_addf(&bytes, "a: &a x%0*d\nb: [", 1 << 20, 0);
    for (size_t i = 0; i < 40; i++)
        text_add(&bytes, "*a, ");
    text_add(&bytes, "]\n");
    assert_refused(&words, "t.yaml:1: more than 1000000 values, with what aliases (*) repeat");
    assert_refused(&bytes, "t.yaml:1: more than 32 MiB of text, with what aliases (*) repeat");
}

static void keys_count_for_what_aliases_repeat(void **state)
{
    (void)state;
    _cleanup_(text_done) struct text yaml = {0};
    text_addf(&yaml, "a: &a x%0*d", 1 << 20, 0);
    for (size_t i = 0; i < 40; i++)
        text_add(&yaml, "\n? *a\n: x");
    assert_refused(&yaml, "more than 32 MiB of text");
}

static void a_list_that_holds_itself_is_refused(void **state)
{
    (void)state;
    _cleanup_(text_done) struct text yaml = {0};
    text_add(&yaml, "a: 1\nb: &b [*b, *b]\n");
    assert_refused(&yaml, "t.yaml:2: lists and maps are nested more than 64 deep");
}

static void some_thousand_aliases_are_read(void **state)
{
    (void)state;
    _cleanup_(text_done) struct text yaml = {0};
    text_add(&yaml, "a: &a {b: c}\nd:\n");
    for (size_t i = 0; i < 3000; i++)
        text_add(&yaml, "- *a\n");
    struct yaml_forest forest = parsed(yaml.bytes);
    assert_int_equal(yaml_tree_find(forest.trees[0], "d")->count, 3000);
    yaml_forest_done(&forest);
}

static void a_key_that_is_given_twice_is_found(void **state)
{
    (void)state;
    struct yaml_forest forest = parsed("{b: 1, a: 2, c: 3}\n---\n{b: 1, a: 2, b: 3}\n---\n{}\n");
    assert_false(yaml_tree_has_twice(forest.trees[0]));
    assert_true(yaml_tree_has_twice(forest.trees[1]));
    assert_false(yaml_tree_has_twice(forest.trees[2]));
    yaml_forest_done(&forest);
}

static void what_is_invalid_fails_the_file_or_is_an_item(void **state)
{
    (void)state;
    static const char *const texts[] = {"a: 1\nb: \"x\\0y\"\n", "a: 1\n? [b]\n: 2\n",
                                        "a: 1\n\"b\\0\": 2\n"};
    static const char *const words[] = {"the value has a NUL byte", "a key must be a word",
                                        "a key must be a word"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(memory_free) char *message = text_format("t.yaml:2: %s", words[i]);
        struct yaml_forest forest = {0};
        const struct yaml_rules rules = {.keeps_invalid = true};
        assert_false(yaml_forest_parse(texts[i], strlen(texts[i]), "t.yaml", &forest, &error));
        assert_string_equal(error_text(&error), message);
        assert_true(
            yaml_forest_parse_by(&rules, texts[i], strlen(texts[i]), "t.yaml", &forest, &error));
        const struct yaml_tree *tree = forest.trees[0];
        assert_int_equal(tree->count, 2);
        assert_string_equal(tree->items[0]->text, "1");
        assert_int_equal(tree->items[1]->kind, YAML_TREE_INVALID);
        assert_int_equal(tree->items[1]->line, 2);
        assert_string_equal(tree->items[1]->text, words[i]);
        assert_string_equal(tree->keys[1], i == 0 ? "b" : "");
        yaml_forest_done(&forest);
    }
}

static void what_is_no_yaml_is_refused_with_the_reason_and_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"a: 1\nb: [c\n", "t.yaml:3: not YAML: did not find expected"},
        {"a: 1\nb: \xff\nc: 2\n", "t.yaml:2: not YAML: "},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(error_done) struct error error = {0};
        struct yaml_forest forest = {0};
        assert_false(
            yaml_forest_parse(cases[i].text, strlen(cases[i].text), "t.yaml", &forest, &error));
        if (!text_starts_with(error_text(&error), cases[i].words))
            fail_msg("%s", error_text(&error));
    }
}

static void trees_are_the_same_where_nothing_of_them_differs(void **state)
{
    (void)state;
    static const struct {
        const char *one, *other;
        bool is_same;
    } cases[] = {
        {"{a: 1, b: [2, 3]}", "{a: 1, b: [2, 3]}", true},
        {"{a: 1, b: [2, 3]}", "{a: 1, b: [2, 4]}", false},
        {"{a: 1, b: 2}", "{a: 1, c: 2}", false},
        {"{a: 1, b: 2}", "{b: 2, a: 1}", false},
        {"{a: 1}", "{a: 1, b: 2}", false},
        {"[1]", "{a: 1}", false},
        {"x", "y", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct yaml_forest one = parsed(cases[i].one);
        struct yaml_forest other = parsed(cases[i].other);
        if (yaml_tree_is_same(one.trees[0], other.trees[0]) != cases[i].is_same)
            fail_msg("%s and %s", cases[i].one, cases[i].other);
        assert_false(yaml_tree_is_same(one.trees[0], NULL));
        yaml_forest_done(&one);
        yaml_forest_done(&other);
    }
    assert_true(yaml_tree_is_same(NULL, NULL));
}

static void what_is_nested_too_deep_is_refused_with_its_line(void **state)
{
    (void)state;
    static const char *const units[] = {"[", "{a: ", "- "};
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        _cleanup_(text_done) struct text deep = {0};
        text_add(&deep, "x\n---\n");
        for (size_t k = 0; k < 70; k++)
            text_add(&deep, units[i]);
        text_add(&deep, "x");
        for (size_t k = 0; k < 70 && i < 2; k++)
            text_add(&deep, i == 0 ? "]" : "}");
        text_add(&deep, "\n");
        assert_refused(&deep, "t.yaml:3: lists and maps are nested more than 64 deep");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_item_knows_its_bytes),
        cmocka_unit_test(bytes_are_counted_where_characters_have_several),
        cmocka_unit_test(a_key_knows_its_bytes_and_line),
        cmocka_unit_test(an_item_that_an_alias_repeats_is_shared),
        cmocka_unit_test(quotes_and_brackets_are_known),
        cmocka_unit_test(aliases_do_not_make_much_of_a_short_file),
        cmocka_unit_test(keys_count_for_what_aliases_repeat),
        cmocka_unit_test(a_list_that_holds_itself_is_refused),
        cmocka_unit_test(some_thousand_aliases_are_read),
        cmocka_unit_test(a_key_that_is_given_twice_is_found),
        cmocka_unit_test(what_is_invalid_fails_the_file_or_is_an_item),
        cmocka_unit_test(what_is_nested_too_deep_is_refused_with_its_line),
        cmocka_unit_test(what_is_no_yaml_is_refused_with_the_reason_and_its_line),
        cmocka_unit_test(trees_are_the_same_where_nothing_of_them_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
