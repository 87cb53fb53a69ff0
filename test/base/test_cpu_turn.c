#include "base/clock.h"
#include "base/cpu_turn.h"

#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

enum { SHORT_US = 2000, MOMENT_US = 20000, TRIES = 5 };

static atomic_int working;
static atomic_int most;
static atomic_int order;
static atomic_int asking; /* so many wanted a turn */

/* ---- a clock that can stand still: no turn ends because its thread has no processor ---- */

static atomic_bool stands;
static int64_t stood_ms;

int64_t __wrap_clock_now_ms(void);
int64_t __real_clock_now_ms(void);
int __wrap_clock_left_ms(int64_t deadline_ms, int max_ms);
int __real_clock_left_ms(int64_t deadline_ms, int max_ms);

int64_t __wrap_clock_now_ms(void)
{
    return stands ? stood_ms : __real_clock_now_ms();
}

int __wrap_clock_left_ms(int64_t deadline_ms, int max_ms)
{
    return stands ? max_ms : __real_clock_left_ms(deadline_ms, max_ms);
}

static void stop_clock(void)
{
    stood_ms = __real_clock_now_ms();
    stands = true;
}

static void start_clock(void)
{
    stands = false;
}

/* ---- turns ---- */

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
    asking++;
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

/* So many of as many tenants. */
static void assert_one_at_a_time(size_t count, int times)
{
    struct worker workers[8];
    most = 0;
    stop_clock();
    for (size_t i = 0; i < count; i++)
        begin(&workers[i], i, times);
    for (size_t i = 0; i < count; i++)
        pthread_join(workers[i].thread, NULL);
    start_clock();
    assert_int_equal(most, 1);
}

static void one_computes_at_a_time(void **state)
{
    (void)state;
    assert_one_at_a_time(8, 5);
}

static void wait_for_asking(int count)
{
    while (asking < count)
        usleep(1000);
    usleep(MOMENT_US); /* now they wait */
}

/* Ten of one tenant wait, and then one of another comes. How many have their turn before it? */
static int turns_before_another_tenant(void)
{
    enum { GREEDY = 10 };
    struct worker greedy[GREEDY];
    struct worker modest;
    cpu_turn_begin(0);
    order = asking = 0;
    for (size_t i = 0; i < GREEDY; i++)
        begin(&greedy[i], 1, 1);
    wait_for_asking(GREEDY);
    begin(&modest, 2, 1);
    wait_for_asking(GREEDY + 1);
    cpu_turn_end();
    pthread_join(modest.thread, NULL);
    for (size_t i = 0; i < GREEDY; i++)
        pthread_join(greedy[i].thread, NULL);
    return modest.order - modest.asked - 1;
}

/* On a busy machine one that asks may not wait yet: so it is in one of a few tries. */
static void one_tenant_after_the_other(void **state)
{
    (void)state;
    int before = INT_MAX;
    stop_clock();
    for (int tries = 0; before > 3 && tries < TRIES; tries++)
        before = turns_before_another_tenant();
    start_clock();
    assert_in_range(before, 0, 3);
}

struct busy {
    pthread_t thread;
    uint64_t tenant;
    atomic_int turns;
};

static atomic_bool is_enough;

static void *be_busy(void *argument)
{
    struct busy *busy = argument;
    cpu_turn_begin(busy->tenant);
    while (!is_enough) {
        busy->turns++;
        usleep(SHORT_US);
        cpu_turn_pause();
        cpu_turn_resume();
    }
    cpu_turn_end();
    return NULL;
}

/* Two of other tenants always want a turn; while each has a few there are at most hundreds. */
static void nobody_starves(void **state)
{
    (void)state;
    enum { FEW = 8, HUNDREDS = 1000 };
    struct busy all[] = {{.tenant = 1}, {.tenant = 2}, {.tenant = 3}, {.tenant = 3}};
    int fewest = 0;
    is_enough = false;
    stop_clock();
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&all[i].thread, NULL, be_busy, &all[i]), 0);
    for (int sum = 0; fewest < FEW && sum < HUNDREDS;) {
        usleep(SHORT_US);
        fewest = INT_MAX;
        sum = 0;
        for (size_t i = 0; i < 4; i++) {
            int turns = all[i].turns;
            fewest = turns < fewest ? turns : fewest;
            sum += turns;
        }
    }
    is_enough = true;
    for (size_t i = 0; i < 4; i++)
        pthread_join(all[i].thread, NULL);
    start_clock();
    assert_true(fewest >= FEW);
}

static atomic_int holding;

static void *hold_until_told(void *told)
{
    cpu_turn_begin(0);
    holding++;
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
    while (holding < HOLDERS)
        usleep(1000);
    cpu_turn_begin(1); /* the last of them loses it, too */
    cpu_turn_end();
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
