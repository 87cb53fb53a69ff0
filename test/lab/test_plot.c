#include "base/memory.h"
#include "lab/plot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static char *drawn(size_t values)
{
    static const double some[] = {1, 3, 2};
    const struct plot_panel panel = {
        .title = "replicas", .series = {{"shop/orders", some}}, .series_count = 1};
    const struct plot plot = {.title = "backlog rehearse",
                              .values = values,
                              .value_seconds = 60,
                              .panels = &panel,
                              .panel_count = 1};
    struct text svg = {0};
    plot_draw(&plot, &svg);
    return text_take(&svg);
}

static void a_series_is_a_curve_over_its_time(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *svg = drawn(3);
    assert_non_null(strstr(svg, "<polyline"));
    assert_non_null(strstr(svg, ">3 min<"));
    assert_null(strstr(svg, ">4 min<"));
}

/* A rehearsal that ends before its first line. */
static void a_plot_of_nothing_has_no_curve_and_no_time(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *svg = drawn(0);
    assert_null(strstr(svg, "<polyline"));
    assert_null(strstr(svg, " min<"));
    assert_non_null(strstr(svg, ">replicas<"));
    assert_non_null(strstr(svg, "</svg>"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_series_is_a_curve_over_its_time),
        cmocka_unit_test(a_plot_of_nothing_has_no_curve_and_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
