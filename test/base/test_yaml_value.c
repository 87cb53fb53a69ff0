#include "base/memory.h"
#include "base/text.h"
#include "base/yaml_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char body[] = "jobs:\n"
                           "- {id: 82e3, waiting: 32, text: '64'}\n"
                           "- waiting: 1k\n"
                           "  more: {[a, b]: 1, deep: [x, [y]]}\n"
                           "count: 2.43\n"
                           "1: one\n"
                           "none: ~\n"
                           "empty:\n"
                           "same: &same {a: 5}\n"
                           "alias: *same\n"
                           "twice: 1\n"
                           "twice: 2\n"
                           "---\n"
                           "second: 1\n";

static void a_path_leads_to_a_value(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int kind;
        const char *text;
        bool is_plain;
    } rows[] = {
        {"count", YAML_VALUE_TEXT, "2.43", true},
        {"jobs.0.waiting", YAML_VALUE_TEXT, "32", true},
        {"jobs.0.text", YAML_VALUE_TEXT, "64", false},
        {"jobs.1.waiting", YAML_VALUE_TEXT, "1k", true},
        {"jobs.1.more.deep.1.0", YAML_VALUE_TEXT, "y", true},
        {"1", YAML_VALUE_TEXT, "one", true},
        {"none", YAML_VALUE_TEXT, "~", true},
        {"empty", YAML_VALUE_TEXT, "", true},
        {"same.a", YAML_VALUE_TEXT, "5", true},
        {"alias.a", YAML_VALUE_ALIAS, NULL, false},
        {"alias", YAML_VALUE_ALIAS, NULL, false},
        {"twice", YAML_VALUE_REPEATED, NULL, false},
        {"jobs", YAML_VALUE_COLLECTION, NULL, false},
        {"jobs.0", YAML_VALUE_COLLECTION, NULL, false},
        {"jobs.2.waiting", YAML_VALUE_NONE, NULL, false},
        {"jobs.00.waiting", YAML_VALUE_NONE, NULL, false},
        {"count.more", YAML_VALUE_NONE, NULL, false},
        {"cou", YAML_VALUE_NONE, NULL, false},
        {"second", YAML_VALUE_NONE, NULL, false},
        {"jobs..waiting", YAML_VALUE_NONE, NULL, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct yaml_value value;
        if (!yaml_value_find(body, strlen(body), rows[i].path, &value))
            fail_msg("%s: no YAML", rows[i].path);
        if ((int)value.kind != rows[i].kind || !text_equal(value.text, rows[i].text) ||
            value.is_plain != rows[i].is_plain)
            fail_msg("%s: %d %s", rows[i].path, value.kind, value.text);
        yaml_value_done(&value);
    }
}

static void a_broken_or_deep_document_has_none(void **state)
{
    (void)state;
    static const char *const bodies[] = {"a: 1\nb: [1, 2", "a: 1\n- b\n", "a: {",
                                         "a: 1\n\tb: 2\n", "a: 'x",       "\xff\xfe\xfd"};
    struct yaml_value value;
    for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
        if (yaml_value_find(bodies[i], strlen(bodies[i]), "a", &value))
            fail_msg("%s", bodies[i]);
        yaml_value_done(&value);
    }
    for (size_t depth = YAML_VALUE_MAX_DEPTH; depth < YAML_VALUE_MAX_DEPTH + 2; depth++) {
        struct text deep = {0};
        for (size_t i = 0; i < depth; i++)
            text_add(&deep, "[");
        for (size_t i = 0; i < depth; i++)
            text_add(&deep, "]");
        assert_int_equal(yaml_value_find(deep.bytes, deep.length, "a", &value),
                         depth <= YAML_VALUE_MAX_DEPTH);
        yaml_value_done(&value);
        text_done(&deep);
    }
    assert_true(yaml_value_find("", 0, "a", &value));
    assert_int_equal(value.kind, YAML_VALUE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_leads_to_a_value),
        cmocka_unit_test(a_broken_or_deep_document_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
