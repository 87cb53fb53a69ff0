#include "kafka/measure/task_end.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kafka/measure/count.h"
#include "kafka/measure/progress.h"
#include "scalers/ended.h"
#include "scalers/kafka/mock.h"
#include "scalers/kafka/one_task.h"
#include "scalers/kafka/peer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

/* Its session has commits and members. */
static int set_up(void **state)
{
    _cleanup_(error_done) struct error error = {0};
    one_task_set_up(state);
    struct kafka_session *session = &((struct one_task *)*state)->session;
    struct kafka_client *client = &session->client;
    client->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    client->settings = rd_kafka_conf_new();
    kafka_handles_open(&client->handles, &client->memory, client->event_fd);
    client->rk = kafka_client_new_main_handle(client, &error);
    session->commits = kafka_commits_new(client);
    session->members = kafka_members_new(client);
    return 0;
}

static int tear_down(void **state)
{
    struct kafka_session *session = &((struct one_task *)*state)->session;
    kafka_members_free(session->members);
    kafka_commits_free(session->commits);
    assert_true(kafka_client_close(&session->client));
    return one_task_tear_down(state);
}

/* ---- persistent lag, where a measurement had no answer ---- */

enum { STUCK_MS = 60000 };

/* The commits on the task's topic have been seen not to move for so long. */
static void be_stuck(struct one_task *fixture)
{
    int64_t now_ms = clock_now_ms();
    kafka_persistence_forget_all(&fixture->session.persistence);
    struct kafka_persistence *persistence =
        kafka_batch_persistence_for(&fixture->group_topic, now_ms);
    fixture->query.exclude_persistent_lag = true;
    fixture->query.persistent_lag_ms = STUCK_MS;
    fixture->task.has_ended = true; /* for its feed */
    for (int32_t i = 0; i < ONE_TASK_PARTITIONS; i++) {
        one_task_set(fixture, (size_t)i, 3, 10);
        kafka_persistence_update(persistence, i, 3, true, now_ms - STUCK_MS - 1000);
        kafka_persistence_update(persistence, i, 3, true, now_ms - 1000);
    }
    fixture->batch.began_ms = now_ms;
    fixture->batch.open = fixture->group.open = 1;
    fixture->batch_task.count = 0; /* its topics have not come yet */
}

/* The next measurement has an answer. */
static double waiting_next(struct one_task *fixture)
{
    fixture->batch_task.task = &fixture->task;
    fixture->batch_task.group = &fixture->group;
    fixture->batch_task.count = 1;
    int64_t now_ms = clock_now_ms();
    kafka_task_end_answer(&fixture->batch_task, now_ms);
    fixture->batch_task.task = &fixture->task;
    return kafka_count_reading(&fixture->batch_task, now_ms).waiting;
}

static void lag_that_was_measured_all_along_is_persistent(void **state)
{
    struct one_task *fixture = *state;
    be_stuck(fixture);
    assert_true(waiting_next(fixture) == 0);
}

/* Nobody could commit meanwhile, either. */
static void lag_after_an_outage_of_the_coordinator_is_not_persistent(void **state)
{
    struct one_task *fixture = *state;
    be_stuck(fixture);
    fixture->query.topic = NULL;
    fixture->batch_task.selection.kind = KAFKA_SELECTION_OF_GROUP;
    fixture->group.stage = KAFKA_GROUP_REQUESTED;
    kafka_task_end_time_out(&fixture->batch_task, clock_now_ms());
    assert_true(waiting_next(fixture) == 3 * 7);
}

/* Its coordinator refused; or the answer did not name the topic, which was another one then. */
static void lag_of_topics_that_a_group_did_not_name_is_not_persistent(void **state)
{
    struct one_task *fixture = *state;
    for (int i = 0; i < 2; i++) {
        be_stuck(fixture);
        fixture->batch_task.selection.kind = KAFKA_SELECTION_OF_GROUP;
        if (i == 0)
            kafka_task_end_fail(&fixture->batch_task, clock_now_ms(), "refused");
        else
            kafka_task_end_answer(&fixture->batch_task, clock_now_ms());
        assert_true(waiting_next(fixture) == 3 * 7);
    }
}

/* The metadata did not come, so not even the group was known. */
static void lag_after_an_outage_of_the_metadata_is_not_persistent(void **state)
{
    struct one_task *fixture = *state;
    be_stuck(fixture);
    kafka_selection_init(&fixture->batch_task.selection, "jobs,mails");
    fixture->session.metadata = kafka_metadata_new(&fixture->session.client);
    fixture->batch_task.group = NULL;
    kafka_task_end_time_out(&fixture->batch_task, clock_now_ms());
    assert_true(waiting_next(fixture) == 3 * 7);
    kafka_selection_done(&fixture->batch_task.selection);
    kafka_metadata_free(fixture->session.metadata);
}

/* Its end or its commit did not come: the others go on. */
static void lag_of_a_partition_that_is_not_known_is_not_persistent(void **state)
{
    struct one_task *fixture = *state;
    for (int i = 0; i < 2; i++) {
        be_stuck(fixture);
        fixture->batch_task.count = 1;
        struct kafka_known_offset *unknown =
            i == 0 ? &fixture->ends[1].latest : &fixture->commits[1];
        const struct kafka_known_offset known = *unknown;
        unknown->state = KAFKA_OFFSET_FAILED;
        kafka_task_end_fail(&fixture->batch_task, clock_now_ms(), "failed");
        *unknown = known;
        assert_true(waiting_next(fixture) == 7);
    }
}

/* Another partition failed before the answer came, which may be any number of times in a row. Once
 * the time is over the leader has not answered. */
static void lag_of_a_partition_that_is_still_requested_stays_persistent(void **state)
{
    struct one_task *fixture = *state;
    static const struct {
        enum kafka_selection_kind kind;
        bool has_time;
        double waiting;
    } rows[] = {
        {KAFKA_SELECTION_OF_NAMES, true, 7},
        {KAFKA_SELECTION_OF_NAMES, false, 2 * 7},
        {KAFKA_SELECTION_OF_GROUP, true, 7},
        {KAFKA_SELECTION_OF_GROUP, false, 2 * 7},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        be_stuck(fixture);
        fixture->batch_task.selection.kind = rows[i].kind;
        fixture->batch_task.count = 1;
        fixture->ends[1].latest.state = KAFKA_OFFSET_FAILED;
        fixture->ends[2].latest.state = KAFKA_OFFSET_REQUESTED;
        if (rows[i].has_time)
            kafka_task_end_fail(&fixture->batch_task, clock_now_ms(), "failed");
        else
            kafka_task_end_time_out_coordinator(&fixture->batch_task, clock_now_ms());
        for (size_t partition = 1; partition < ONE_TASK_PARTITIONS; partition++)
            one_task_set(fixture, partition, 3, 10);
        const double waiting = waiting_next(fixture);
        if (waiting != rows[i].waiting)
            fail_msg("row %zu: %g", i, waiting);
    }
}

/* A missing topic is no reason to count what another trigger of the group leaves out. */
static void other_topics_of_a_group_stay_persistent(void **state)
{
    struct one_task *fixture = *state;
    be_stuck(fixture);
    kafka_selection_init(&fixture->batch_task.selection, "mails");
    kafka_task_end_fail(&fixture->batch_task, clock_now_ms(), "Kafka topic mails does not exist");
    kafka_selection_done(&fixture->batch_task.selection);
    kafka_selection_init(&fixture->batch_task.selection, "jobs");
    assert_true(waiting_next(fixture) == 0);
    kafka_selection_done(&fixture->batch_task.selection);
}

/* The metadata did not come; or it came without the topic, though the group was measured. */
static void lag_of_topics_that_a_pattern_did_not_find_is_not_persistent(void **state)
{
    struct one_task *fixture = *state;
    static const struct {
        const char *pattern;
        bool is_found;
        double waiting;
    } rows[] = {{"^j", false, 3 * 7}, {"^j", true, 3 * 7}, {"^mails$", false, 0}};
    fixture->session.metadata = kafka_metadata_new(&fixture->session.client);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        be_stuck(fixture);
        fixture->query.topic = rows[i].pattern;
        kafka_selection_init(&fixture->batch_task.selection, rows[i].pattern);
        assert_non_null(kafka_patterns_for(kafka_metadata_patterns(fixture->session.metadata),
                                           rows[i].pattern, 1));
        if (rows[i].is_found)
            kafka_task_end_answer(&fixture->batch_task, clock_now_ms());
        else
            kafka_task_end_fail(&fixture->batch_task, clock_now_ms(), "no Kafka topic matches");
        if (waiting_next(fixture) != rows[i].waiting)
            fail_msg("row %zu", i);
    }
    kafka_metadata_free(fixture->session.metadata);
}

/* Or they would end the process. */
static void a_task_fails_where_there_is_no_memory_for_its_clocks(void **state)
{
    struct one_task *fixture = *state;
    be_stuck(fixture);
    kafka_persistence_forget_all(&fixture->session.persistence);
    fixture->session.client.memory.mappable_bytes = KAFKA_MEMORY_FREE;
    fixture->batch_task.count = 1;
    fixture->task.has_ended = false;
    kafka_task_end_answer(&fixture->batch_task, clock_now_ms());
    assert_int_equal(fixture->outcome, TASK_FAILED);
    assert_string_equal(error_text(&fixture->error),
                        "no memory for excludePersistentLag of Kafka group workers: "
                        "a connection of the connections file has memory for more");
    fixture->session.client.memory.mappable_bytes = INFINITY;
    fixture->batch.open = fixture->group.open = 1;
    fixture->task.has_ended = false;
    assert_true(waiting_next(fixture) == 3 * 7);
    assert_int_equal(fixture->outcome, TASK_ANSWERED);
}

/* The group's call is under way from before, and so the task is never sent. Nobody could commit
 * meanwhile, either; of a topic that the task was not for nothing is said. */
static void lag_is_not_persistent_after_a_wait_for_a_coordinator(void **state)
{
    enum { TRIES = 6 };
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    const void *options = kafka_mock_query(fixture, "silent", "jobs", 3);
    struct kafka_query *query = (struct kafka_query *)options;
    query->exclude_persistent_lag = true;
    kafka_mock_add(fixture, query);
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    bool has_waited = false;
    for (int i = 0; i < TRIES && !has_waited; i++) {
        int64_t began_ms = clock_now_ms();
        struct kafka_persistence *persistence = kafka_persistence_for(
            &session->persistence, &session->client.memory, "silent", "jobs", 1, began_ms);
        kafka_persistence_update(persistence, 0, 1, true, began_ms - STUCK_MS);
        struct kafka_persistence *others = kafka_persistence_for(
            &session->persistence, &session->client.memory, "silent", "mails", 1, began_ms);
        kafka_persistence_update(others, 0, 1, true, began_ms - STUCK_MS);
        const struct test_task *task = test_feed_task(fixture->feed, 0);
        size_t started = task->started;
        bool must_wait =
            !kafka_commits_is_free(session->commits, "silent", task->task.isolate, began_ms);
        kafka_mock_run_again(fixture);
        assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT,
                          "Kafka group silent: its coordinator did not answer within 600 ms");
        persistence = kafka_persistence_for(&session->persistence, &session->client.memory,
                                            "silent", "jobs", 1, clock_now_ms());
        assert_int_equal(kafka_persistence_ms(persistence, 0, clock_now_ms()), 0);
        others = kafka_persistence_for(&session->persistence, &session->client.memory, "silent",
                                       "mails", 1, clock_now_ms());
        assert_true(kafka_persistence_ms(others, 0, clock_now_ms()) >= STUCK_MS);
        has_waited = must_wait && task->started == started;
    }
    assert_true(has_waited);
}

/* ---- the time of a task is over ---- */

/* What its leader does not answer is requested again with the newest metadata: it may not lead any
 * more. It is named, though by now another one is known to lead. */
static void a_task_whose_time_is_over_says_who_did_not_answer(void **state)
{
    struct one_task *fixture = *state;
    static int32_t leaders[ONE_TASK_PARTITIONS] = {5, -1, 7};
    static const struct kafka_known_offset requested = {.state = KAFKA_OFFSET_REQUESTED,
                                                        .leader = 6};
    static const char of_metadata[] = "Kafka did not answer a request for metadata within 700 ms";
    static const char of_coordinator[] =
        "the commits of Kafka group workers: its coordinator did not answer within 700 ms";
    static const char of_leader[] =
        "Kafka broker 6, which leads partition 1 of topic jobs, did not answer within 700 ms";
    const struct {
        enum kafka_group_stage stage;
        struct kafka_ends ends;
        const char *words; /* NULL: it is answered, without the members */
    } rows[] = {
        {KAFKA_GROUP_AWAITS_METADATA, {ONE_TASK_KNOWN(5), ONE_TASK_KNOWN(3)}, of_metadata},
        {KAFKA_GROUP_REQUESTED, {ONE_TASK_KNOWN(5), ONE_TASK_KNOWN(3)}, of_coordinator},
        {KAFKA_GROUP_ANSWERED, {requested, ONE_TASK_KNOWN(3)}, of_leader},
        {KAFKA_GROUP_ANSWERED, {ONE_TASK_KNOWN(5), requested}, of_leader},
        {KAFKA_GROUP_ANSWERED, {ONE_TASK_KNOWN(5), ONE_TASK_KNOWN(3)}, NULL},
    };
    fixture->session.metadata = kafka_metadata_new(&fixture->session.client);
    fixture->session.offsets = kafka_offsets_new(&fixture->session.client);
    fixture->query.offset_reset_policy = KAFKA_RESET_EARLIEST;
    fixture->task.timeout_ms = 700;
    fixture->commits[1].value = ONE_TASK_NO_COMMIT;
    fixture->ends[0].latest.again_step = 1; /* which another group waits for */
    fixture->ends[0].latest.leader = 9;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct kafka_topic known = {.leaders = leaders, .partition_count = ONE_TASK_PARTITIONS};
        fixture->topic.known = &known;
        fixture->group.stage = rows[i].stage;
        fixture->ends[1] = rows[i].ends;
        fixture->batch_task.task = &fixture->task;
        fixture->task.has_ended = false;
        kafka_task_end_time_out(&fixture->batch_task, clock_now_ms());
        assert_null(fixture->batch_task.task);
        assert_int_equal(fixture->outcome, rows[i].words == NULL ? TASK_ANSWERED : TASK_TIMED_OUT);
        if (rows[i].words != NULL)
            assert_string_equal(error_text(&fixture->error), rows[i].words);
        assert_int_equal(known.is_outdated, rows[i].words == of_leader);
    }
    kafka_offsets_free(fixture->session.offsets);
    kafka_metadata_free(fixture->session.metadata);
}

/* Which is no fault of its coordinator. */
static void a_task_that_waits_for_other_groups_says_so(void **state)
{
    struct one_task *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_peer peer = {.too_long_commits = "others,workers"};
    struct kafka_commits_request others = {.group = "others"};
    struct kafka_commits_request *requests[] = {&others, &fixture->group.request};
    static const char words[] =
        "the commits of Kafka group workers: they waited for those of other "
        "groups, as a reply was longer than 4 MiB, for 700 ms";
    kafka_peer_start(&peer);
    struct kafka_session *session = kafka_peer_connect(&peer);
    struct kafka_commits *commits = session->commits;
    const int64_t now_ms = clock_now_ms();
    rd_kafka_event_t *event;
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        assert_true(kafka_commits_send(commits, requests[i], NULL, now_ms, &error));
        while (!kafka_commits_is_waiting(commits, requests[i]->group)) {
            assert_null(kafka_commits_receive(commits, &event, now_ms));
            usleep(1000);
        }
    }
    fixture->task.timeout_ms = 700;
    /* None is sent, as there is no memory for that. */
    kafka_client_note_brokers(&session->client, 3);
    session->client.memory.mappable_bytes = 0;
    kafka_commits_maintain(commits, now_ms);
    kafka_task_end_time_out_waiting(session, &fixture->task);
    assert_string_equal(error_text(&fixture->error),
                        "the commits of Kafka group workers were not requested within 700 ms, as "
                        "a reply was longer than 4 MiB: no memory for a further connection to "
                        "each Kafka broker (there are 3): a connection of the connections file "
                        "has memory for more");
    fixture->task.has_ended = false;
    session->client.memory.mappable_bytes = INFINITY;
    kafka_commits_maintain(commits, now_ms); /* the first is sent */
    kafka_task_end_time_out_waiting(session, &fixture->task);
    assert_string_equal(error_text(&fixture->error), words);
    /* Or one that has been sent. It is the last one of its group. */
    fixture->task.has_ended = false;
    fixture->batch.session = session;
    fixture->batch.open = fixture->group.open = 1;
    kafka_task_end_time_out_coordinator(&fixture->batch_task, now_ms);
    assert_string_equal(error_text(&fixture->error), words);
    assert_false(kafka_commits_is_waiting(commits, "workers"));
    kafka_session_disconnect(session);
    kafka_peer_stop(&peer);
}

/* ---- an end is requested again ---- */

enum { REQUESTED_MS = 1, WORKERS_END_MS = 3, OTHERS_END_MS = 5 };

struct again_row {
    int32_t leader;   /* of the partition; -1: none */
    bool is_answered; /* by the leader */
    rd_kafka_resp_err_t error;
    enum task_outcome workers;
    enum task_outcome others;
    const char *words; /* in the other task's error */
};

static void answer_again(struct one_task *workers, rd_kafka_resp_err_t error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *result = rd_kafka_topic_partition_list_add(list, "jobs", 1);
    result->opaque = &workers->topic;
    result->offset = 110;
    result->err = error;
    kafka_progress_offsets(&(struct kafka_offset_answer){.list = list, .owner = &workers->batch},
                           REQUESTED_MS);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Group workers knows all of its task, which waits for the members. The commit of group others is
 * beyond the end of partition 1. */
static void run_again_row(struct one_task *workers, struct one_task *others,
                          const struct again_row *row)
{
    int32_t leaders[ONE_TASK_PARTITIONS] = {6, row->leader, 6};
    struct kafka_topic known = {
        .leaders = leaders, .partition_count = ONE_TASK_PARTITIONS, .received_ms = REQUESTED_MS};
    struct kafka_batch *batch = &workers->batch;
    others->group.batch = others->batch_task.batch = batch;
    others->group_topic.key.topic = &workers->topic;
    struct kafka_batch_task tasks[] = {workers->batch_task, others->batch_task};
    batch->tasks = tasks;
    batch->count = batch->open = ARRAY_LENGTH(tasks);
    batch->next_deadline_ms = 0;
    workers->topic.known = &known;
    workers->group.open = others->group.open = 1;
    workers->group.stage = others->group.stage = KAFKA_GROUP_ANSWERED;
    workers->task.has_ended = false;
    workers->task.wants = READING_WANT_CONSUMERS;
    workers->task.deadline_ms = WORKERS_END_MS;
    others->task.deadline_ms = OTHERS_END_MS;
    one_task_set(workers, 1, 90, 100);
    others->commits[1].value = 105;

    kafka_progress_try(batch, REQUESTED_MS);
    assert_true(kafka_batch_task_is_open(&tasks[0]));
    if (row->is_answered)
        answer_again(workers, row->error);
    kafka_progress_time(batch, WORKERS_END_MS);
    assert_false(kafka_batch_task_is_open(&tasks[0]));
    kafka_progress_time(batch, OTHERS_END_MS);
    assert_false(kafka_batch_task_is_open(&tasks[1]));
}

/* For the tasks whose commits are not beyond it, also where the second request fails. */
static void an_end_that_is_requested_again_stays_known(void **state)
{
    struct one_task *workers = *state;
    struct kafka_session *session = &workers->session;
    static const char of_leader[] =
        "Kafka broker 6, which leads partition 1 of topic jobs, did not";
    static const char of_offset[] = "the last offset of Kafka topic jobs partition 1 for group";
    static const struct again_row rows[] = {
        {6, false, 0, TASK_ANSWERED, TASK_TIMED_OUT, of_leader},
        {6, true, 0, TASK_ANSWERED, TASK_ANSWERED, ""},
        {6, true, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, TASK_ANSWERED, TASK_FAILED,
         of_offset},
        {-1, false, 0, TASK_ANSWERED, TASK_FAILED, of_offset},
    };
    session->metadata = kafka_metadata_new(&session->client);
    session->offsets = kafka_offsets_new(&session->client);
    workers->batch.began_ms = REQUESTED_MS;
    kafka_members_request(session->members, "workers", REQUESTED_MS);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        void *others_state;
        one_task_set_up(&others_state);
        const struct one_task *others = others_state;
        run_again_row(workers, others_state, &rows[i]);
        if (workers->outcome != rows[i].workers || others->outcome != rows[i].others ||
            strstr(error_text(&others->error), rows[i].words) == NULL)
            fail_msg("row %zu: %s; %s", i, error_text(&workers->error), error_text(&others->error));
        one_task_tear_down(&others_state);
    }
    kafka_offsets_free(session->offsets);
    kafka_metadata_free(session->metadata);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define OF_CLUSTER(name)                                                                           \
    cmocka_unit_test_setup_teardown(name, kafka_mock_set_up, kafka_mock_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(lag_that_was_measured_all_along_is_persistent),
        TEST(lag_after_an_outage_of_the_coordinator_is_not_persistent),
        TEST(lag_of_topics_that_a_group_did_not_name_is_not_persistent),
        TEST(lag_after_an_outage_of_the_metadata_is_not_persistent),
        TEST(lag_of_a_partition_that_is_not_known_is_not_persistent),
        TEST(lag_of_a_partition_that_is_still_requested_stays_persistent),
        TEST(a_task_fails_where_there_is_no_memory_for_its_clocks),
        TEST(other_topics_of_a_group_stay_persistent),
        TEST(lag_of_topics_that_a_pattern_did_not_find_is_not_persistent),
        OF_CLUSTER(lag_is_not_persistent_after_a_wait_for_a_coordinator),
        TEST(a_task_whose_time_is_over_says_who_did_not_answer),
        TEST(a_task_that_waits_for_other_groups_says_so),
        TEST(an_end_that_is_requested_again_stays_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
