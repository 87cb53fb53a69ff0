#include "scalers/management_fixture.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler_internal.h"
#include "scalers/ended.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

void management_start(struct management_fixture *fixture, const char *timeout,
                      const struct management_script *script)
{
    *fixture = (struct management_fixture){
        .timeout = timeout, .page_size = "100", .feed = test_feed_new(&scaler_rabbitmq)};
    scaler_set_reconnects(false);
    management_peer_start(&fixture->peer, script);
}

void management_add_queue(struct management_fixture *fixture, const char *name, const char *mode)
{
    assert_true(fixture->count < MANAGEMENT_MAX_QUEUES);
    struct trigger *trigger = &fixture->triggers[fixture->count++];
    const char *use_regex = text_starts_with(name, "^") ? "true" : "false";
    *trigger =
        trigger_of(&scaler_rabbitmq, PAIRS("host", fixture->peer.host, "queueName", name, "mode",
                                           mode, "value", "5", "timeout", fixture->timeout,
                                           "useRegex", use_regex, "pageSize", fixture->page_size));
    if (!trigger->good)
        fail_msg("%s", error_text(&trigger->error));
    test_feed_add(fixture->feed, trigger->options.query, (struct notifier){0});
}

void management_add_queues_from(struct management_fixture *fixture, const char *prefix,
                                size_t first, size_t count, const char *mode)
{
    for (size_t i = first; i < first + count; i++) {
        _cleanup_(memory_free) char *name = text_format("%s%zu", prefix, i);
        management_add_queue(fixture, name, mode);
    }
}

void management_add_queues(struct management_fixture *fixture, const char *prefix, size_t count,
                           const char *mode)
{
    management_add_queues_from(fixture, prefix, 0, count, mode);
}

void management_measure(struct management_fixture *fixture)
{
    bool usable =
        fixture->client != NULL || scaler_rabbitmq.connect(fixture->triggers[0].options.connection,
                                                           clock_now_ms() + MANAGEMENT_WITHIN_MS,
                                                           &fixture->client, &fixture->error);
    usable = usable &&
             test_feed_run(fixture->feed, fixture->client, MANAGEMENT_WITHIN_MS, &fixture->error);
    if (!usable)
        fail_msg("%s", error_text(&fixture->error));
}

void management_stop(struct management_fixture *fixture)
{
    if (fixture->client != NULL)
        scaler_rabbitmq.disconnect(fixture->client);
    management_peer_stop(&fixture->peer);
    for (size_t i = 0; i < fixture->count; i++)
        trigger_done(&fixture->triggers[i]);
    test_feed_free(fixture->feed);
    error_done(&fixture->error);
}

const struct test_task *management_task(const struct management_fixture *fixture, size_t index)
{
    return test_feed_task(fixture->feed, index);
}

void management_assert_answered_from(const struct management_fixture *fixture, size_t from,
                                     size_t first, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_waiting(fixture->feed, from + i, (double)(first + i));
}

void management_assert_answered(const struct management_fixture *fixture, size_t from, size_t count)
{
    management_assert_answered_from(fixture, from, 0, count);
}

void management_assert_only_counted(const struct management_fixture *fixture, size_t index,
                                    double messages)
{
    assert_waiting(fixture->feed, index, messages);
    struct reading reading = management_task(fixture, index)->reading;
    assert_true(reading.in_flight == 0);
    reading.waiting = reading.in_flight = NAN;
    double fields[sizeof(reading) / sizeof(double)];
    memcpy(fields, &reading, sizeof(reading));
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
        assert_true(isnan(fields[i]));
}

void management_start_with_a_zero(struct management_fixture *fixture, const char *queue)
{
    management_start(fixture, "1s", &(struct management_script){.queues = 1});
    test_feed_let_return(fixture->feed);
    management_add_queue(fixture, queue, "MessageRate");
    management_measure(fixture);
    assert_waiting(fixture->feed, 0, 0);
    test_feed_again(fixture->feed);
}

void management_measure_again(struct management_fixture *fixture)
{
    test_feed_again(fixture->feed);
    management_measure(fixture);
}

void management_assert_doubted(struct management_fixture *fixture)
{
    fixture->peer.fate = 0;
    for (int round = 0; round < 2; round++) {
        management_measure_again(fixture);
        assert_ended_with(fixture->feed, 0, TASK_FAILED, "may have just started");
    }
}
