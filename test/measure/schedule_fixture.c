#include "measure/schedule_fixture.h"

struct bench *bench_new(long max_tasks, size_t isolated_places)
{
    struct bench *bench = memory_new(sizeof(*bench));
    schedule_init(&bench->schedule, max_tasks == UNLIMITED ? SIZE_MAX : (size_t)max_tasks,
                  isolated_places, 0);
    for (int i = 0; i < JOBS; i++)
        bench->jobs[i] = JOB_NEW;
    return bench;
}

void bench_free(struct bench **bench)
{
    for (struct job *job = (*bench)->jobs; job < (*bench)->jobs + JOBS; job++) {
        if (job->state == JOB_IN_FLIGHT)
            schedule_end(&(*bench)->schedule, job, JOB_END_LOST, INT64_MAX / 2);
        schedule_remove(&(*bench)->schedule, job);
    }
    schedule_done(&(*bench)->schedule);
    free(*bench);
}

void bench_measure(struct schedule *schedule, struct job *job, int64_t sent_ms, int64_t answer_ms)
{
    schedule_demand(schedule, job, sent_ms, sent_ms);
    assert_ptr_equal(schedule_take(schedule, sent_ms), job);
    schedule_end(schedule, job, JOB_END_ANSWERED, answer_ms);
}
