#include "kafka/measure/partitions.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/memory.h"
#include "scalers/kafka/mock.h"
#include "scalers/kafka/one_task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static void a_topic_that_two_tasks_name_is_counted_once_each_time(void **state)
{
    struct one_task *fixture = *state;
    static char jobs[] = "jobs";
    static char *names[] = {jobs};
    struct kafka_topic known = {.partition_count = ONE_TASK_PARTITIONS};
    struct kafka_batch_task *first = &fixture->batch_task;
    fixture->topic.known = &known;
    first->selection =
        (struct kafka_selection){.kind = KAFKA_SELECTION_OF_NAMES, .names = names, .count = 1};
    struct kafka_batch_task second = *first;
    first->next = &second;
    fixture->group.tasks = first;
    for (int i = 0; i < 2; i++)
        assert_int_equal(kafka_partitions_count(&fixture->group), ONE_TASK_PARTITIONS);
}

/* Or the group would ask for several times the space that it needs. */
static void a_pattern_of_two_tasks_is_counted_once_each_time(void **state)
{
    enum { MATCHED = 7 };
    struct one_task *fixture = *state;
    struct kafka_session *session = &fixture->session;
    session->metadata = kafka_metadata_new(&session->client);
    session->client.max_partitions = KAFKA_SELECTION_MAX_PARTITIONS;
    struct kafka_pattern *pattern =
        kafka_patterns_for(kafka_metadata_patterns(session->metadata), "^jobs", 1);
    struct kafka_batch_task *first = &fixture->batch_task;
    fixture->query.topic = "^jobs";
    pattern->count = 1;
    pattern->partition_count = MATCHED;
    first->selection.kind = KAFKA_SELECTION_OF_PATTERN;
    struct kafka_batch_task second = *first;
    first->next = &second;
    fixture->group.tasks = first;
    for (int i = 0; i < 2; i++)
        assert_int_equal(kafka_partitions_count(&fixture->group), MATCHED);
    kafka_metadata_free(session->metadata);
}

/* It would count as a topic without messages. */
static void a_topic_that_the_answer_lacks_fails_its_task(void **state)
{
    struct one_task *fixture = *state;
    static char jobs[] = "jobs";
    static char *names[] = {jobs};
    struct kafka_topic known = {.partition_count = 0};
    fixture->topic.known = &known;
    fixture->batch_task.selection =
        (struct kafka_selection){.kind = KAFKA_SELECTION_OF_NAMES, .names = names, .count = 1};
    assert_false(kafka_partitions_use_selection(&fixture->batch_task, 1));
    assert_int_equal(fixture->outcome, TASK_FAILED);
    assert_string_equal(error_text(&fixture->error), "Kafka reports nothing of topic jobs");
}

/* Nobody would wait for the answers. */
static void a_task_whose_last_topic_fails_requests_nothing(void **state)
{
    struct one_task *fixture = *state;
    static char jobs[] = "jobs";
    static char missing[] = "missing";
    static char *names[] = {jobs, missing};
    struct kafka_topic known = {.partition_count = ONE_TASK_PARTITIONS, .received_ms = 1};
    struct kafka_topic unknown = {.partition_count = 0};
    struct kafka_batch_topic last = {.batch = &fixture->batch, .name = missing, .known = &unknown};
    HASH_ADD_KEYPTR(hh, fixture->batch.topics, last.name, strlen(last.name), &last);
    fixture->batch.open = fixture->group.open = 2; /* the group is not released */
    fixture->batch_task.topics = NULL;
    fixture->batch_task.count = 0;
    fixture->session.client.max_partitions = KAFKA_SELECTION_MAX_PARTITIONS;
    fixture->topic.known = &known;
    fixture->batch_task.selection =
        (struct kafka_selection){.kind = KAFKA_SELECTION_OF_NAMES, .names = names, .count = 2};
    for (size_t i = 0; i < ONE_TASK_PARTITIONS; i++) {
        fixture->ends[i] = (struct kafka_ends){0};
        fixture->commits[i] = (struct kafka_known_offset){0};
    }
    assert_false(kafka_partitions_use_selection(&fixture->batch_task, 1));
    assert_string_equal(error_text(&fixture->error), "Kafka reports nothing of topic missing");
    for (size_t i = 0; i < ONE_TASK_PARTITIONS; i++) {
        assert_int_equal(fixture->ends[i].latest.state, KAFKA_OFFSET_UNKNOWN);
        assert_int_equal(fixture->commits[i].state, KAFKA_OFFSET_UNKNOWN);
    }
    free(fixture->batch_task.topics);
    HASH_DEL(fixture->batch.topics, &last);
}

static void a_task_without_partitions_says_why(void **state)
{
    struct one_task *fixture = *state;
    static char jobs[] = "jobs";
    static char *names[] = {jobs};
    static const struct {
        int32_t partitions;
        bool is_limited;
        const char *words;
    } rows[] = {
        {ONE_TASK_PARTITIONS, true,
         "topic jobs,jobs selects 3 Kafka partitions, and none of them is in partitionLimitation"},
        {0, false, "topic jobs,jobs selects no Kafka partition"},
    };
    fixture->session.client.max_partitions = KAFKA_SELECTION_MAX_PARTITIONS;
    fixture->query.topic = "jobs,jobs";
    fixture->batch_task.selection =
        (struct kafka_selection){.kind = KAFKA_SELECTION_OF_NAMES, .names = names, .count = 1};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct kafka_topic known = {.partition_count = rows[i].partitions, .received_ms = 1};
        fixture->topic.known = &known;
        fixture->topic.count = rows[i].partitions;
        fixture->batch_task.task = &fixture->task;
        fixture->batch_task.count = fixture->batch_task.partition_count = 0;
        fixture->batch_task.topics = NULL;
        fixture->task.has_ended = false;
        fixture->batch.open = fixture->group.open = 2; /* the group is not released */
        one_task_limit_to(fixture, ONE_TASK_PARTITIONS);
        fixture->query.partition_limitation.count = rows[i].is_limited;
        assert_false(kafka_partitions_use_selection(&fixture->batch_task, 1));
        assert_int_equal(fixture->outcome, TASK_FAILED);
        assert_string_equal(error_text(&fixture->error), rows[i].words);
        free(fixture->batch_task.topics);
        fixture->batch_task.capacity = 0;
    }
}

static void a_pattern_without_topics_fails_alone(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^mails", 2));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_failed(fixture, 0, "no Kafka topic matches ^mails");
    kafka_mock_assert_answered(fixture, 1);
}

static void a_pattern_of_too_many_topics_fails_alone(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^jobs", 2));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    struct kafka_metadata *metadata = ((struct kafka_session *)fixture->client)->metadata;
    int64_t now_ms = clock_now_ms();
    struct kafka_pattern *pattern =
        kafka_patterns_for(kafka_metadata_patterns(metadata), "^jobs", now_ms);
    pattern->received_ms = now_ms + KAFKA_MOCK_WITHIN_MS; /* no listing is requested */
    pattern->count = KAFKA_SELECTION_MAX_TOPICS + 1;
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_failed(fixture, 0, "5001 Kafka topics match ^jobs, which is more than 5000");
    kafka_mock_assert_answered(fixture, 1);
    pattern->count = 0; /* it has none of them */
}

/* Each takes memory, whatever a broker says of how many there are. */
static void topics_of_too_many_partitions_are_refused(void **state)
{
    struct kafka_mock *fixture = *state;
    const int half = KAFKA_SELECTION_MAX_PARTITIONS / 2;
    kafka_mock_create_topic(fixture, "large", half + 1, 1);
    kafka_mock_create_topic(fixture, "larger", half + 1, 1);
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^large", 2));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "others", "jobs", 1));
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_WITHIN_MS); /* the reply is large */
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_failed(fixture, 0, "the Kafka topics have more than 25000 partitions");
    kafka_mock_assert_answered(fixture, 1);
}

static void a_pattern_with_too_many_partitions_fails_each_time(void **state)
{
    struct kafka_mock *fixture = *state;
    static const char *const names[] = {"large-1", "large-2", "large-3"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        kafka_mock_create_topic(fixture, names[i], 12000, 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^large", 2));
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_WITHIN_MS); /* the reply is large */
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_failed(fixture, 0, "more than 25000 partitions");
    kafka_mock_run_again(fixture);
    kafka_mock_assert_failed(fixture, 0, "more than 25000 partitions");
}

/* The advice is not to do what was done already. */
static void a_connection_of_the_connections_file_is_not_advised_to_be_one(void **state)
{
    (void)state;
    const struct kafka_client named = {.max_partitions = 20000, .memory.mappable_bytes = 52 << 20};
    _cleanup_(memory_free) char *reason = kafka_partitions_reason_too_many(&named, 20001);
    assert_string_equal(reason,
                        "the Kafka topics have more than 20000 partitions: select fewer topics, "
                        "or distribute the triggers over several connections");
    assert_null(kafka_partitions_reason_too_many(&named, 20000));
}

/* What a process has that has room for so many partitions: the tasks take some. */
static double room_bytes(size_t partitions)
{
    enum { TASKS_BYTES = 20000 };
    return KAFKA_MEMORY_FREE + TASKS_BYTES +
           (double)partitions * (KAFKA_MEMORY_PER_PARTITION + KAFKA_MEMORY_PER_COMMIT);
}

/* As many as fit, though nothing is known of any when they come: the others fail. */
static void topics_share_the_room_of_their_connection(void **state)
{
    enum { TOPICS = 8, EACH = 60, ROOM = 412, FIT = 6 };
    struct kafka_mock *fixture = *state;
    for (int i = 0; i < TOPICS; i++) {
        _cleanup_(memory_free) char *name = text_format("jobs-%d", i);
        kafka_mock_create_topic(fixture, name, EACH, 1);
        kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", name, 2));
    }
    kafka_mock_connect(fixture);
    struct kafka_client *client = &((struct kafka_session *)fixture->client)->client;
    client->memory.mappable_bytes = room_bytes(ROOM);
    assert_true(kafka_mock_measure(fixture));
    size_t answered = 0;
    for (size_t i = 0; i < TOPICS; i++)
        if (test_feed_task(fixture->feed, i)->ended &&
            test_feed_task(fixture->feed, i)->outcome == TASK_ANSWERED)
            answered++;
        else
            kafka_mock_assert_failed(fixture, i,
                                     "beside the 6 other topics of the connection, which have 360 "
                                     "partitions: a connection of the connections file has memory");
    assert_int_equal(answered, FIT);
    assert_int_equal(client->memory.partitions, FIT * (EACH + KAFKA_MEMORY_TOPIC));
}

static void a_pattern_whose_topics_lack_room_fails_alone(void **state)
{
    enum { LARGE = 300, ROOM = 400 };
    struct kafka_mock *fixture = *state;
    kafka_mock_create_topic(fixture, "large-1", LARGE, 1);
    kafka_mock_create_topic(fixture, "large-2", LARGE, 1);
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^large", 2));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "others", "jobs", 1));
    kafka_mock_connect(fixture);
    struct kafka_client *client = &((struct kafka_session *)fixture->client)->client;
    client->memory.mappable_bytes = room_bytes(ROOM);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_failed(fixture, 0,
                             "no memory for Kafka topic ^large beside the 2 other topics");
    kafka_mock_assert_answered(fixture, 1);
    assert_in_range(client->memory.partitions, LARGE, ROOM);
}

/* Other topics may turn out smaller than they count, which the next listing shows. */
static void a_pattern_that_may_have_room_is_listed_again(void **state)
{
    struct one_task *fixture = *state;
    struct kafka_session *session = &fixture->session;
    session->metadata = kafka_metadata_new(&session->client);
    session->client.max_partitions = KAFKA_SELECTION_MAX_PARTITIONS;
    struct kafka_topics *topics = kafka_metadata_topics(session->metadata);
    struct kafka_pattern *pattern =
        kafka_patterns_for(kafka_metadata_patterns(session->metadata), "^large", 1);
    struct kafka_metadata_need need = {0};
    fixture->query.topic = "^large";
    fixture->batch_task.selection.kind = KAFKA_SELECTION_OF_PATTERN;
    pattern->count = 1;
    pattern->received_ms = 1;
    pattern->lacks_room = true;
    for (int i = 0; i < 2; i++) {
        bool may_have_room = i == 0;
        fixture->task.has_ended = false;
        fixture->batch_task.task = &fixture->task;
        fixture->batch.open = fixture->group.open = 2; /* the group is not released */
        pattern->is_outdated = may_have_room;
        assert_false(kafka_partitions_use_selection(&fixture->batch_task, 1));
        assert_int_equal(fixture->outcome, may_have_room ? TASK_RETURNED : TASK_FAILED);
        assert_int_equal(topics->has_refused, !may_have_room);
    }
    topics->in_handle.unsized = 1;
    pattern->is_outdated = true;
    kafka_metadata_need_pattern(session->metadata, pattern, 1, &need);
    assert_int_equal(need.listing, topics->next_number);
    assert_int_equal(need.topics, topics->next_number); /* or it would be listed in vain */
    kafka_metadata_free(session->metadata);
}

static void a_partition_without_a_leader_fails_only_who_counts_it(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_create_topic(fixture, "jobs", 2, 1);
    kafka_mock_produce(fixture, "jobs", KAFKA_MOCK_MESSAGES); /* to partition 0 */
    kafka_mock_set_leader(fixture, "jobs", 1, -1);
    kafka_mock_add(fixture, kafka_mock_query_of(fixture, "workers", "jobs", "1", 2));
    kafka_mock_add(fixture, kafka_mock_query_of(fixture, "workers", "jobs", "0", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_failed(fixture, 0, "partition 1 for group workers: Broker: Leader not");
    kafka_mock_assert_answered(fixture, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kafka_mock_set_up, kafka_mock_tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_topic_that_two_tasks_name_is_counted_once_each_time,
                                        one_task_set_up, one_task_tear_down),
        cmocka_unit_test_setup_teardown(a_pattern_of_two_tasks_is_counted_once_each_time,
                                        one_task_set_up, one_task_tear_down),
        cmocka_unit_test(a_connection_of_the_connections_file_is_not_advised_to_be_one),
        cmocka_unit_test_setup_teardown(a_topic_that_the_answer_lacks_fails_its_task,
                                        one_task_set_up, one_task_tear_down),
        cmocka_unit_test_setup_teardown(a_task_whose_last_topic_fails_requests_nothing,
                                        one_task_set_up, one_task_tear_down),
        cmocka_unit_test_setup_teardown(a_task_without_partitions_says_why, one_task_set_up,
                                        one_task_tear_down),
        TEST(a_pattern_without_topics_fails_alone),
        TEST(a_pattern_of_too_many_topics_fails_alone),
        TEST(topics_of_too_many_partitions_are_refused),
        TEST(a_pattern_with_too_many_partitions_fails_each_time),
        TEST(topics_share_the_room_of_their_connection),
        TEST(a_pattern_whose_topics_lack_room_fails_alone),
        cmocka_unit_test_setup_teardown(a_pattern_that_may_have_room_is_listed_again,
                                        one_task_set_up, one_task_tear_down),
        TEST(a_partition_without_a_leader_fails_only_who_counts_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
