/*
 * One connection, its queries, and a clock that the test moves: the test is the scaler.
 *
 * Threads: one.
 */
#ifndef BACKLOG_TEST_MEASURE_CONNECTION_FIXTURE_H
#define BACKLOG_TEST_MEASURE_CONNECTION_FIXTURE_H

#include "base/clock.h"
#include "base/log.h"
#include "measure/connection/connection.h"
#include "measure/connection/query_internal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HOUR_MS = 3600000 };

extern const struct scaler connection_scaler;
extern struct connection connection;
extern int64_t now_ms;
extern int news; /* how often a watcher was notified */
extern size_t pauses;
extern void (*on_pause)(void); /* what others do then; NULL: nothing */

void pause_after_each(void); /* query, or follower, in this test */

int set_up(void **state);
int tear_down(void **state);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* A query of the item, at that interval of its user; acquire(): at none. */
struct query *hold_each(const char *item, int64_t interval_ms);
struct query *acquire(const char *item);

/* The queries that are acquired from now on are in one bundle. */
void bundle_all(bool costs_the_same);

void demand(struct query *query);
void connect_now(void);

/* The next task; NULL: none. */
struct query *take(void);
void answer(struct query *query, double value);
/* By an error of these words. */
void end_with(struct query *query, enum task_outcome outcome, const char *words);

/* The client is lost, or none can be had. */
void lose(const char *words);
void refuse(void);

/* Demanded, sent and answered, on a client that is made where there is none. */
void measure(struct query *query, double value);

/* Its last attempt failed, with these words in the error. */
bool fails(const struct query *query, const char *words);
/* NAN: its last attempt did not succeed. */
double value_of(const struct query *query);
/* How many warnings have these words, since recent_log_start(); or lines of that level. */
size_t count_warnings(const char *words);
size_t count_lines(enum log_level level, const char *words);

#endif
