/* Handing connections over to a loop that takes no turn. */
#include "daemon/hand_over.h"

#include "base/clock.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void wake_nobody(void *context)
{
    (void)context;
}

/* The main thread waits for it, which has the watchdog to look after. */
static void a_loop_that_stands_still_holds_up_its_watchdog_for_a_second(void **state)
{
    (void)state;
    struct loop_calls *loop_calls = loop_calls_new(wake_nobody, NULL);
    const struct hand_over to = {loop_calls, NULL};
    int64_t began_ms = clock_now_ms();
    assert_false(hand_over_connections(&to, NULL));
    assert_in_range(clock_now_ms() - began_ms, 500, 5000);
    loop_calls_free(loop_calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_that_stands_still_holds_up_its_watchdog_for_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
