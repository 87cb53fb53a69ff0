/* What remains of a Helm template without its actions. */
#include "base/memory.h"
#include "base/text.h"
#include "manifest/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void actions_are_hidden_in_their_places(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hidden;
    } cases[] = {
        {"a: b\n", "a: b\n"},
        {"{{ if .x }}\na: b\n", "           \na: b\n"},
        {"  {{- end -}} # c\n", "              # c\n"},
        {"a: {{ .x }}-{{.y}}\n", "a: xxxxxxxx-xxxxxx\n"},
        {"a: {{ \"}}\" }}b\n", "a: xxxxxxxxxxb\n"},
        {"a: {{ `}}\n\"` }}\n", "a: xxxxxx\n     \n"},
        {"a: {{ \"\\\"}}\" }}\n", "a: xxxxxxxxxxxx\n"},
        {"{{/* }} */}}\na: b\n", "            \na: b\n"},
        {"{{ dict\n  1 }}\r\na: b\n", "       \n      \r\na: b\n"},
        {"a: {{ no\n", "a: {{ no\n"},
        {"a: {{ {{ .x }}\n", "a: {{ xxxxxxxx\n"},
        {"a: {{", "a: {{"},
        {"a: {{ \"no\nb: c\n", "a: {{ \"no\nb: c\n"},
        {"# {{ \"no\n{{ .x }}\n", "# {{ \"no\n        \n"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(memory_free) char *hidden = template_hide(cases[i].text, strlen(cases[i].text));
        assert_string_equal(hidden, cases[i].hidden);
    }
    assert_true(template_has_action("a: {{ .x }}", 11));
    assert_false(template_has_action("a: {{ .x }}", 4));
    assert_false(template_has_action(NULL, 0));
}

static void actions_are_found_one_by_one(void **state)
{
    (void)state;
    static const char text[] = "{{ no {{- if .x }}{{\telse }}{{end}}{{- /* if */ -}}{{ iffy }}"
                               "{{ with .y }}{{ block \"b\" . }}{{";
    static const struct {
        const char *text;
        int kind;
    } expected[] = {
        {"{{- if .x }}", TEMPLATE_BEGIN},
        {"{{\telse }}", TEMPLATE_OTHER},
        {"{{end}}", TEMPLATE_END},
        {"{{- /* if */ -}}", TEMPLATE_OTHER},
        {"{{ iffy }}", TEMPLATE_OUTPUT},
        {"{{ with .y }}", TEMPLATE_BEGIN},
        {"{{ block \"b\" . }}", TEMPLATE_BEGIN},
    };
    struct template_action action = {.end = text};
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        size_t left = strlen(action.end);
        assert_true(template_next(action.end, left, &action));
        _cleanup_(memory_free) char *found =
            text_copy_bytes(action.start, (size_t)(action.end - action.start));
        assert_string_equal(found, expected[i].text);
        assert_int_equal(action.kind, expected[i].kind);
    }
    assert_false(template_next(action.end, strlen(action.end), &action));
    assert_false(template_next("", 0, &action));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(actions_are_hidden_in_their_places),
                                       cmocka_unit_test(actions_are_found_one_by_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
