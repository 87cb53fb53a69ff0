#include "base/clock.h"
#include "kafka/worker.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

enum { JOBS = 8 };

struct test_job {
    struct kafka_job job;
    int gate; /* an eventfd that it waits for; -1: none */
    int result;
};

static void run_test_job(struct kafka_job *base)
{
    struct test_job *job = (struct test_job *)base;
    eventfd_t opened;
    if (job->gate >= 0)
        eventfd_read(job->gate, &opened);
    job->result = 1;
}

static bool is_readable(int descriptor, int wait_ms)
{
    struct pollfd poller = {.fd = descriptor, .events = POLLIN};
    return poll(&poller, 1, wait_ms) == 1;
}

static void a_job_that_has_ended_is_announced(void **state)
{
    (void)state;
    struct test_job jobs[JOBS] = {0};
    int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct kafka_workers *workers = kafka_workers_new(event_fd);
    assert_null(kafka_workers_next(workers));
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct test_job){.job = {.run = run_test_job}, .gate = -1};
        assert_true(kafka_workers_start(workers, &jobs[i].job));
    }
    for (int count = 0; count < JOBS;) {
        eventfd_t events;
        assert_true(is_readable(event_fd, 10000));
        eventfd_read(event_fd, &events);
        for (struct kafka_job *job; (job = kafka_workers_next(workers)) != NULL; count++)
            assert_int_equal(((struct test_job *)job)->result, 1);
    }
    kafka_workers_free(workers);
    close(event_fd);
}

static void a_job_that_hangs_delays_no_other(void **state)
{
    (void)state;
    int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct test_job hanging = {.job = {.run = run_test_job}, .gate = eventfd(0, EFD_CLOEXEC)};
    struct test_job quick = {.job = {.run = run_test_job}, .gate = -1};
    struct kafka_workers *workers = kafka_workers_new(event_fd);
    assert_true(kafka_workers_start(workers, &hanging.job));
    assert_true(kafka_workers_start(workers, &quick.job));
    assert_true(is_readable(event_fd, 10000));
    assert_ptr_equal(kafka_workers_next(workers), &quick.job);
    assert_false(kafka_workers_wait(workers, clock_now_ms() + 10));
    eventfd_write(hanging.gate, 1);
    assert_true(kafka_workers_wait(workers, clock_now_ms() + 10000));
    assert_ptr_equal(kafka_workers_next(workers), &hanging.job);
    kafka_workers_free(workers);
    close(hanging.gate);
    close(event_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_that_has_ended_is_announced),
        cmocka_unit_test(a_job_that_hangs_delays_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
