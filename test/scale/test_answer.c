#include "base/memory.h"
#include "scale/answer/answer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { NOW = 1000000, NEVER_MEASURED = -1, HOUR_MS = 3600000 };

enum attempt_known { NONE = ATTEMPT_NONE, GOOD = ATTEMPT_GOOD, FAILED = ATTEMPT_FAILED };
enum outcome { WAIT = ANSWER_WAIT, VALUE = ANSWER_VALUE, REFUSED = ANSWER_REFUSED };

/* What is known, and what is to be answered. */
struct row {
    const char *name;
    enum attempt_known attempt;
    int64_t age_ms;     /* of the reading, or NEVER_MEASURED */
    int64_t failing_ms; /* since when all attempts fail; the last one failed */
    int64_t failed_ms;  /* ... so long ago */
    double value;
    bool active;

    int64_t waited_ms; /* of the call */
    bool out_of_time;
    bool is_stream;
    int64_t interval_ms; /* that a user set; 0: none */
    int64_t duration_ms;
    int64_t effective_ms; /* 0: 5,000 */
    int64_t stuck_ms;
    int64_t unanswered_ms; /* since when callers have waited; 0: now */
    bool is_outdated;
    int64_t zero_ms; /* for how long the source has reported a 0 that does not count yet */
    bool is_retried;
    bool lacks_field;
    bool has_no_hold;      /* hold: 0s */
    bool is_over;          /* refused as it was held for so long */
    double earlier;        /* a larger value that was answered before; 0: nothing was */
    int64_t earlier_ms;    /* ... so long before the failure */
    double of_peers;       /* that other replicas held; 0: they had none */
    int64_t of_peers_ms;   /* ... since so long ago */
    double replicas_value; /* of the HPA's replicas; 0: they are not known */
    int64_t replicas_ms;   /* ... which were read so long ago */

    enum outcome outcome;
    double answered;
    bool held;
    const char *words;    /* in the error */
    int64_t wait_from_ms; /* WAIT: a measurement sent so long before the call will do */
};

static const struct row table[] = {
    /* Fresh: sent at most F before the call. */
    {"no attempt yet: wait", .attempt = NONE, .age_ms = NEVER_MEASURED, .outcome = WAIT,
     .wait_from_ms = 500},
    {"sent 500 ms before the call", GOOD, 500, .value = 37, .active = true, .outcome = VALUE,
     .answered = 37},
    {"sent 500 ms before a call that waits", GOOD, 900, .value = 37, .waited_ms = 400,
     .outcome = VALUE, .answered = 37},
    {"a zero sent 500 ms before", GOOD, 500, .outcome = VALUE, .answered = 0},
    {"inactive but not zero", GOOD, 0, .value = 3, .outcome = VALUE, .answered = 3},
    {"sent before: wait", GOOD, 501, .value = 37, .active = true, .outcome = WAIT,
     .wait_from_ms = 500},
    {"F is ten durations", GOOD, 2000, .value = 1, .duration_ms = 200, .outcome = VALUE,
     .answered = 1},
    {"F is ten durations, exceeded", GOOD, 2001, .duration_ms = 200, .outcome = WAIT,
     .wait_from_ms = 2000},
    {"F is at most the interval", GOOD, 5001, .duration_ms = 900, .outcome = WAIT,
     .wait_from_ms = 5000},
    {"F is the interval that a user set", GOOD, HOUR_MS, .value = 1, .interval_ms = HOUR_MS,
     .outcome = VALUE, .answered = 1},
    {"a short one, too", GOOD, 201, .interval_ms = 200, .outcome = WAIT, .wait_from_ms = 200},
    {"a query of 6 s: interval and two durations", GOOD, 17000, .value = 1, .duration_ms = 6000,
     .outcome = VALUE, .answered = 1},
    {"beyond them: wait", GOOD, 17001, .duration_ms = 6000, .outcome = WAIT, .wait_from_ms = 17000},
    {"outdated by a notification: wait", GOOD, 100, .is_outdated = true, .outcome = WAIT,
     .wait_from_ms = 500},

    /* Late: after a second, whatever the source keeps up with. */
    {"patient, and within the effective interval", GOOD, 5000, .value = 2, .waited_ms = 1000,
     .outcome = VALUE, .answered = 2},
    {"an inactive one, too", GOOD, 5000, .waited_ms = 1000, .outcome = VALUE, .answered = 0},
    {"not yet patient: wait", GOOD, 5000, .waited_ms = 999, .outcome = WAIT, .wait_from_ms = 500},
    {"beyond the effective interval: wait", GOOD, 5001, .waited_ms = 1000, .outcome = WAIT,
     .wait_from_ms = 500},
    {"a source that cannot keep up", GOOD, 40000, .value = 2, .waited_ms = 1000,
     .effective_ms = 40000, .outcome = VALUE, .answered = 2},
    {"patient, but outdated: wait", GOOD, 1100, .waited_ms = 1000, .is_outdated = true,
     .outcome = WAIT, .wait_from_ms = 500},
    {"out of time and outdated: no false zero", GOOD, 5100, .waited_ms = 5000, .out_of_time = true,
     .effective_ms = 40000, .is_outdated = true, .outcome = REFUSED,
     .words = "no newer one arrived in time"},
    {"out of time and outdated, but active: held", GOOD, 5100, .value = 4, .active = true,
     .waited_ms = 5000, .out_of_time = true, .effective_ms = 40000, .is_outdated = true,
     .outcome = VALUE, .answered = 4, .held = true},

    /* Nothing comes. */
    {"out of time, never measured", NONE, NEVER_MEASURED, .out_of_time = true, .waited_ms = 5000,
     .outcome = REFUSED, .words = "no measurement yet"},
    {"out of time, inactive", GOOD, 65000, .out_of_time = true, .waited_ms = 5000,
     .outcome = REFUSED, .words = "the last reading is of "},
    {"out of time, active: held, however old", GOOD, 900000, .value = 37, .active = true,
     .out_of_time = true, .waited_ms = 5000, .outcome = VALUE, .answered = 37, .held = true},
    {"held from the first unanswered call on", GOOD, 900000, .value = 37, .active = true,
     .out_of_time = true, .waited_ms = 5000, .unanswered_ms = 60000, .outcome = VALUE,
     .answered = 37, .held = true},
    {"and not beyond the hold", GOOD, 900000, .value = 37, .active = true, .out_of_time = true,
     .waited_ms = 5000, .unanswered_ms = 60001, .is_over = true, .outcome = REFUSED,
     .words = "no newer one arrived"},
    {"a source that is stuck: at once", GOOD, 9000, .stuck_ms = 7000, .outcome = REFUSED,
     .words = "has not answered anything since "},
    {"stuck, active: held at once", GOOD, 9000, .value = 37, .active = true, .stuck_ms = 7000,
     .outcome = VALUE, .answered = 37, .held = true},
    {"... but not without a hold, at the first call either", GOOD, 9000, .value = 37,
     .active = true, .stuck_ms = 7000, .has_no_hold = true, .outcome = REFUSED,
     .words = "has not answered anything since "},
    {"stuck, and a reading that will do in a second: wait", GOOD, 3000, .stuck_ms = 5000,
     .outcome = WAIT, .wait_from_ms = 500},

    /* A 0 that is not confirmed yet: the reading before it is outdated. */
    {"a 0 is not confirmed: wait", GOOD, 100, .value = 37, .active = true, .is_outdated = true,
     .zero_ms = 50, .outcome = WAIT, .wait_from_ms = 500},
    {"... also without a hold", GOOD, 100, .value = 37, .active = true, .is_outdated = true,
     .zero_ms = 50, .has_no_hold = true, .outcome = WAIT, .wait_from_ms = 500},
    {"... at an interval of the user", GOOD, 100, .value = 37, .active = true, .is_outdated = true,
     .zero_ms = 50, .interval_ms = HOUR_MS, .outcome = WAIT, .wait_from_ms = HOUR_MS},
    {"... and patient: wait on", GOOD, 2100, .value = 37, .active = true, .is_outdated = true,
     .zero_ms = 1050, .waited_ms = 1000, .outcome = WAIT, .wait_from_ms = 500},
    {"... out of time: held", GOOD, 5100, .value = 37, .active = true, .is_outdated = true,
     .zero_ms = 900, .out_of_time = true, .waited_ms = 5000, .unanswered_ms = 5000,
     .outcome = VALUE, .answered = 37, .held = true},
    {"... out of time, without a hold: no old value", GOOD, 5100, .value = 37, .active = true,
     .is_outdated = true, .zero_ms = 900, .out_of_time = true, .waited_ms = 5000,
     .unanswered_ms = 5000, .has_no_hold = true, .outcome = REFUSED,
     .words = "which is not confirmed yet: after a restart or an election it may be false"},
    {"... out of time, never measured", NONE, NEVER_MEASURED, .zero_ms = 900, .out_of_time = true,
     .waited_ms = 5000, .outcome = REFUSED, .words = "the source reports 0 since "},
    {"... after a failure, out of time, without a hold", FAILED, 9000, 5000, 5000, 37, true,
     .is_outdated = true, .zero_ms = 900, .out_of_time = true, .waited_ms = 4000,
     .has_no_hold = true, .outcome = REFUSED, .words = "the source reports 0 since "},
    {"... after a failure: held since then", FAILED, 9000, 5000, 5000, 37, true,
     .is_outdated = true, .zero_ms = 900, .out_of_time = true, .waited_ms = 4000, .outcome = VALUE,
     .answered = 37, .held = true},
    {"... after a failure: wait", FAILED, 9000, 5000, 5000, 37, true, .is_outdated = true,
     .zero_ms = 900, .waited_ms = 1000, .outcome = WAIT, .wait_from_ms = 500},

    /* Failed. */
    {"failed just now, inactive before", FAILED, 100, 0, 0, .outcome = REFUSED,
     .words = "broken pipe"},
    {"failed 500 ms ago: repeated", FAILED, 900, 500, 500, .outcome = REFUSED,
     .words = "broken pipe"},
    {"failed before: measured again", FAILED, 900, 501, 501, .outcome = WAIT, .wait_from_ms = 500},
    {"failed before, but retried by itself: at once", FAILED, 20000, 10000, 9000,
     .is_retried = true, .outcome = REFUSED, .words = "broken pipe (failing since "},
    {"failed before, out of time", FAILED, 20000, 10000, 9000, .out_of_time = true,
     .outcome = REFUSED, .words = "broken pipe"},
    {"failed before, and stuck", FAILED, 20000, 10000, 9000, .stuck_ms = 6000, .outcome = REFUSED,
     .words = "broken pipe"},
    {"failed, active before: held", FAILED, 10000, 5000, 0, 12, true, .outcome = VALUE,
     .answered = 12, .held = true},
    {"failed, active, at the end of the hold", FAILED, 70000, 60000, 0, 12, true, .outcome = VALUE,
     .answered = 12, .held = true},
    {"failed, active, beyond the hold", FAILED, 70000, 60001, 0, 12, true, .is_over = true,
     .outcome = REFUSED, .words = "broken pipe (failing since "},
    {"failed in this millisecond, active, without a hold", FAILED, 10000, 0, 0, 12, true,
     .has_no_hold = true, .outcome = REFUSED, .words = "broken pipe"},
    {"held: the largest value of five minutes", FAILED, 305000, 5000, 0, 12, true, .earlier = 40,
     .earlier_ms = 299999, .outcome = VALUE, .answered = 40, .held = true},
    {"held: not an older one", FAILED, 400000, 5000, 0, 12, true, .earlier = 40,
     .earlier_ms = 300000, .outcome = VALUE, .answered = 12, .held = true},
    {"held: not a smaller one", FAILED, 10000, 5000, 0, 12, true, .earlier = 11, .earlier_ms = 5000,
     .outcome = VALUE, .answered = 12, .held = true},
    {"held at the end: five minutes before the failure", FAILED, 70000, 60000, 0, 12, true,
     .earlier = 40, .earlier_ms = 299000, .outcome = VALUE, .answered = 40, .held = true},
    {"unanswered: the largest value, too", GOOD, 900000, .value = 37, .active = true,
     .out_of_time = true, .waited_ms = 5000, .unanswered_ms = 60000, .earlier = 50,
     .earlier_ms = 240000, .outcome = VALUE, .answered = 50, .held = true},
    {"held: not more than the HPA's replicas are for", FAILED, 10000, 5000, 0, 12, true,
     .earlier = 40, .earlier_ms = 5000, .replicas_value = 15, .replicas_ms = 5000, .outcome = VALUE,
     .answered = 15, .held = true},
    {"held: less than they are for", FAILED, 10000, 5000, 0, 12, true, .replicas_value = 15,
     .replicas_ms = 1000, .outcome = VALUE, .answered = 12, .held = true},
    {"held: read before the failure, they may be more by now", FAILED, 10000, 5000, 0, 12, true,
     .earlier = 40, .earlier_ms = 5000, .replicas_value = 15, .replicas_ms = 5001, .outcome = VALUE,
     .answered = 40, .held = true},
    {"held by others: replicas count that were read since it fails here", FAILED, NEVER_MEASURED,
     5000, .of_peers = 40, .of_peers_ms = 60000, .replicas_value = 15, .replicas_ms = 5000,
     .outcome = VALUE, .answered = 15, .active = true, .held = true},
    {"held by others: and not those of before", FAILED, NEVER_MEASURED, 5000, .of_peers = 40,
     .of_peers_ms = 60000, .replicas_value = 15, .replicas_ms = 5001, .outcome = VALUE,
     .answered = 40, .active = true, .held = true},
    {"measured: the value, whatever the HPA has", GOOD, 100, .value = 37, .active = true,
     .replicas_value = 15, .outcome = VALUE, .answered = 37},
    {"measured: the value, whatever came before", GOOD, 100, .value = 37, .active = true,
     .earlier = 50, .earlier_ms = 1000, .outcome = VALUE, .answered = 37},
    {"failed, inactive, but with values before: never held", FAILED, 100, 0, 0, .earlier = 50,
     .earlier_ms = 1000, .outcome = REFUSED, .words = "broken pipe"},
    {"failed, inactive but not zero: never held", FAILED, 100, 0, 0, 3, .outcome = REFUSED,
     .words = "broken pipe"},
    {"failed, never measured", FAILED, NEVER_MEASURED, .outcome = REFUSED, .words = "broken pipe"},
    {"... but held by another replica", FAILED, NEVER_MEASURED, .active = true, .of_peers = 40,
     .of_peers_ms = 60000, .outcome = VALUE, .answered = 40, .held = true},
    {"... for longer than the hold", FAILED, NEVER_MEASURED, .of_peers = 40, .of_peers_ms = 60001,
     .is_over = true, .outcome = REFUSED, .words = "broken pipe"},
    {"unanswered, never measured, held by another replica", NONE, NEVER_MEASURED, .active = true,
     .out_of_time = true, .waited_ms = 5000, .of_peers = 40, .of_peers_ms = 1000, .outcome = VALUE,
     .answered = 40, .held = true},
    {"measured here: what others held is nothing", FAILED, 10000, 5000, 0, 12, true, .of_peers = 40,
     .of_peers_ms = 1000, .outcome = VALUE, .answered = 12, .held = true},
    {"measured here as inactive: too", FAILED, 10000, 5000, 0, 0, .of_peers = 40,
     .of_peers_ms = 1000, .outcome = REFUSED, .words = "broken pipe"},
    {"failed, and a field is missing", FAILED, 100, 10, 0, 0, true, .lacks_field = true,
     .outcome = REFUSED, .words = "broken pipe"},

    /* Streams wait for measurements at the interval, and demand nothing. */
    {"a stream, within the interval", GOOD, 5000, .value = 1, .active = true, .is_stream = true,
     .outcome = VALUE, .answered = 1},
    {"a stream, within the effective interval", GOOD, 30000, .value = 1, .active = true,
     .is_stream = true, .effective_ms = 30000, .outcome = VALUE, .answered = 1},
    {"a stream, beyond it", GOOD, 5001, .active = true, .is_stream = true, .outcome = WAIT},
    {"a stream of a query of 6 s: interval and two durations", GOOD, 17000, .value = 1,
     .active = true, .duration_ms = 6000, .is_stream = true, .outcome = VALUE, .answered = 1},
    {"a stream of it, beyond them", GOOD, 17001, .active = true, .duration_ms = 6000,
     .is_stream = true, .outcome = WAIT},
    {"a stream, of a query that takes longer than the interval", GOOD, 700, .value = 1,
     .active = true, .interval_ms = 500, .effective_ms = 500, .duration_ms = 700, .is_stream = true,
     .outcome = VALUE, .answered = 1},
    {"a stream of it, beyond the interval and its duration", GOOD, 1201, .active = true,
     .interval_ms = 500, .effective_ms = 500, .duration_ms = 700, .is_stream = true,
     .outcome = WAIT},
    {"a call of it: a measurement sent within the interval", GOOD, 700, .value = 1, .active = true,
     .waited_ms = 200, .interval_ms = 500, .effective_ms = 500, .duration_ms = 700,
     .outcome = VALUE, .answered = 1},
    {"a call of it, beyond it: wait", GOOD, 701, .active = true, .waited_ms = 200,
     .interval_ms = 500, .effective_ms = 500, .duration_ms = 700, .outcome = WAIT,
     .wait_from_ms = 500},
    {"a stream, and a reading whose duration is not known", GOOD, 5000, .value = 1, .active = true,
     .duration_ms = -1, .is_stream = true, .outcome = VALUE, .answered = 1},

    /* Values. */
    {"a field is missing", GOOD, 0, .lacks_field = true, .outcome = REFUSED,
     .words = "statistics are off"},
    {"NaN is never answered", GOOD, 0, .value = NAN, .active = true, .outcome = REFUSED,
     .words = "nan"},
    {"infinity is never answered", GOOD, 0, .value = INFINITY, .active = true, .outcome = REFUSED,
     .words = "inf"},
    {"the largest value", GOOD, 0, .value = 9.2e15, .active = true, .outcome = VALUE,
     .answered = 9.2e15},
    {"KEDA would take more for less than nothing", GOOD, 0, .value = 9.3e15, .active = true,
     .outcome = REFUSED, .words = "9.3e+15: KEDA counts to 9.2e+15"},
    {"below zero is zero", GOOD, 0, .value = -3, .outcome = VALUE, .answered = 0},
};

/* What was answered before: the reading, where it could be evaluated, and a larger value. */
static struct hold held_by(const struct row *row)
{
    struct hold hold = {0};
    int64_t since_ms = row->unanswered_ms > 0 ? row->unanswered_ms : row->failing_ms;
    const struct held other = {.value = row->of_peers, .since_ms = NOW - row->of_peers_ms};
    if (row->of_peers > 0)
        hold_take(&hold, &other, NOW);
    if (row->earlier > 0)
        hold_add(&hold, row->earlier, HOLD_WINDOW_MS, NOW - since_ms - row->earlier_ms);
    if (row->age_ms != NEVER_MEASURED && !row->lacks_field) {
        hold_measured(&hold, row->value, row->active, NOW - row->age_ms, NOW - since_ms);
        hold_add(&hold, row->value, HOLD_WINDOW_MS, NOW - since_ms);
    }
    if (since_ms > 0)
        hold_failed(&hold, NOW - since_ms);
    return hold;
}

static void decide(const struct row *row, struct answer *ret_answer)
{
    char broken[] = "broken pipe";
    char missing[] = "statistics are off";
    const struct answer_rules rules = {
        .interval_ms = row->interval_ms > 0 ? row->interval_ms : 5000,
        .interval_is_set = row->interval_ms > 0,
        .hold_ms = row->has_no_hold ? 0 : 60000,
    };
    const struct answer_call call = {.is_stream = row->is_stream,
                                     .arrived_ms = NOW - row->waited_ms,
                                     .out_of_time = row->out_of_time};
    const struct snapshot snapshot = {
        .known.last_attempt = (int)row->attempt,
        .known.is_measured = row->age_ms != NEVER_MEASURED,
        .known.sent_ms = row->age_ms == NEVER_MEASURED ? INT64_MIN : NOW - row->age_ms,
        .known.duration_ms = row->duration_ms,
        .known.is_outdated = row->is_outdated,
        .known.failed_at_ms = NOW - row->failed_ms,
        .is_retried = row->is_retried,
        .effective_interval_ms = row->effective_ms > 0 ? row->effective_ms : 5000,
        .stuck_for_ms = row->stuck_ms,
        .zero_since_ms = row->zero_ms > 0 ? NOW - row->zero_ms : 0,
        .known.error = {ERROR_UNAVAILABLE, broken},
    };
    _cleanup_(hold_done) struct hold hold = held_by(row);
    const struct evaluation_result evaluated = {
        .is_good = !row->lacks_field,
        .evaluation = {row->value, row->active},
        .error = {ERROR_UNAVAILABLE, missing},
    };
    const struct answer_facts facts = {
        .snapshot = &snapshot,
        .evaluated = &evaluated,
        .rules = &rules,
        .hold = &hold,
        .replicas_value = row->replicas_value,
        .replicas_at_ms = row->replicas_value > 0 ? NOW - row->replicas_ms : 0,
    };
    answer_decide(&facts, &call, NOW, ret_answer);
}

/* Of a value: since when it is held, and how old its reading is. */
static void assert_times(const struct row *row, const struct answer *answer)
{
    int64_t since_ms = row->attempt == FAILED ? row->failing_ms : row->unanswered_ms;
    int64_t age_ms = row->age_ms;
    if (row->age_ms == NEVER_MEASURED)
        since_ms = age_ms = row->of_peers_ms;
    if (row->held && answer->held_since_ms != NOW - since_ms)
        fail_msg("%s: held since %lld", row->name, (long long)answer->held_since_ms);
    if (answer->age_ms != age_ms)
        fail_msg("%s: the reading is %lld ms old", row->name, (long long)answer->age_ms);
}

static void each_row_of_the_table_is_answered_so(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        const struct row *row = &table[i];
        _cleanup_(answer_done) struct answer answer = {0};
        decide(row, &answer);
        if ((int)answer.kind != (int)row->outcome)
            fail_msg("%s: answered %d: %s", row->name, answer.kind, error_text(&answer.error));
        if (row->outcome == VALUE && (answer.value != row->answered || answer.held != row->held ||
                                      answer.active != row->active))
            fail_msg("%s: answered %g", row->name, answer.value);
        if (row->outcome == VALUE)
            assert_times(row, &answer);
        if (answer.hold_is_over != row->is_over)
            fail_msg("%s: the hold is over: %d", row->name, answer.hold_is_over);
        if (row->outcome == REFUSED && strstr(error_text(&answer.error), row->words) == NULL)
            fail_msg("%s: refused with %s", row->name, error_text(&answer.error));
        if (row->outcome == REFUSED)
            assert_int_equal(answer.error.code, ERROR_UNAVAILABLE);
        if (row->outcome == WAIT && !row->is_stream &&
            answer.needed_from_ms != NOW - row->waited_ms - row->wait_from_ms)
            fail_msg("%s: waits for %lld", row->name, (long long)(NOW - answer.needed_from_ms));
    }
}

static void values_have_three_decimals(void **state)
{
    (void)state;
    static const struct {
        double value;
        int64_t milli;
    } cases[] = {
        {0, 0},
        {-3, 0},
        {NAN, 0},
        {INFINITY, 0},
        {1, 1000},
        {0.0004, 0},
        {0.0005, 1},
        {0.0015, 2},
        {2.5, 2500},
        {1.0005, 1000},
        {0.1 + 0.2, 300},
        {12.3456, 12346},
        {1e15, (int64_t)1e18},
        {1e18, INT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_int_equal(answer_milli(cases[i].value), cases[i].milli);
}

/* Also of a history, which keeps floats. */
static void replicas_are_of_thousandths_as_the_hpa_counts(void **state)
{
    (void)state;
    static const struct {
        double value, target, replicas;
    } cases[] = {
        {0, 5, 0},           {37, 5, 8},         {35, 5, 7},
        {2.1, 0.3, 7},       {0.07, 0.01, 7},    {(double)1.2F, 0.4, 3},
        {2.101, 0.3, 8},     {0.0004, 0.001, 0}, {21, 1.4, 15},
        {1e15, 0.001, 1e18},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_true(answer_replicas(cases[i].value, cases[i].target) == cases[i].replicas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_of_the_table_is_answered_so),
        cmocka_unit_test(values_have_three_decimals),
        cmocka_unit_test(replicas_are_of_thousandths_as_the_hpa_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
