#include "scalers/redis/outcome.h"

#include "base/clock.h"
#include "base/memory.h"
#include "scalers/trigger.h"
#include "support/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void add_end(struct outcome *outcome, const struct test_task *task)
{
    outcome->refused_subscriptions += error_is_set(&task->subscribe_error);
    if (!task->ended)
        return;
    if (task->outcome == TASK_ANSWERED) {
        outcome->reading = task->reading;
        outcome->answers++;
    } else {
        error_copy(&outcome->error, &task->error);
        outcome->failures++;
    }
}

void run(const struct scaler *scaler, const struct trigger *trigger, size_t count, int within_ms,
         struct outcome *outcome)
{
    void *client = NULL;
    int64_t deadline_ms = clock_now_ms() + within_ms;
    outcome->connected =
        scaler->connect(trigger->options.connection, deadline_ms, &client, &outcome->error);
    if (!outcome->connected)
        return;
    struct test_feed *feed = test_feed_new(scaler);
    for (size_t i = 0; i < count; i++) {
        test_feed_add(feed, trigger->options.query, (struct notifier){0});
        test_feed_task(feed, i)->task.wants = outcome->wants;
    }
    test_feed_set_timeout(feed, within_ms);
    outcome->usable = test_feed_run(feed, client, 20 * (int64_t)within_ms, &outcome->error);
    for (size_t i = 0; i < count; i++)
        add_end(outcome, test_feed_task(feed, i));
    test_feed_free(feed);
    scaler->disconnect(client);
}

struct outcome measure_with(unsigned wants, const struct scaler *scaler,
                            const struct redis_line *script, const char *const *pairs, size_t count,
                            int within_ms)
{
    struct redis_peer peer;
    redis_peer_start(&peer, script);
    const char *all[32] = {"address", peer.address};
    for (size_t i = 0; pairs[i] != NULL; i++)
        all[i + 2] = pairs[i];
    _cleanup_(trigger_done) struct trigger trigger = trigger_of(scaler, all);
    assert_true(trigger.good);
    struct outcome outcome = {.wants = wants};
    run(scaler, &trigger, count, within_ms, &outcome);
    redis_peer_stop(&peer);
    return outcome;
}

struct outcome measure(const struct scaler *scaler, const struct redis_line *script,
                       const char *const *pairs, size_t count, int within_ms)
{
    return measure_with(0, scaler, script, pairs, count, within_ms);
}

void assert_error(struct outcome outcome, const char *words)
{
    assert_int_equal(outcome.answers, 0);
    assert_int_equal(outcome.error.code, ERROR_UNAVAILABLE);
    if (strstr(outcome.error.text, words) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", outcome.error.text, words);
    assert_null(strstr(outcome.error.text, "sesame"));
    error_done(&outcome.error);
}
