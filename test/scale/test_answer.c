#include "base/memory.h"
#include "scale/answer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const struct answer_rules rules = {.interval_ms = 5000, .hold_ms = 60000};

enum { NOW = 1000000, NEVER_MEASURED = -1 };

enum attempt { NONE = ATTEMPT_NONE, GOOD = ATTEMPT_GOOD, FAILED = ATTEMPT_FAILED };
enum outcome { WAIT = ANSWER_WAIT, VALUE = ANSWER_VALUE, REFUSED = ANSWER_REFUSED };

/* What is known, and what is to be answered. */
struct row {
    const char *name;
    enum attempt attempt;
    int64_t reading_age_ms; /* or NEVER_MEASURED */
    int64_t failing_ms;
    double value;
    bool active;
    bool unjudgeable;
    bool out_of_time;
    enum outcome outcome;
    double answered;
    bool held;
    const char *words; /* in the error */
};

static const struct row table[] = {
    {"no attempt yet: wait", NONE, NEVER_MEASURED, 0, 0, false, false, false, WAIT},
    {"no attempt, out of time: refused", NONE, NEVER_MEASURED, 0, 0, false, false, true, REFUSED,
     .words = "no measurement yet"},
    {"fresh and active", GOOD, 5000, 0, 37, true, false, false, VALUE, 37},
    {"fresh and inactive", GOOD, 0, 0, 0, false, false, false, VALUE, 0},
    {"fresh, inactive but not zero", GOOD, 0, 0, 3, false, false, false, VALUE, 3},
    {"older than the interval: wait", GOOD, 5001, 0, 37, true, false, false, WAIT},
    {"overdue and active, out of time: held", GOOD, 65000, 0, 37, true, false, true, VALUE, 37,
     true},
    {"overdue beyond the hold: refused", GOOD, 65001, 0, 37, true, false, true, REFUSED,
     .words = "the last measurement is 65 s old"},
    {"overdue and inactive, out of time: refused", GOOD, 5001, 0, 0, false, false, true, REFUSED,
     .words = "the last measurement is 5 s old"},
    {"failed, active before: held", FAILED, 10000, 5000, 12, true, false, false, VALUE, 12, true},
    {"failed, active, at the end of the hold", FAILED, 70000, 60000, 12, true, false, false, VALUE,
     12, true},
    {"failed, active, past the hold: refused", FAILED, 70000, 60001, 12, true, false, false,
     REFUSED, .words = "broken pipe (failing for 60 s)"},
    {"failed, inactive before: refused at once", FAILED, 100, 0, 0, false, false, false, REFUSED,
     .words = "broken pipe"},
    {"failed, inactive but not zero: refused at once", FAILED, 100, 0, 3, false, false, false,
     REFUSED, .words = "broken pipe"},
    {"failed, never measured: refused at once", FAILED, NEVER_MEASURED, 0, 0, false, false, false,
     REFUSED, .words = "broken pipe"},
    {"failed, reading that cannot be judged: refused", FAILED, 100, 10, 0, true, true, false,
     REFUSED, .words = "broken pipe"},
    {"fresh, but a field is missing: refused", GOOD, 0, 0, 0, true, true, false, REFUSED,
     .words = "statistics are off"},
    {"NaN is never answered", GOOD, 0, 0, NAN, true, false, false, REFUSED, .words = "nan"},
    {"infinity is never answered", GOOD, 0, 0, INFINITY, true, false, false, REFUSED,
     .words = "inf"},
    {"below zero is zero", GOOD, 0, 0, -3, false, false, false, VALUE, 0},
};

static void each_row_of_the_table_is_answered_so(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        const struct row *row = &table[i];
        char broken[] = "broken pipe";
        char missing[] = "statistics are off";
        struct snapshot snapshot = {
            .last_attempt = (int)row->attempt,
            .measured = row->reading_age_ms != NEVER_MEASURED,
            .reading_at_ms = row->reading_age_ms == NEVER_MEASURED ? 0 : NOW - row->reading_age_ms,
            .failing_since_ms = NOW - row->failing_ms,
            .error = {ERROR_UNAVAILABLE, broken},
        };
        struct judged judged = {
            .good = !row->unjudgeable,
            .judgement = {row->value, row->active},
            .error = {ERROR_UNAVAILABLE, missing},
        };
        _cleanup_(answer_done) struct answer answer = {0};
        answer_decide(&snapshot, &judged, &rules, NOW, row->out_of_time, &answer);
        if ((int)answer.kind != (int)row->outcome)
            fail_msg("%s: answered %d: %s", row->name, answer.kind, error_text(&answer.error));
        if (row->outcome == VALUE && (answer.value != row->answered || answer.held != row->held ||
                                      answer.active != row->active))
            fail_msg("%s: answered %g", row->name, answer.value);
        if (row->outcome == REFUSED && strstr(error_text(&answer.error), row->words) == NULL)
            fail_msg("%s: refused with %s", row->name, error_text(&answer.error));
        if (row->outcome == REFUSED)
            assert_int_equal(answer.error.code, ERROR_UNAVAILABLE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_of_the_table_is_answered_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
