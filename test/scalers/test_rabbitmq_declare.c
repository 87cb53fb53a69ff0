#include "base/clock.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "scalers/amqp_peer.h"
#include "scalers/trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_rabbitmq;

enum { QUEUES_MOST = 2 };

/* What became of each queue that was asked for. */
struct outcome {
    bool empty[QUEUES_MOST]; /* it was told so */
    struct error errors[QUEUES_MOST];
};

struct asked {
    struct outcome *outcome;
    size_t number;
};

static void take_end(struct probe *probe, const struct reading *reading, const struct error *error)
{
    const struct asked *asked = probe->owner;
    if (error != NULL)
        error_copy(&asked->outcome->errors[asked->number], error);
    else
        asked->outcome->empty[asked->number] = reading->waiting == 0;
}

/* Asks for so many queues at once, by a client of their own. */
static struct outcome measure(size_t count, const struct amqp_delays *delays)
{
    struct amqp_peer peer;
    amqp_peer_start(&peer, delays);
    struct trigger triggers[QUEUES_MOST];
    struct asked asked[QUEUES_MOST];
    struct probe probes[QUEUES_MOST];
    struct probe *pointers[QUEUES_MOST];
    struct outcome outcome = {0};
    for (size_t i = 0; i < count; i++) {
        triggers[i] = trigger_of(
            &scaler_rabbitmq, PAIRS("host", peer.host, "queueName", i == 0 ? "orders" : "returns"));
        assert_true(triggers[i].good);
        asked[i] = (struct asked){.outcome = &outcome, .number = i};
        probes[i] =
            (struct probe){.query = triggers[i].options.query, .owner = &asked[i], .end = take_end};
        pointers[i] = &probes[i];
    }

    void *client = NULL;
    struct error error = {0};
    int64_t deadline_ms = clock_now_ms() + 10000;
    bool usable =
        scaler_rabbitmq.connect(triggers[0].options.connection, deadline_ms, &client, &error) &&
        scaler_rabbitmq.measure(client, pointers, count, deadline_ms, &error);
    if (client != NULL)
        scaler_rabbitmq.disconnect(client);
    amqp_peer_stop(&peer);
    for (size_t i = 0; i < count; i++)
        trigger_done(&triggers[i]);
    if (!usable)
        fail_msg("%s", error_text(&error));
    return outcome;
}

static void assert_not_told(struct error *error)
{
    assert_int_equal(error->code, ERROR_UNAVAILABLE);
    assert_non_null(strstr(error_text(error), "too busy to tell"));
    error_done(error);
}

static void behind_another_question_there_is_no_round_trip_to_take_off(void **state)
{
    (void)state;
    const struct amqp_delays far = {.openings_ms = {100, 100}, .declares_ms = {100, 300, 400}};
    struct outcome outcome = measure(2, &far);
    assert_true(outcome.empty[0]);
    assert_false(outcome.empty[1]);
    assert_not_told(&outcome.errors[1]);
}

static void a_slow_opening_does_not_make_a_late_0_a_quick_one(void **state)
{
    (void)state;
    const struct amqp_delays slow = {.openings_ms = {150, 0}, .declares_ms = {300, 300}};
    struct outcome outcome = measure(1, &slow);
    assert_false(outcome.empty[0]);
    assert_not_told(&outcome.errors[0]);
}

static void an_empty_queue_that_is_far_away_is_0(void **state)
{
    (void)state;
    const struct amqp_delays far = {.openings_ms = {300, 300}, .declares_ms = {300, 300}};
    struct outcome outcome = measure(1, &far);
    assert_true(outcome.empty[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behind_another_question_there_is_no_round_trip_to_take_off),
        cmocka_unit_test(a_slow_opening_does_not_make_a_late_0_a_quick_one),
        cmocka_unit_test(an_empty_queue_that_is_far_away_is_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
