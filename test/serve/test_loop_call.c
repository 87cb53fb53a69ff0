#include "serve/services/loop_call.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

/* A server that takes a turn for each wake, on a thread of its own. */
struct server {
    struct loop_calls *loop_calls;
    pthread_t thread;
    atomic_int wakes;
    atomic_bool is_stopping;
};

static void sleep_ms(long wait_ms)
{
    nanosleep(&(struct timespec){.tv_nsec = wait_ms * 1000000}, NULL);
}

static void wake(void *context)
{
    atomic_fetch_add(&((struct server *)context)->wakes, 1);
}

static void *serve(void *context)
{
    struct server *server = context;
    while (!atomic_load(&server->is_stopping))
        if (atomic_exchange(&server->wakes, 0) > 0)
            loop_calls_turn(server->loop_calls);
        else
            sleep_ms(1);
    return NULL;
}

static void add_one(void *context)
{
    (*(int *)context)++;
}

static void add_one_slowly(void *context)
{
    sleep_ms(600);
    add_one(context);
}

static void *run_many(void *context)
{
    struct server *server = context;
    static int count; /* the turn guards it */
    for (int i = 0; i < 200; i++)
        assert_true(loop_calls_run(server->loop_calls, add_one, &count, 10000));
    return &count;
}

static void calls_of_many_threads_run_one_at_a_time(void **state)
{
    (void)state;
    struct server server = {.loop_calls = loop_calls_new(wake, &server)};
    pthread_t callers[4];
    void *count = NULL;
    pthread_create(&server.thread, NULL, serve, &server);
    for (int i = 0; i < 4; i++)
        pthread_create(&callers[i], NULL, run_many, &server);
    for (int i = 0; i < 4; i++)
        pthread_join(callers[i], &count);
    assert_int_equal(*(int *)count, 800);
    atomic_store(&server.is_stopping, true);
    pthread_join(server.thread, NULL);
    loop_calls_free(server.loop_calls);
}

static void a_call_that_is_not_started_in_time_is_withdrawn(void **state)
{
    (void)state;
    struct server server = {.loop_calls = loop_calls_new(wake, &server)};
    int count = 0;
    assert_false(loop_calls_run(server.loop_calls, add_one, &count, 20));
    loop_calls_turn(server.loop_calls);
    assert_int_equal(count, 0);
    loop_calls_free(server.loop_calls);
}

static void a_call_that_has_begun_is_waited_for(void **state)
{
    (void)state;
    struct server server = {.loop_calls = loop_calls_new(wake, &server)};
    int count = 0;
    pthread_create(&server.thread, NULL, serve, &server);
    assert_true(loop_calls_run(server.loop_calls, add_one_slowly, &count, 300));
    assert_int_equal(count, 1);
    atomic_store(&server.is_stopping, true);
    pthread_join(server.thread, NULL);
    loop_calls_free(server.loop_calls);
}

static void *wait_long(void *server)
{
    int count = 0;
    return (void *)(uintptr_t)loop_calls_run(((struct server *)server)->loop_calls, add_one, &count,
                                             600000);
}

static void nobody_waits_for_a_loop_that_has_ended(void **state)
{
    (void)state;
    struct server server = {.loop_calls = loop_calls_new(wake, &server)};
    pthread_t caller;
    void *was_run = NULL;
    pthread_create(&caller, NULL, wait_long, &server);
    while (atomic_load(&server.wakes) == 0)
        sleep_ms(1);
    loop_calls_end(server.loop_calls);
    pthread_join(caller, &was_run);
    assert_null(was_run);
    assert_null(wait_long(&server));
    loop_calls_free(server.loop_calls);
}

/* A call, and another one that a second thread has run while it runs. */
struct two_calls {
    struct server *server;
    pthread_t first;
    pthread_t second;
    int count;
};

static void *run_second(void *context)
{
    struct two_calls *calls = context;
    return (void *)(uintptr_t)loop_calls_run(calls->server->loop_calls, add_one, &calls->count,
                                             600000);
}

static void await_wake(struct server *server)
{
    while (atomic_exchange(&server->wakes, 0) == 0)
        sleep_ms(1);
}

static void begin_second(void *context)
{
    struct two_calls *calls = context;
    pthread_create(&calls->second, NULL, run_second, calls);
    await_wake(calls->server); /* it waits */
}

static void *run_first(void *context)
{
    struct two_calls *calls = context;
    return (void *)(uintptr_t)loop_calls_run(calls->server->loop_calls, begin_second, calls,
                                             600000);
}

static void a_call_that_comes_while_another_runs_waits_for_the_next_turn(void **state)
{
    (void)state;
    struct server server = {.loop_calls = loop_calls_new(wake, &server)};
    struct two_calls calls = {.server = &server};
    void *was_run[2] = {NULL};
    pthread_create(&calls.first, NULL, run_first, &calls);
    await_wake(&server);
    loop_calls_turn(server.loop_calls);
    assert_int_equal(calls.count, 0);
    loop_calls_turn(server.loop_calls);
    assert_int_equal(calls.count, 1);
    pthread_join(calls.first, &was_run[0]);
    pthread_join(calls.second, &was_run[1]);
    assert_non_null(was_run[0]);
    assert_non_null(was_run[1]);
    loop_calls_free(server.loop_calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_of_many_threads_run_one_at_a_time),
        cmocka_unit_test(a_call_that_is_not_started_in_time_is_withdrawn),
        cmocka_unit_test(a_call_that_has_begun_is_waited_for),
        cmocka_unit_test(a_call_that_comes_while_another_runs_waits_for_the_next_turn),
        cmocka_unit_test(nobody_waits_for_a_loop_that_has_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
