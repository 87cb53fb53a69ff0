#include "base/memory.h"
#include "base/quantity.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void a_quantity_is_read_as_kubernetes_does(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double number;
    } rows[] = {
        {"0", 0},        {"64", 64},       {"-2.5", -2.5},       {"+3", 3},
        {".5", 0.5},     {"1.", 1},        {"007", 7},           {"0.3k", 300},
        {"250m", 0.25},  {"3u", 3e-6},     {"12n", 12e-9},       {"1k", 1e3},
        {"2M", 2e6},     {"3G", 3e9},      {"4T", 4e12},         {"5P", 5e15},
        {"1E", 1e18},    {"1Ki", 1024},    {"1.5Mi", 1572864},   {"2Gi", 0x1p31},
        {"1Ti", 0x1p40}, {"1Pi", 0x1p50},  {"1Ei", 0x1p60},      {"1e3", 1e3},
        {"1E3", 1e3},    {"12e-3", 0.012}, {"-1.5e+3", -1500.0}, {"0e5", 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        double number = NAN;
        if (!quantity_parse(rows[i].text, &number) || number != rows[i].number)
            fail_msg("%s: %g", rows[i].text, number);
    }
}

/* A text without a digit is none, and never 0. */
static void what_is_no_quantity_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",     " ",   "1 ",   " 1",   "k",   "-",     "+",     ".",    "-.",      "e5",    "Ki",
        "1K",   "1ki", "1Kii", "1Ki5", "1e",  "1e+",   "1e1.",  "1e5x", "1e10000", "1e400", "NaN",
        "+Inf", "inf", "--1",  "+-1",  "1,5", "1_000", "1.2.3", "true", "null",    "0x10",  "five",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        double number = 7;
        if (quantity_parse(texts[i], &number) || number != 7)
            fail_msg("%s: %g", texts[i], number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quantity_is_read_as_kubernetes_does),
        cmocka_unit_test(what_is_no_quantity_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
