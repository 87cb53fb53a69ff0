/* The table of fields has what each of its views writes. */
#include "web/trigger_fields.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_has_what_its_views_write),
        cmocka_unit_test(no_two_fields_of_a_view_have_one_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
