/*
 * How the tasks of a test's feed have ended. Where one ended otherwise, each of these fails the
 * test and shows the task's error.
 */
#ifndef BACKLOG_TEST_SCALERS_ENDED_H
#define BACKLOG_TEST_SCALERS_ENDED_H

#include "support/feed.h"

void assert_ended(struct test_feed *feed, size_t index, enum task_outcome outcome);
void assert_all_ended(struct test_feed *feed, size_t from, size_t count, enum task_outcome outcome);

/* With these words in its error. */
void assert_ended_with(struct test_feed *feed, size_t index, enum task_outcome outcome,
                       const char *words);

/* Answered, with so many. */
void assert_waiting(struct test_feed *feed, size_t index, double waiting);

#endif
