/* What is done with the list of a build's scalers. */
#include "base/memory.h"
#include "measure/scaler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static int prepared;

static void prepare(void)
{
    prepared++;
}

static const struct scaler quiet = {.name = "quiet"};
static const struct scaler one = {.name = "one", .prepare = prepare};
static const struct scaler other = {.name = "other", .prepare = prepare};

static void each_scaler_that_has_to_be_is_prepared(void **state)
{
    (void)state;
    const struct scaler *const scalers[] = {&one, &quiet, &other, NULL};
    prepared = 0;
    scalers_prepare(scalers);
    assert_int_equal(prepared, 2);
}

static void the_scalers_of_a_build_are_listed_where_one_is_unknown(void **state)
{
    (void)state;
    const struct scaler *const scalers[] = {&one, &quiet, NULL};
    const struct scaler *const none[] = {NULL};
    _cleanup_(error_done) struct error mistakes = {0};
    _cleanup_(error_done) struct error without = {0};
    scaler_add_unknown(scalers, "third", &mistakes);
    assert_non_null(strstr(error_text(&mistakes), "\"third\" is unknown: there are: one, quiet"));
    scaler_add_unknown(none, "third", &without);
    assert_non_null(strstr(error_text(&without), "there are: none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_scaler_that_has_to_be_is_prepared),
        cmocka_unit_test(the_scalers_of_a_build_are_listed_where_one_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
