#include "base/text.h"
#include "commands/explain.h"
#include "web/content/trigger_fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct reading_words *find(const char *key)
{
    const struct reading_words *each = explain_reading_words;
    while (each->key != NULL && !text_equal(each->key, key))
        each++;
    return each->key == NULL ? NULL : each;
}

static void each_number_of_a_reading_is_printed_or_left_out_on_purpose(void **state)
{
    (void)state;
    TRIGGER_FIELD_FOREACH(field, VIEW_READING)
        if (find(field->key) == NULL)
            fail_msg("\"%s\" has no words", field->key);
}

static void the_value_of_sources_with_one_number_is_printed(void **state)
{
    (void)state;
    assert_non_null(find("value"));
    assert_non_null(find("value")->words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_number_of_a_reading_is_printed_or_left_out_on_purpose),
        cmocka_unit_test(the_value_of_sources_with_one_number_is_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
