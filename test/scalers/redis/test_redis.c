/* Redis, without a server: what triggers, readings and memory are. */
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "redis/options.h"
#include "scalers/trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_redis;
extern const struct scaler scaler_redis_streams;

#define LIST(...)                                                                                  \
    trigger_of(&scaler_redis, PAIRS("listName", "jobs", "address", "localhost:6379", __VA_ARGS__))
#define STREAM(...)                                                                                \
    trigger_of(&scaler_redis_streams,                                                              \
               PAIRS("stream", "orders", "address", "localhost:6379", __VA_ARGS__))

static void assert_metric_spec(const struct scaler *scaler, struct trigger trigger,
                               const char *name, double target)
{
    struct metric_spec spec;
    scaler->metric_spec(&trigger.options, &spec);
    assert_string_equal(spec.metric_name, name);
    assert_true(spec.target == target);
    assert_int_equal(spec.idle_interval_ms, 100);
    free(spec.metric_name);
    trigger_done(&trigger);
}

static void metrics_and_targets_are_those_of_keda(void **state)
{
    (void)state;
    const struct scaler *streams = &scaler_redis_streams;
    assert_metric_spec(&scaler_redis, LIST(NULL), "redis-jobs", 5);
    assert_metric_spec(&scaler_redis, LIST("listLength", "3"), "redis-jobs", 3);
    static const char *const keys[] = {"mails", "mails, jobs"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        assert_metric_spec(
            &scaler_redis,
            trigger_of(&scaler_redis, PAIRS("keys", keys[i], "address", "localhost:6379")),
            "redis-mails", 5);
    assert_metric_spec(streams, STREAM(NULL), "redis-streams-orders", 5);
    assert_metric_spec(streams, STREAM("streamLength", "3", "lagCount", "4"),
                       "redis-streams-orders", 3);
    assert_metric_spec(streams, STREAM("consumerGroup", "g", "streamLength", "3"),
                       "redis-streams-orders", 5);
    assert_metric_spec(streams,
                       STREAM("consumerGroup", "g", "pendingEntriesCount", "3", "lagCount", "0"),
                       "redis-streams-orders", 3);
    assert_metric_spec(streams,
                       STREAM("consumerGroup", "g", "pendingEntriesCount", "3", "lagCount", "4"),
                       "redis-streams-orders", 4);
}

static void wrong_metadata_still_has_a_metric_spec(void **state)
{
    (void)state;
    assert_metric_spec(&scaler_redis, trigger_of(&scaler_redis, PAIRS(NULL)), "redis-", 5);
    assert_metric_spec(&scaler_redis_streams, trigger_of(&scaler_redis_streams, PAIRS(NULL)),
                       "redis-streams-", 5);
}

static void the_activation_count_itself_is_not_yet_active(void **state)
{
    (void)state;
    struct trigger triggers[] = {LIST("activationListLength", "2"),
                                 STREAM("activationLagCount", "2", "consumerGroup", "g"),
                                 STREAM("activationLagCount", "2")};
    const struct scaler *const scalers[] = {&scaler_redis, &scaler_redis_streams,
                                            &scaler_redis_streams};
    for (size_t i = 0; i < ARRAY_LENGTH(triggers); i++) {
        struct reading reading = READING_UNKNOWN;
        struct evaluation evaluation;
        for (int count = 2; count <= 3; count++) {
            *(i == 1 ? &reading.in_flight : &reading.waiting) = count;
            assert_true(scalers[i]->evaluate(&triggers[i].options, &reading, &evaluation,
                                             &triggers[i].error));
            assert_true(evaluation.value == count);
            assert_int_equal(evaluation.active, count == 3);
        }
        reading = READING_UNKNOWN;
        assert_false(
            scalers[i]->evaluate(&triggers[i].options, &reading, &evaluation, &triggers[i].error));
        assert_int_equal(triggers[i].error.code, ERROR_UNAVAILABLE);
        trigger_done(&triggers[i]);
    }
}

/* Brackets are for the eye: the resolver takes none. */
static void an_address_in_brackets_is_one_without_them(void **state)
{
    (void)state;
    static const struct {
        const char *address, *host, *port;
    } rows[] = {{"[::1]:6379", "", ""}, {"", "[::1]", "6379"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(trigger_done) struct trigger trigger =
            trigger_of(&scaler_redis, PAIRS("listName", "jobs", "address", rows[i].address, "host",
                                            rows[i].host, "port", rows[i].port));
        assert_true(trigger.good);
        int port;
        _cleanup_(memory_free) char *host =
            redis_connection_host(trigger.options.connection, 0, &port);
        assert_string_equal(host, "::1");
        assert_int_equal(port, 6379);
    }
}

/* Scaling policies are refused what is not reported. */
static void only_a_library_and_a_lag_report_more_than_what_waits(void **state)
{
    (void)state;
    const char *advice = NULL;
    _cleanup_(trigger_done) struct trigger list =
        trigger_of(&scaler_redis, PAIRS("address", "localhost:6379", "listName", "jobs"));
    _cleanup_(trigger_done) struct trigger queue =
        trigger_of(&scaler_redis,
                   PAIRS("address", "localhost:6379", "library", "bullmq", "queueName", "jobs"));
    _cleanup_(trigger_done) struct trigger pending = trigger_of(
        &scaler_redis_streams, PAIRS("address", "localhost:6379", "stream", "jobs", "consumerGroup",
                                     "workers", "pendingEntriesCount", "5"));
    _cleanup_(trigger_done) struct trigger lag =
        trigger_of(&scaler_redis_streams, PAIRS("address", "localhost:6379", "stream", "jobs",
                                                "consumerGroup", "workers", "lagCount", "5"));
    assert_true(list.good && queue.good && pending.good && lag.good);
    assert_int_equal(scaler_redis.reports(&list.options, &advice), 0);
    assert_int_equal(scaler_redis.reports(&queue.options, &advice), READING_WANT_IN_FLIGHT);
    assert_int_equal(scaler_redis_streams.reports(&pending.options, &advice), 0);
    assert_int_equal(scaler_redis_streams.reports(&lag.options, &advice),
                     READING_WANT_IN_FLIGHT | READING_WANT_RATES | READING_WANT_CONSUMERS);
}

static void the_lags_of_all_groups_of_a_stream_are_one_bundle(void **state)
{
    (void)state;
    _cleanup_(trigger_done) struct trigger pending = trigger_of(
        &scaler_redis_streams, PAIRS("address", "localhost:6379", "stream", "jobs", "consumerGroup",
                                     "workers", "pendingEntriesCount", "5"));
    _cleanup_(trigger_done) struct trigger lag =
        trigger_of(&scaler_redis_streams, PAIRS("address", "localhost:6379", "stream", "jobs",
                                                "consumerGroup", "workers", "lagCount", "5"));
    _cleanup_(memory_free) char *bundle =
        scaler_redis_streams.bundle(lag.options.connection, lag.options.query);
    assert_string_equal(bundle, "jobs");
    assert_null(scaler_redis_streams.bundle(pending.options.connection, pending.options.query));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_and_targets_are_those_of_keda),
        cmocka_unit_test(wrong_metadata_still_has_a_metric_spec),
        cmocka_unit_test(the_activation_count_itself_is_not_yet_active),
        cmocka_unit_test(an_address_in_brackets_is_one_without_them),
        cmocka_unit_test(only_a_library_and_a_lag_report_more_than_what_waits),
        cmocka_unit_test(the_lags_of_all_groups_of_a_stream_are_one_bundle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
