#include "scalers/ended.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

void assert_ended(struct test_feed *feed, size_t index, enum task_outcome outcome)
{
    const struct test_task *task = test_feed_task(feed, index);
    if (!task->ended || task->outcome != outcome)
        fail_msg("task %zu: ended %d by %d: %s", index, task->ended, (int)task->outcome,
                 error_text(&task->error));
}

void assert_all_ended(struct test_feed *feed, size_t from, size_t count, enum task_outcome outcome)
{
    for (size_t i = from; i < from + count; i++)
        assert_ended(feed, i, outcome);
}

void assert_ended_with(struct test_feed *feed, size_t index, enum task_outcome outcome,
                       const char *words)
{
    assert_ended(feed, index, outcome);
    const char *text = error_text(&test_feed_task(feed, index)->error);
    if (strstr(text, words) == NULL)
        fail_msg("task %zu: \"%s\" lacks \"%s\"", index, text, words);
}

void assert_waiting(struct test_feed *feed, size_t index, double waiting)
{
    assert_ended(feed, index, TASK_ANSWERED);
    assert_float_equal(test_feed_task(feed, index)->reading.waiting, waiting, 0);
}
