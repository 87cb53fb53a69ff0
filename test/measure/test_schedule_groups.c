/* Whose job is sent when: groups have their turns. */
#include "measure/schedule_fixture.h"

/* One group's many jobs, all wanted long before the other's one. */
static void one_groups_jobs_do_not_wait_for_anothers_thousands(void **state)
{
    (void)state;
    BENCH(4, 1);
    for (int i = 0; i < JOBS - 1; i++) {
        schedule_join(schedule, &jobs[i], 1);
        schedule_demand(schedule, &jobs[i], i, i);
    }
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(schedule_take(schedule, 100), &jobs[i]);
    schedule_join(schedule, &jobs[JOBS - 1], 2);
    schedule_demand(schedule, &jobs[JOBS - 1], 200, 200);
    assert_null(schedule_take(schedule, 200));
    schedule_end(schedule, &jobs[0], JOB_END_ANSWERED, 300);
    assert_ptr_equal(schedule_take(schedule, 300), &jobs[JOBS - 1]);
}

/* With one place neither has one in flight when the next is taken. */
static void groups_take_turns_for_one_place(void **state)
{
    (void)state;
    BENCH(1, 1);
    for (int i = 0; i < 10; i++) {
        schedule_join(schedule, &jobs[i], i < 8);
        schedule_demand(schedule, &jobs[i], 0, i < 8 ? 0 : 10);
    }
    int position[10];
    for (int i = 0; i < 10; i++) {
        struct job *job = schedule_take(schedule, 20);
        position[job - jobs] = i;
        schedule_end(schedule, job, JOB_END_ANSWERED, 20);
    }
    assert_true(position[8] < 2 && position[9] < 4);
}

static void slow_jobs_of_groups_take_turns_too(void **state)
{
    (void)state;
    BENCH(2, 1);
    for (int i = 0; i < 9; i++) {
        schedule_join(schedule, &jobs[i], i == 8);
        int64_t began_ms = (int64_t)i * 10000;
        bench_measure(schedule, &jobs[i], began_ms, began_ms + SCHEDULE_SLOW_MS);
    }
    for (int i = 0; i < 9; i++)
        schedule_demand(schedule, &jobs[i], 200000 + i, 200000 + i);
    const struct job *first = schedule_take(schedule, 200100);
    const struct job *second = schedule_take(schedule, 200100);
    assert_true(first == &jobs[8] || second == &jobs[8]);
}

static void new_jobs_leave_half_of_the_places_to_known_ones_with_callers(void **state)
{
    (void)state;
    BENCH(4, 1);
    bench_measure(schedule, &jobs[60], 0, 10);
    bench_measure(schedule, &jobs[61], 20, 30);
    for (int i = 0; i < 10; i++)
        schedule_demand(schedule, &jobs[i], 1000, 1000);
    schedule_demand(schedule, &jobs[60], 2000, 2000);
    schedule_demand(schedule, &jobs[61], 2000, 2000);
    int known = 0;
    for (int i = 0; i < 4; i++)
        known += schedule_take(schedule, 2000)->duration_ms >= 0;
    assert_int_equal(known, 2);
    assert_null(schedule_take(schedule, 2000));
    schedule_end(schedule, &jobs[60], JOB_END_ANSWERED, 2010);
    assert_non_null(schedule_take(schedule, 2010)); /* no known one waits */
}

static void measure_once_more(struct schedule *schedule, struct job *job, int64_t now_ms)
{
    schedule_end(schedule, job, JOB_END_ANSWERED, now_ms);
    schedule_demand(schedule, job, now_ms, now_ms);
}

/* Others always have a job that is wanted and none in flight. */
static void a_group_with_a_job_that_hangs_has_its_turns_for_the_others(void **state)
{
    (void)state;
    BENCH(2, 1);
    schedule_join(schedule, &jobs[0], 1);
    schedule_join(schedule, &jobs[1], 1);
    schedule_demand(schedule, &jobs[0], 0, 0);
    assert_ptr_equal(schedule_take(schedule, 0), &jobs[0]);
    for (int i = 2; i < 8; i++) {
        schedule_join(schedule, &jobs[i], (uint64_t)i);
        schedule_demand(schedule, &jobs[i], 10, 10);
    }
    struct job *job = schedule_take(schedule, 900);
    schedule_demand(schedule, &jobs[1], 20, 20);
    assert_null(schedule_cancel(schedule, 1500)); /* within the slow ones' places */
    assert_true(jobs[0].is_isolated);
    int turns = 0;
    for (; job != &jobs[1] && turns < 20; turns++) {
        measure_once_more(schedule, job, 1500 + turns);
        job = schedule_take(schedule, 1500 + turns);
    }
    assert_in_range(turns, 1, 7);
}

/* Turns are for those that nobody waits for, and that are not late by that much. */
static void a_job_overdue_for_a_minute_comes_before_the_turns_of_others(void **state)
{
    (void)state;
    BENCH(4, 1);
    for (int i = 0; i < 2; i++) {
        schedule_join(schedule, &jobs[i], 1);
        bench_measure(schedule, &jobs[i], i, i);
    }
    schedule_join(schedule, &jobs[2], 2);
    schedule_demand(schedule, &jobs[0], 10, 10);
    assert_ptr_equal(schedule_take(schedule, 10), &jobs[0]); /* and it stays in flight */
    schedule_set_due(schedule, &jobs[1], 20);
    schedule_set_due(schedule, &jobs[2], 30);
    int64_t late_ms = 20 + SCHEDULE_PATIENCE_MS;
    assert_ptr_equal(schedule_take(schedule, late_ms), &jobs[1]);
    assert_ptr_equal(schedule_take(schedule, late_ms), &jobs[2]);
}

/* Otherwise whoever names another's would have it wait behind its own. */
static void a_job_of_two_groups_is_of_the_smaller_one(void **state)
{
    (void)state;
    BENCH(1, 1);
    for (int i = 0; i < 20; i++)
        schedule_join(schedule, &jobs[i], 1);
    const struct job_group *large = jobs[0].group;
    schedule_demand(schedule, &jobs[0], 0, 0);
    schedule_join(schedule, &jobs[0], 2);
    const struct job_group *small = jobs[0].group;
    assert_ptr_not_equal(small, large);
    schedule_join(schedule, &jobs[0], 1);
    assert_ptr_equal(jobs[0].group, small);
    assert_ptr_equal(schedule_take(schedule, 0), &jobs[0]);
    schedule_join(schedule, &jobs[0], 3); /* as small */
    assert_ptr_equal(jobs[0].group, small);
    schedule_end(schedule, &jobs[0], JOB_END_ANSWERED, 1);
    for (int i = 0; i < 20; i++)
        schedule_remove(schedule, &jobs[i]);
    assert_null(schedule->groups.all);
}

static void a_job_is_of_the_group_that_is_the_smaller_one_now(void **state)
{
    (void)state;
    BENCH(2, 1);
    schedule_join(schedule, &jobs[0], 1);
    schedule_join(schedule, &jobs[0], 2);
    schedule_join(schedule, &jobs[1], 2);
    const struct job_group *one = jobs[0].group;
    const struct job_group *two = jobs[1].group;
    assert_ptr_not_equal(one, two);
    for (int i = 2; i < 20; i++)
        schedule_join(schedule, &jobs[i], 1);
    schedule_demand(schedule, &jobs[0], 0, 0);
    assert_ptr_equal(jobs[0].group, two);
}

static void a_group_that_leaves_a_job_has_no_part_in_it(void **state)
{
    (void)state;
    BENCH(2, 1);
    for (int i = 0; i < 20; i++)
        schedule_join(schedule, &jobs[i], 1);
    const struct job_group *large = jobs[0].group;
    for (int i = 0; i < 2; i++) {
        schedule_join(schedule, &jobs[i], 2);
        schedule_join(schedule, &jobs[i], 2);
        schedule_demand(schedule, &jobs[i], 0, 0);
    }
    assert_ptr_equal(schedule_take(schedule, 0), &jobs[0]); /* the other one is ready */
    for (int i = 0; i < 2; i++) {
        schedule_leave(schedule, &jobs[i], 2);
        assert_ptr_not_equal(jobs[i].group, large);
        schedule_leave(schedule, &jobs[i], 2);
        assert_ptr_equal(jobs[i].group, large);
    }
    assert_int_equal(large->in_flight[JOB_CLASS_KNOWN], 1);
    assert_int_equal(large->ready_count, 1);
    assert_int_equal(HASH_COUNT(schedule->groups.all), 1);
    schedule_join(schedule, &jobs[0], 3); /* which is in flight */
    assert_ptr_not_equal(jobs[0].group, large);
    assert_int_equal(large->in_flight[JOB_CLASS_KNOWN], 0);
    schedule_end(schedule, &jobs[0], JOB_END_ANSWERED, 1);
    assert_ptr_equal(schedule_take(schedule, 1), &jobs[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_groups_jobs_do_not_wait_for_anothers_thousands),
        cmocka_unit_test(groups_take_turns_for_one_place),
        cmocka_unit_test(slow_jobs_of_groups_take_turns_too),
        cmocka_unit_test(new_jobs_leave_half_of_the_places_to_known_ones_with_callers),
        cmocka_unit_test(a_group_with_a_job_that_hangs_has_its_turns_for_the_others),
        cmocka_unit_test(a_job_overdue_for_a_minute_comes_before_the_turns_of_others),
        cmocka_unit_test(a_job_of_two_groups_is_of_the_smaller_one),
        cmocka_unit_test(a_job_is_of_the_group_that_is_the_smaller_one_now),
        cmocka_unit_test(a_group_that_leaves_a_job_has_no_part_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
