/* The table of fields has what each of its views writes. */
#include "web/content/trigger_fields.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum {
    JSON_VIEWS = VIEW_READING | VIEW_RATES | VIEW_ROW | VIEW_HISTORY,
    NUMBER_VIEWS = VIEW_READING | VIEW_RATES | VIEW_METRICS,
    ALL_VIEWS = JSON_VIEWS | VIEW_CSV | VIEW_METRICS,
};

/* What the view calls the field. */
static const char *name_in(enum trigger_view view, const struct trigger_field *field)
{
    return view == VIEW_CSV ? field->column : view == VIEW_METRICS ? field->metric : field->key;
}

static void each_field_has_what_its_views_write(void **state)
{
    (void)state;
    for (unsigned view = 1; view <= ALL_VIEWS; view <<= 1) {
        size_t fields = 0;
        TRIGGER_FIELD_FOREACH(field, view) {
            fields++;
            assert_non_null(name_in(view, field));
            assert_true(view != VIEW_METRICS || field->help != NULL);
            assert_true((view & NUMBER_VIEWS) == 0 || field->kind == FIELD_NUMBER);
        }
        assert_true(fields > 0);
    }
}

static void no_two_fields_of_a_view_have_one_name(void **state)
{
    (void)state;
    for (unsigned view = 1; view <= ALL_VIEWS; view <<= 1)
        TRIGGER_FIELD_FOREACH(field, view)
            for (const struct trigger_field *other = field;
                 (other = trigger_field_next(other, view)) != NULL;)
                if (strcmp(name_in(view, field), name_in(view, other)) == 0)
                    fail_msg("two fields are \"%s\"", name_in(view, field));
}

/* It fits with its quotes, and has nothing to escape: rows are written by hand. */
static void assert_word_of_json(const char *word)
{
    const struct trigger_figures figures = {.state = word, .bound_by = word};
    char buffer[TRIGGER_FIELD_BYTES];
    assert_non_null(word);
    TRIGGER_FIELD_FOREACH(field, VIEW_ROW) {
        if (field->kind != FIELD_WORD)
            continue;
        const char *text = trigger_field_text(field, &figures, WEB_JSON_ROW_DIGITS, "\"", buffer);
        json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
        if (json == NULL || strcmp(json_string_value(json), word) != 0)
            fail_msg("%s of the word \"%s\" is %s", field->key, word, text);
        json_decref(json);
    }
}

static void each_word_is_written_whole(void **state)
{
    (void)state;
    for (int i = 0; i < POLICY_TERMS; i++)
        assert_word_of_json(policy_term_text((enum policy_term)i));
    for (int i = 0; i <= ANSWER_STATE_REFUSED; i++)
        assert_word_of_json(answer_state_name((enum answer_state)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_has_what_its_views_write),
        cmocka_unit_test(no_two_fields_of_a_view_have_one_name),
        cmocka_unit_test(each_word_is_written_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
