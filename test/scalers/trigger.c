#include "scalers/trigger.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

struct trigger trigger_parse(const struct scaler *scaler, const struct option_entry *entries,
                             size_t count)
{
    struct trigger trigger = {0};
    option_parse(scaler->options, scaler->sizes,
                 &(struct option_input){entries, count, OPTION_FROM_TRIGGER}, trigger.values,
                 &trigger.error);
    trigger.options =
        (struct options){trigger.values[OPTION_CONNECTION]->data,
                         trigger.values[OPTION_QUERY]->data, trigger.values[OPTION_TARGET]->data};
    scaler_check(scaler, &trigger.options, &trigger.error);
    trigger.good = !error_is_set(&trigger.error);
    return trigger;
}

struct trigger trigger_of(const struct scaler *scaler, const char *const *pairs)
{
    struct option_entry entries[16] = {0};
    size_t count = 0;
    for (; pairs[2 * count] != NULL; count++) {
        assert_true(count < ARRAY_LENGTH(entries));
        entries[count] = (struct option_entry){pairs[2 * count], pairs[2 * count + 1]};
    }
    return trigger_parse(scaler, entries, count);
}

void trigger_done(struct trigger *trigger)
{
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        option_values_free(trigger->values[scope]);
    error_done(&trigger->error);
}

void assert_says(const struct trigger *trigger, const char *words)
{
    assert_false(trigger->good);
    if (strstr(error_text(&trigger->error), words) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", error_text(&trigger->error), words);
}
