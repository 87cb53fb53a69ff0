#include "scalers/trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

struct trigger trigger_parse(const struct scaler *scaler, const struct option_entry *entries,
                             size_t count)
{
    struct trigger trigger = {0};
    option_parse(scaler->options, scaler->sizes, entries, count, OPTION_FROM_TRIGGER, NULL,
                 trigger.values, &trigger.error);
    trigger.options =
        (struct options){trigger.values[OPTION_CONNECTION]->data,
                         trigger.values[OPTION_QUERY]->data, trigger.values[OPTION_TARGET]->data};
    scaler_check(scaler, &trigger.options, &trigger.error);
    trigger.good = !error_is_set(&trigger.error);
    return trigger;
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
