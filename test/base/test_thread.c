#include "base/system/thread.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void *read_mask(void *context)
{
    pthread_sigmask(SIG_BLOCK, NULL, context);
    return NULL;
}

static void signals_come_to_who_began_the_thread(void **state)
{
    (void)state;
    pthread_t thread;
    sigset_t of_thread;
    sigset_t own;
    assert_true(thread_begin_without_signals(&thread, read_mask, &of_thread));
    assert_int_equal(pthread_join(thread, NULL), 0);
    read_mask(&own);
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        assert_int_equal(sigismember(&of_thread, signals[i]), 1);
        assert_int_equal(sigismember(&own, signals[i]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(signals_come_to_who_began_the_thread)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
