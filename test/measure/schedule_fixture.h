/* A schedule with jobs, for its tests. Time is a number that the test moves. */
#ifndef BACKLOG_TEST_MEASURE_SCHEDULE_FIXTURE_H
#define BACKLOG_TEST_MEASURE_SCHEDULE_FIXTURE_H

#include "base/clock.h"
#include "base/memory.h"
#include "measure/connection/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { JOBS = 64, UNLIMITED = -1 };

struct bench {
    struct schedule schedule;
    struct job jobs[JOBS];
};

struct bench *bench_new(long max_tasks, size_t isolated_places);
void bench_free(struct bench **bench);

/* From due to answered, at the moments that are given. */
void bench_measure(struct schedule *schedule, struct job *job, int64_t sent_ms, int64_t answer_ms);

#define BENCH(max_tasks, isolated_places)                                                          \
    _cleanup_(bench_free) struct bench *bench = bench_new(max_tasks, isolated_places);             \
    struct schedule *schedule = &bench->schedule;                                                  \
    struct job *jobs = bench->jobs

#endif
