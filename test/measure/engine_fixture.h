/*
 * What tests of the engine share: an engine that is fast enough for a test and slow enough for a
 * busy machine under a sanitizer, and questions to it.
 */
#ifndef BACKLOG_TEST_MEASURE_ENGINE_FIXTURE_H
#define BACKLOG_TEST_MEASURE_ENGINE_FIXTURE_H

#include "base/clock.h"
#include "measure/engine.h"
#include "measure/fake_scaler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>
#include <cmocka.h>

enum { INTERVAL_MS = 100, TIMEOUT_MS = 300, PATIENCE_MS = 20000 };

extern struct engine *engine;

int set_up(void **state);
int tear_down(void **state);
void restart_engine(const struct engine_settings *settings); /* its `wake` is ours */

/* One that measures by itself only every five seconds, and so shows what notifications do. */
void start_calm_engine(void);

int wakes(void);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* Waits until the condition, an expression that is looked at again and again, holds. */
#define WAIT_UNTIL(condition)                                                                      \
    do {                                                                                           \
        int64_t deadline_ = clock_now_ms() + PATIENCE_MS;                                          \
        while (!(condition)) {                                                                     \
            if (clock_now_ms() > deadline_)                                                        \
                fail_msg("never came true: %s", #condition);                                       \
            usleep(2000);                                                                          \
        }                                                                                          \
    } while (0)

/* For the engine's interval; acquire() is of the source "a". */
struct query *acquire(const char *queue);
struct query *acquire_of(const struct scaler *scaler, const char *source, const char *queue);
struct query *acquire_in_place_of(struct query *former, const struct scaler *scaler,
                                  const char *source, const char *queue);
bool try_to_acquire(const struct scaler *scaler, const char *source, const char *queue,
                    struct query *former, struct query **ret_query, struct error *error);
/* `connection`: its name in the connections file; NULL: it is inline, as of the others. */
bool try_to_acquire_of(const char *connection, const struct scaler *scaler, const char *source,
                       const char *queue, struct query *former, struct query **ret_query,
                       struct error *error);
void release(struct query *query);
struct query *watch_idle_of(const struct scaler *scaler, const char *queue, struct watcher *watcher,
                            int64_t idle_ms);
struct connection_stats stats(void);
double waiting(struct query *query); /* NAN where the last attempt did not answer */
bool fails(struct query *query, const char *words);

/* The one agent of this process, whichever thread started it; 0 where there is none. */
pid_t find_agent(void);

#endif
