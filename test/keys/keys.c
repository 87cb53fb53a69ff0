#include "keys/keys.h"

#include "base/memory.h"
#include "base/text.h"
#include "keys/attempt.h"
#include "keys/bounds.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct place *const metadata = &places[IN_METADATA];
static const struct place *const connections_file = &places[IN_CONNECTIONS];

static void run_case(const struct keys *keys, const struct key_case *one, const struct place *place)
{
    _cleanup_(attempt_done) struct attempt attempt = {0};
    attempt_make(&attempt, keys, one->pairs, place);
    if (one->verdict == KEY_TAKEN)
        assert_taken(&attempt, one->pairs[1]);
    else
        assert_refused(&attempt, one->pairs[1], one->mistake);
}

static const struct option *row_of(const struct keys *keys, const struct key_case *one)
{
    return option_find(keys->scaler->options, one->pairs[0], OPTION_FROM_TRIGGER);
}

/* Elsewhere what is empty counts as absent; an empty file is a mistake of its own. */
static void run_in_place(const struct keys *keys, const struct key_case *one,
                         const struct place *place)
{
    bool is_empty_file = place == &places[IN_FILE] && text_is_blank(one->pairs[1]);
    const struct key_case empty = REFUSES("is empty", one->pairs[0], one->pairs[1]);
    if (can_stand(row_of(keys, one), place))
        run_case(keys, is_empty_file ? &empty : one, place);
}

static void every_case_holds_wherever_the_key_comes_from(void **state)
{
    const struct keys *keys = *state;
    for (const struct key_case *one = keys->cases; one->verdict != 0; one++) {
        if (row_of(keys, one) == NULL)
            fail_msg("there is no key %s", one->pairs[0]);
        for (size_t i = 0; one->verdict != KEY_DEFAULT && i < PLACES; i++)
            run_in_place(keys, one, &places[i]);
    }
}

/* The metadata under every name, then the variables; what is empty counts as absent. */
static void keys_are_looked_up_in_the_order_of_keda(void **state)
{
    const struct keys *keys = *state;
    for (const struct key_case *one = keys->cases; one->verdict != 0; one++) {
        const struct option *row = row_of(keys, one);
        if (one->verdict != KEY_TAKEN || text_is_blank(one->pairs[1]) ||
            row->flags & OPTION_FILE_ONLY)
            continue;
        _cleanup_(memory_free) char *spaced = text_format(" \t%s\n", one->pairs[1]);
        _cleanup_(memory_free) char *variable = text_format("%sFromEnv", row->key);
        const char *pairs[2 * MAX_PAIRS] = {row->key, spaced};
        size_t count = 2;
        for (const char *const *other = one->pairs + 2; *other != NULL; other++)
            pairs[count++] = *other;
        pairs[count++] = variable;
        pairs[count++] = "not this one";
        if (row->alias != NULL) {
            pairs[count++] = row->alias;
            pairs[count++] = "not this one";
        }
        _cleanup_(attempt_done) struct attempt attempt = {0};
        attempt_make(&attempt, keys, pairs, metadata);
        assert_taken(&attempt, one->pairs[1]);
    }
}

static void an_absent_key_is_its_default(void **state)
{
    const struct keys *keys = *state;
    for (const struct option *row = keys->scaler->options; row->key != NULL; row++) {
        const char *expected = NULL;
        for (const struct key_case *one = keys->cases; one->verdict != 0; one++)
            if (one->verdict == KEY_DEFAULT && row_of(keys, one) == row)
                expected = one->pairs[1];
        _cleanup_(attempt_done) struct attempt attempt = {0};
        attempt_make(&attempt, keys, PAIRS(row->key, ""), metadata);
        const char *found = attempt_text(&attempt, row);
        if (!(row->flags & OPTION_REQUIRED) && !text_equal(found, expected))
            fail_msg("%s is %s where it is absent: no such DEFAULT", row->key, found);
    }
}

static void a_required_key_is_missed(void **state)
{
    const struct keys *keys = *state;
    for (const struct option *row = keys->scaler->options; row->key != NULL; row++) {
        _cleanup_(memory_free) char *mistake = text_format("%s is missing", row->key);
        if (!(row->flags & OPTION_REQUIRED))
            continue;
        run_case(keys, &(struct key_case)REFUSES(mistake, row->key, " \u00a0"), metadata);
        if (row->scope == OPTION_CONNECTION)
            run_case(keys, &(struct key_case)REFUSES(mistake, row->key, "\u00a0"),
                     connections_file);
    }
}

/* What no key of the type takes, as in KEDA's typed configuration. */
static const struct {
    enum option_type type;
    const char *values[10];
    const char *mistake;
} never[] = {
    {OPTION_BOOL, {"yes", "on", "tRue", "2", "enable"}, "must be true or false"},
    {OPTION_INT,
     {"010", "+10", "1e3", "10.0", "0x10", "1_000", "many", "9223372036854775808", "1 0"},
     "must be a whole number"},
    {OPTION_FLOAT,
     {".5", "5.", "+1", "NaN", "Inf", "0100", "1,5", "0x10", "1e400"},
     "must be a number"},
    {OPTION_DURATION, {"0.5", "10d", "-1", "-5s", "s", "1.2.3s", "1s 2s"}, "must be a duration"},
    {OPTION_CHOICE, {"neither"}, "must be"},
    {OPTION_RANGES, {"1-", "-1", "5-3", "1,,2", "a", "01"}, "must be numbers and ranges"},
};

static void values_of_another_type_are_refused(void **state)
{
    const struct keys *keys = *state;
    for (const struct option *row = keys->scaler->options; row->key != NULL; row++)
        for (size_t i = 0; i < ARRAY_LENGTH(never); i++)
            for (size_t j = 0; row->type == never[i].type && never[i].values[j] != NULL; j++)
                for (size_t k = 0; k < PLACES; k++)
                    if (can_stand(row, &places[k]))
                        run_case(keys,
                                 &(struct key_case)REFUSES(never[i].mistake, row->key,
                                                           never[i].values[j]),
                                 &places[k]);
}

static void unsupported_keys_name_the_alternative(void **state)
{
    const struct keys *keys = *state;
    for (const struct option *row = keys->scaler->options; row->key != NULL; row++)
        for (size_t i = 0; row->type == OPTION_UNSUPPORTED && i < PLACES; i++) {
            _cleanup_(memory_free) char *mistake =
                text_format("%s is not supported here: %s", row->key, row->doc);
            if (can_stand(row, &places[i]))
                run_case(keys, &(struct key_case)REFUSES(mistake, row->key, "sesame"), &places[i]);
        }
}

static void a_key_of_the_trigger_is_refused_in_the_connections_file(void **state)
{
    const struct keys *keys = *state;
    for (const struct option *row = keys->scaler->options; row->key != NULL; row++)
        if (row->scope != OPTION_CONNECTION)
            run_case(
                keys,
                &(struct key_case)REFUSES("belongs in the trigger", row->key,
                                          row->default_value == NULL ? "1" : row->default_value),
                connections_file);
}

static void a_key_of_the_connections_file_is_refused_in_a_trigger(void **state)
{
    const struct keys *keys = *state;
    for (const struct key_case *one = keys->cases; one->verdict != 0; one++)
        if (one->verdict == KEY_TAKEN && row_of(keys, one)->flags & OPTION_FILE_ONLY)
            run_case(keys,
                     &(struct key_case)REFUSES("belongs in the connections file", one->pairs[0],
                                               one->pairs[1]),
                     metadata);
}

static void keys_that_keda_itself_reads_are_passed_over(void **state)
{
    const struct keys *keys = *state;
    for (const struct option *row = keys->scaler->options; row->key != NULL; row++)
        if (row->flags & OPTION_ALIAS_IN_FILE) {
            _cleanup_(attempt_done) struct attempt attempt = {0};
            attempt_make(&attempt, keys, PAIRS(row->key, "", row->alias, "true"), metadata);
            assert_taken(&attempt, "");
        }
}

static void a_port_is_behind_its_host(void **state)
{
    const struct keys *keys = *state;
    const struct option *before = NULL;
    for (const struct option *row = keys->scaler->options; row->key != NULL; before = row++) {
        bool is_of_host = before != NULL && before->flags & (OPTION_HOST | OPTION_HOSTS);
        if (row->flags & OPTION_PORT && !is_of_host)
            fail_msg("%s is the port of no host", row->key);
    }
}

/* Without its flag one that is the key of an API would be shown. */
static void the_name_of_a_user_is_marked(void **state)
{
    const struct keys *keys = *state;
    for (const struct option *row = keys->scaler->options; row->key != NULL; row++) {
        bool is_named_so = text_ends_with(row->key, "sername") ||
                           text_ends_with(row->key, "serName") || text_equal(row->key, "user");
        bool is_marked = row->flags & OPTION_USER;
        if (row->type != OPTION_UNSUPPORTED && is_marked != is_named_so)
            fail_msg("%s has OPTION_USER, or a name of a user, but not both", row->key);
    }
}

static bool has_case(const struct keys *keys, const struct option *row, enum key_verdict verdict,
                     const char *value)
{
    for (const struct key_case *one = keys->cases; one->verdict != 0; one++)
        if (one->verdict == verdict && row_of(keys, one) == row &&
            (value == NULL || text_equal(one->pairs[1], value)))
            return true;
    return false;
}

/* Is there a refused case beyond the limit: below it, or above? */
static bool has_case_beyond(const struct keys *keys, const struct option *row, double limit,
                            int side)
{
    for (const struct key_case *one = keys->cases; one->verdict != 0; one++)
        if (one->verdict == KEY_REFUSED && row_of(keys, one) == row &&
            side * strtod(one->pairs[1], NULL) > side * limit)
            return true;
    return false;
}

static void assert_limit(const struct keys *keys, const struct option *row, double limit, int side)
{
    if (isinf(limit))
        return;
    bool has_unit = row->type == OPTION_DURATION && !(row->flags & OPTION_BARE_MS);
    _cleanup_(memory_free) char *value = text_format("%.15g%s", limit, has_unit ? "ms" : "");
    if (!has_case(keys, row, KEY_TAKEN, value))
        fail_msg("%s has no case that takes its limit %s", row->key, value);
    if (!has_case_beyond(keys, row, limit, side))
        fail_msg("%s has no case that refuses what is beyond %s", row->key, value);
}

static void every_key_every_choice_and_every_limit_has_its_cases(void **state)
{
    const struct keys *keys = *state;
    for (const struct option *row = keys->scaler->options; row->key != NULL; row++) {
        if (row->type != OPTION_UNSUPPORTED && !has_case(keys, row, KEY_TAKEN, NULL))
            fail_msg("%s has no case that takes it", row->key);
        for (size_t i = 0; row->type == OPTION_CHOICE && row->choices[i] != NULL; i++)
            if (!has_case(keys, row, KEY_TAKEN, row->choices[i]) &&
                !has_case(keys, row, KEY_REFUSED, row->choices[i]))
                fail_msg("%s has no case of its choice %s", row->key, row->choices[i]);
        if (row->limits.min == 0 && row->limits.max == 0)
            continue;
        assert_limit(keys, row, row->limits.min, -1);
        assert_limit(keys, row, row->limits.max, 1);
    }
}

static void no_value_takes_more_memory_or_time_than_a_trigger_may(void **state)
{
    bounds_check(*state);
}

static size_t count_cases(const struct key_case *cases)
{
    size_t count = 0;
    while (cases != NULL && cases[count].verdict != 0)
        count++;
    return count;
}

int keys_test(const struct keys *keys)
{
    size_t own = count_cases(keys->cases);
    size_t shared = count_cases(keys->shared);
    _cleanup_(memory_free) struct key_case *cases = memory_array(own + shared + 1, sizeof(*cases));
    memcpy(cases, keys->cases, own * sizeof(*cases));
    if (shared > 0)
        memcpy(cases + own, keys->shared, shared * sizeof(*cases));
    struct keys all = {keys->scaler, keys->usual, cases, NULL};
    void *state = &all;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(every_case_holds_wherever_the_key_comes_from, state),
        cmocka_unit_test_prestate(keys_are_looked_up_in_the_order_of_keda, state),
        cmocka_unit_test_prestate(an_absent_key_is_its_default, state),
        cmocka_unit_test_prestate(a_required_key_is_missed, state),
        cmocka_unit_test_prestate(values_of_another_type_are_refused, state),
        cmocka_unit_test_prestate(unsupported_keys_name_the_alternative, state),
        cmocka_unit_test_prestate(a_key_of_the_trigger_is_refused_in_the_connections_file, state),
        cmocka_unit_test_prestate(a_key_of_the_connections_file_is_refused_in_a_trigger, state),
        cmocka_unit_test_prestate(keys_that_keda_itself_reads_are_passed_over, state),
        cmocka_unit_test_prestate(a_port_is_behind_its_host, state),
        cmocka_unit_test_prestate(the_name_of_a_user_is_marked, state),
        cmocka_unit_test_prestate(every_key_every_choice_and_every_limit_has_its_cases, state),
        cmocka_unit_test_prestate(no_value_takes_more_memory_or_time_than_a_trigger_may, state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
