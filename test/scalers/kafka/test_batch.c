#include "kafka/measure/batch.h"

#include "base/clock.h"
#include "base/memory.h"
#include "scalers/kafka/mock.h"
#include "scalers/kafka/one_task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void a_task_counts_its_partitions_topic_by_topic(void **state)
{
    struct one_task *fixture = *state;
    static char mails[] = "mails";
    struct kafka_batch_topic other = {.batch = &fixture->batch, .name = mails, .count = 2};
    struct kafka_group_topic of_other = {.key = {&fixture->group, &other}};
    struct kafka_group_topic *topics[] = {&fixture->group_topic, &of_other};
    struct kafka_place at = KAFKA_PLACE_FIRST;
    fixture->batch_task.topics = topics;
    fixture->batch_task.count = ARRAY_LENGTH(topics);
    for (int32_t i = 0; i < ONE_TASK_PARTITIONS + other.count; i++) {
        assert_true(kafka_batch_next_partition(&fixture->batch_task, &at));
        assert_ptr_equal(at.topic, i < ONE_TASK_PARTITIONS ? &fixture->topic : &other);
        assert_int_equal(at.partition, i % ONE_TASK_PARTITIONS);
    }
    assert_false(kafka_batch_next_partition(&fixture->batch_task, &at));
}

/* As after a pause of the machine: the answer comes when the topic has not been used for long. */
static void a_topic_of_an_open_batch_is_not_forgotten(void **state)
{
    struct kafka_mock *fixture = *state;
    struct kafka_metadata_need need = {0};
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    struct kafka_metadata *metadata = session->metadata;
    struct kafka_batch *batch = kafka_batch_new(session, NULL, 0, false, clock_now_ms());
    struct kafka_topic *known = kafka_batch_topic_for(batch, "jobs")->known;
    kafka_metadata_need_topic(metadata, known, clock_now_ms(), &need);
    kafka_metadata_request(metadata, &need, 0, clock_now_ms());
    kafka_mock_receive_metadata(metadata, &session->client, &need);
    const int64_t later_ms = clock_now_ms() + KAFKA_FORGET_MS + 1;
    kafka_metadata_forget_old(metadata, later_ms);
    assert_int_equal(known->partition_count, 1);
    kafka_batch_free(batch);
    kafka_metadata_forget_old(metadata, later_ms);
    assert_int_equal(
        kafka_topics_for(kafka_metadata_topics(metadata), "jobs", clock_now_ms())->received_ms, 0);
}

/* Though the batch goes on with other groups, it is not sent on another handle any more, which
 * would keep the next one from being sent there. */
static void a_group_without_tasks_has_no_request(void **state)
{
    struct kafka_mock *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    struct task task = {0};
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_query(fixture, "silent", "jobs", 3);
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    kafka_mock_hang(fixture, 3, true);
    const int64_t now_ms = clock_now_ms();
    const int64_t later_ms = now_ms + 1000;
    struct kafka_batch *batch = kafka_batch_new(session, NULL, 0, false, now_ms);
    struct kafka_batch_group *group = kafka_batch_group_for(batch, "silent");
    struct kafka_batch_task batch_task = {.task = &task, .batch = batch};
    batch->open = 1;
    kafka_batch_set_group(&batch_task, group);
    assert_true(kafka_commits_send(session->commits, &group->request, NULL, now_ms, &error));
    assert_ptr_equal(kafka_batch_take_task(&batch_task), &task);
    kafka_commits_maintain(session->commits, later_ms);
    assert_true(kafka_commits_is_free(session->commits, "silent", true, later_ms));
    kafka_batch_free(batch);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, one_task_set_up, one_task_tear_down)
#define OF_CLUSTER(name)                                                                           \
    cmocka_unit_test_setup_teardown(name, kafka_mock_set_up, kafka_mock_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_task_counts_its_partitions_topic_by_topic),
        OF_CLUSTER(a_topic_of_an_open_batch_is_not_forgotten),
        OF_CLUSTER(a_group_without_tasks_has_no_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
