#include "kafka/requests/commits_call.h"

#include "kafka/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* It may be under way for an hour, and so may many. */
static void a_call_that_nobody_waits_for_has_no_partitions(void **state)
{
    (void)state;
    struct kafka_commits_request request = {.group = "workers"};
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "jobs", 0);
    struct kafka_memory memory = {0};
    struct kafka_abandoned abandoned = {.memory = &memory};
    struct kafka_commits_call *call = kafka_commits_call_new(KAFKA_CALL_MAIN, &request, list);
    rd_kafka_topic_partition_list_destroy(list);
    assert_string_equal(call->partitions->elems[0].topic, "jobs");
    kafka_commits_call_abandon(call, &abandoned);
    assert_int_equal(call->state, KAFKA_CALL_ABANDONED);
    assert_null(call->request);
    assert_null(call->partitions);
    assert_string_equal(call->group, "workers"); /* it still has its place on the handle */
    kafka_commits_call_free(call);
}

/* Its call on the second handle goes on, and may move. */
static void a_call_of_a_request_on_both_handles_is_not_tried_again(void **state)
{
    (void)state;
    struct kafka_commits_request request = {.group = "workers"};
    struct kafka_commits_call *call = kafka_commits_call_new(KAFKA_CALL_MAIN, &request, NULL);
    call->state = KAFKA_CALL_ON_BOTH;
    assert_int_equal(kafka_commits_call_retry(call, NULL, NULL, NULL, NULL), KAFKA_SERIAL_FAILED);
    assert_int_equal(call->place, KAFKA_CALL_MAIN);
    kafka_commits_call_free(call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_nobody_waits_for_has_no_partitions),
        cmocka_unit_test(a_call_of_a_request_on_both_handles_is_not_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
