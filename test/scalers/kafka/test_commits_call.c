#include "kafka/requests/commits_call.h"

#include "base/memory.h"

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
    struct kafka_commits_call *call = memory_new(sizeof(*call));
    kafka_commits_call_init(call, &request, list);
    rd_kafka_topic_partition_list_destroy(list);
    assert_string_equal(call->partitions->elems[0].topic, "jobs");
    kafka_commits_call_cancel(call);
    assert_null(call->request);
    assert_null(call->partitions);
    assert_string_equal(call->group, "workers"); /* it still has its place on the handle */
    kafka_commits_call_free(call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_nobody_waits_for_has_no_partitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
