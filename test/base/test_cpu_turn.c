#include "base/clock.h"
#include "base/cpu_turn.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

enum { SHORT_US = 2000, TRIES = 20 };

static atomic_int working;
static atomic_int most;
static atomic_int order;

struct worker {
    pthread_t thread;
    uint64_t tenant;
    int times;
    int asked; /* so many had had their first turn when it wanted one */
    int order; /* of its first turn among all, from 1 */
};

static void work_once(void)
{
    int now = ++working;
    int former = most;
    while (former < now && !atomic_compare_exchange_weak(&most, &former, now))
        ;
    usleep(SHORT_US);
    working--;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    worker->asked = order;
    for (int i = 0; i < worker->times; i++) {
        cpu_turn_begin(worker->tenant);
        cpu_turn_resume(); /* it has one */
        if (worker->order == 0)
            worker->order = ++order;
        work_once();
        cpu_turn_pause();
        cpu_turn_pause();
        cpu_turn_resume();
        work_once();
        cpu_turn_end();
        cpu_turn_resume(); /* of none */
    }
    return NULL;
}

static void begin(struct worker *worker, uint64_t tenant, int times)
{
    *worker = (struct worker){.tenant = tenant, .times = times};
    assert_int_equal(pthread_create(&worker->thread, NULL, work, worker), 0);
}

/* So many of as many tenants. Where a machine with other work leaves a thread no processor for
 * 10 ms, its turn ends before it computes, and then there are two: so it is in one of a few tries.
 * Without turns there are several in each. */
static void assert_one_at_a_time(size_t count, int times)
{
    struct worker workers[8];
    most = 0;
    for (int tries = 0; most != 1 && tries < TRIES; tries++) {
        most = 0;
        for (size_t i = 0; i < count; i++)
            begin(&workers[i], i, times);
        for (size_t i = 0; i < count; i++)
            pthread_join(workers[i].thread, NULL);
    }
    assert_int_equal(most, 1);
}

static void one_computes_at_a_time(void **state)
{
    (void)state;
    assert_one_at_a_time(8, 5);
}

/* Ten of one tenant wait, and then one of another comes. */
static void one_tenant_after_the_other(void **state)
{
    (void)state;
    enum { GREEDY = 10 };
    struct worker greedy[GREEDY];
    struct worker modest;
    cpu_turn_begin(0);
    order = 0;
    for (size_t i = 0; i < GREEDY; i++)
        begin(&greedy[i], 1, 1);
    usleep(10000);
    begin(&modest, 2, 1);
    cpu_turn_end();
    pthread_join(modest.thread, NULL);
    for (size_t i = 0; i < GREEDY; i++)
        pthread_join(greedy[i].thread, NULL);
    assert_in_range(modest.order - modest.asked, 1, 4);
}

struct busy {
    pthread_t thread;
    uint64_t tenant;
    int64_t until_ms;
    int turns;
};

static void *be_busy(void *argument)
{
    struct busy *busy = argument;
    cpu_turn_begin(busy->tenant);
    while (clock_now_ms() < busy->until_ms) {
        busy->turns++;
        usleep(SHORT_US);
        cpu_turn_pause();
        cpu_turn_resume();
    }
    cpu_turn_end();
    return NULL;
}

/* Two of other tenants always want a turn; in the time there are hundreds. */
static void nobody_starves(void **state)
{
    (void)state;
    struct busy all[] = {{.tenant = 1}, {.tenant = 2}, {.tenant = 3}, {.tenant = 3}};
    for (size_t i = 0; i < 4; i++) {
        all[i].until_ms = clock_now_ms() + 1000;
        assert_int_equal(pthread_create(&all[i].thread, NULL, be_busy, &all[i]), 0);
    }
    for (size_t i = 0; i < 4; i++)
        pthread_join(all[i].thread, NULL);
    for (size_t i = 0; i < 4; i++)
        assert_true(all[i].turns >= 8);
}

static void *hold_until_told(void *told)
{
    cpu_turn_begin(0);
    while (!atomic_load((atomic_bool *)told))
        usleep(1000);
    cpu_turn_end();
    return NULL;
}

/* Others hold theirs, and wait for what may never come. */
static void a_turn_ends_whatever_its_thread_does(void **state)
{
    (void)state;
    enum { HOLDERS = 5 };
    pthread_t holders[HOLDERS];
    atomic_bool told = false;
    for (size_t i = 0; i < HOLDERS; i++)
        assert_int_equal(pthread_create(&holders[i], NULL, hold_until_told, &told), 0);
    for (int i = 0; i < 3; i++) {
        cpu_turn_begin(1);
        cpu_turn_end();
    }
    usleep(200000); /* all have had one, and lost it */
    assert_one_at_a_time(4, 2);
    told = true; /* what they end now is not theirs any more */
    for (size_t i = 0; i < HOLDERS; i++)
        pthread_join(holders[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_computes_at_a_time),
        cmocka_unit_test(one_tenant_after_the_other),
        cmocka_unit_test(nobody_starves),
        cmocka_unit_test(a_turn_ends_whatever_its_thread_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
