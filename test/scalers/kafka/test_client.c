/* Connecting to a cluster, and the handles on it. */
#include "kafka/client/client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/memory.h"
#include "scalers/kafka/peer.h"
#include "support/listener.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

enum { WITHIN_MS = 10000 };

/* ---- opening ---- */

static bool open_at(const char *brokers, enum kafka_sasl sasl, struct error *error)
{
    static char name[] = "backlog";
    const struct kafka_connection_options options = {
        .bootstrap_servers = (char *)brokers, .sasl = sasl, .username = name, .password = name};
    struct kafka_client client = {0};
    bool is_open = kafka_client_open(&client, &options, clock_now_ms() + WITHIN_MS, error);
    assert_true(kafka_client_close(&client));
    return is_open;
}

static void assert_refused_in_time(const char *brokers, int64_t within_ms)
{
    _cleanup_(error_done) struct error error = {0};
    int64_t began_ms = clock_now_ms();
    assert_false(open_at(brokers, KAFKA_SASL_PLAINTEXT, &error));
    int64_t took_ms = clock_now_ms() - began_ms;
    if (took_ms >= within_ms || strstr(error_text(&error), "cannot connect") == NULL ||
        strstr(error_text(&error), "no such user") == NULL)
        fail_msg("%lld ms: %s", (long long)took_ms, error_text(&error));
}

/* Its answer comes first, as a refusal takes fewer of them. */
static void a_broker_that_refuses_does_not_keep_us_from_the_others(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_peer refusing = {.refuses = true};
    struct kafka_peer slow = {.delay_ms = 50};
    kafka_peer_start(&refusing);
    kafka_peer_start(&slow);
    _cleanup_(memory_free) char *brokers =
        text_format("127.0.0.1:%d,127.0.0.1:%d", refusing.port, slow.port);
    if (!open_at(brokers, KAFKA_SASL_PLAINTEXT, &error))
        fail_msg("%s", error_text(&error));
    kafka_peer_stop(&refusing);
    kafka_peer_stop(&slow);
}

static void a_login_that_all_brokers_refuse_is_reported_at_once(void **state)
{
    (void)state;
    struct kafka_peer peers[] = {{.refuses = true}, {.refuses = true}};
    for (size_t i = 0; i < ARRAY_LENGTH(peers); i++)
        kafka_peer_start(&peers[i]);
    _cleanup_(memory_free) char *brokers =
        text_format("127.0.0.1:%d,127.0.0.1:%d", peers[0].port, peers[1].port);
    assert_refused_in_time(brokers, 1500);
    for (size_t i = 0; i < ARRAY_LENGTH(peers); i++)
        kafka_peer_stop(&peers[i]);
}

/* Once the other one is given up, for the better of the two reasons. */
static void a_refusal_is_the_reason_where_other_brokers_are_silent(void **state)
{
    (void)state;
    struct kafka_peer refusing = {.refuses = true};
    int port;
    int silent = listener_open(16, &port);
    kafka_peer_start(&refusing);
    _cleanup_(memory_free) char *brokers =
        text_format("127.0.0.1:%d,127.0.0.1:%d", refusing.port, port);
    assert_refused_in_time(brokers, WITHIN_MS / 2);
    kafka_peer_stop(&refusing);
    close(silent);
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Kafka has one, and allows for none; librdkafka does not wait for one then. */
static void a_cluster_without_an_id_is_connected_to(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_peer peer = {.has_no_id = true};
    kafka_peer_start(&peer);
    double began_cpu = cpu_seconds();
    int64_t began_ms = clock_now_ms();
    if (!open_at(peer.brokers, KAFKA_SASL_NONE, &error))
        fail_msg("%s, %.1f s of CPU", error_text(&error), cpu_seconds() - began_cpu);
    assert_true(clock_now_ms() - began_ms < WITHIN_MS / 2);
    kafka_peer_stop(&peer);
}

/* As the keys are checked before, this is for want of descriptors, but for tests. */
static void a_kerberos_login_that_cannot_be_set_up_fails(void **state)
{
    (void)state;
    static const char good[] = "BQIAAAAzAAEAC0VYQU1QTEUuT1JHAAF1AAAAAQAAAAABABEAEDAxMjM0NTY3ODlh"
                               "YmNkZWYAAAAB";
    static const struct {
        const char *keytab;
        const char *config;
        const char *words;
    } rows[] = {
        {"AAAA", "[libdefaults]\n", "keytab"},
        {good, "include /etc/krb5.conf\n", "kerberosConfig"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(error_done) struct error error = {0};
        struct kafka_client client = {0};
        const struct kafka_connection_options options = {
            .bootstrap_servers = "127.0.0.1:1",
            .sasl = KAFKA_SASL_GSSAPI,
            .username = "u",
            .realm = "EXAMPLE.ORG",
            .keytab = rows[i].keytab,
            .kerberos_config = rows[i].config,
        };
        assert_false(kafka_client_open(&client, &options, clock_now_ms() + WITHIN_MS, &error));
        if (strstr(error_text(&error), rows[i].words) == NULL)
            fail_msg("%s", error_text(&error));
        assert_null(client.rk);
        assert_true(kafka_client_close(&client));
    }
}

/* ---- handles ---- */

/* Starts the peer, too. */
static void open_client(struct kafka_client *client, struct kafka_peer *peer)
{
    _cleanup_(error_done) struct error error = {0};
    kafka_peer_start(peer);
    assert_true(kafka_client_open(client, &peer->options, clock_now_ms() + WITHIN_MS, &error));
}

/* The library keeps an error at least every 30 s for as long as a broker is away. */
static void errors_of_other_handles_do_not_pile_up(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    char reason[256];
    struct kafka_peer peer = {0};
    struct kafka_client client = {0};
    open_client(&client, &peer);
    rd_kafka_conf_t *settings = rd_kafka_conf_dup(client.settings);
    rd_kafka_conf_set(settings, "bootstrap.servers", "127.0.0.1:1", reason, sizeof(reason));
    rd_kafka_t *other = kafka_handles_new_handle(&client.handles, settings, false, 0, &error);
    assert_non_null(other);
    for (int i = 0; i < WITHIN_MS / 10 && rd_kafka_outq_len(other) == 0; i++)
        usleep(10 * 1000);
    assert_true(rd_kafka_outq_len(other) > 0);
    kafka_client_poll(&client);
    assert_int_equal(rd_kafka_outq_len(other), 0);
    assert_false(error_is_set(&client.last_error)); /* that is of the main handle */
    kafka_handles_end(&client.handles, other, NULL, clock_now_ms());
    assert_true(kafka_client_close(&client));
    kafka_peer_stop(&peer);
}

enum { PER_ROOM = KAFKA_MEMORY_PER_PARTITION + KAFKA_MEMORY_PER_COMMIT };

static void wait_for_endings(struct kafka_client *client)
{
    for (int i = 0; i < WITHIN_MS / 10 && kafka_handles_are_ending(&client->handles); i++) {
        usleep(10 * 1000);
        kafka_handles_poll(&client->handles);
    }
}

/* A handle counts until it is destroyed. */
static void a_handle_is_made_where_there_is_memory_for_it(void **state)
{
    (void)state;
    enum { BROKERS = 100 };
    _cleanup_(error_done) struct error error = {0};
    struct kafka_peer peer = {0};
    struct kafka_client client = {0};
    open_client(&client, &peer);
    assert_true(isinf(client.memory.mappable_bytes)); /* a test is no agent */
    kafka_client_note_brokers(&client, BROKERS);
    client.memory.mappable_bytes =
        kafka_memory_of_handle(&client.memory) + kafka_memory_kept(&client.memory);
    client.memory.partitions = 1;
    assert_null(kafka_client_new_side_handle(&client, clock_now_ms(), &error));
    assert_string_equal(error_text(&error),
                        "no memory for a further connection to each Kafka broker (there are 100): "
                        "a connection of the connections file has memory for more");
    client.memory.partitions = 0;
    rd_kafka_t *side = kafka_client_new_side_handle(&client, clock_now_ms(), &error);
    assert_non_null(side);
    assert_null(kafka_client_new_side_handle(&client, clock_now_ms(), &error));
    kafka_handles_end(&client.handles, side, NULL, clock_now_ms());
    assert_float_equal(kafka_memory_free_bytes(&client.memory), kafka_memory_kept(&client.memory),
                       0);
    wait_for_endings(&client);
    side = kafka_client_new_side_handle(&client, clock_now_ms(), &error);
    assert_non_null(side);
    kafka_handles_end(&client.handles, side, NULL, clock_now_ms());
    assert_true(kafka_client_close(&client));
    kafka_peer_stop(&peer);
}

/* The library starts a thread for each of them in every handle. */
static void brokers_that_join_later_count_in_each_handle(void **state)
{
    (void)state;
    enum { FIRST = 3, JOINED = 6, MAIN_AND_SIDE = 2 };
    const double bytes_of_joined = (double)JOINED * KAFKA_MEMORY_PER_BROKER;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_peer peer = {0};
    struct kafka_client client = {0};
    open_client(&client, &peer);
    client.memory.mappable_bytes = KAFKA_MEMORY_OTHERS;
    kafka_client_note_brokers(&client, FIRST); /* the main handle has them already */
    assert_float_equal(kafka_memory_free_bytes(&client.memory), KAFKA_MEMORY_OTHERS, 0);
    rd_kafka_t *side = kafka_client_new_side_handle(&client, clock_now_ms(), &error);
    assert_non_null(side);
    const double free_bytes = kafka_memory_free_bytes(&client.memory);
    const double room = kafka_memory_room(&client.memory);
    kafka_client_note_brokers(&client, FIRST + JOINED);
    assert_float_equal(kafka_memory_free_bytes(&client.memory),
                       free_bytes - MAIN_AND_SIDE * bytes_of_joined, 0);
    kafka_client_note_brokers(&client, FIRST); /* the library keeps the threads */
    assert_float_equal(kafka_memory_free_bytes(&client.memory),
                       free_bytes - MAIN_AND_SIDE * bytes_of_joined, 0);
    /* What the side handle takes is of the part that topics leave free. */
    assert_true(client.memory.bytes[KAFKA_ACCOUNT_HANDLES] + KAFKA_MEMORY_ANSWERS <
                KAFKA_MEMORY_FREE);
    assert_float_equal((room - kafka_memory_room(&client.memory)) * PER_ROOM, bytes_of_joined, 1);
    /* A new main handle has them, too, and the former one until it is gone. */
    rd_kafka_t *next = kafka_client_new_main_handle(&client, &error);
    assert_non_null(next);
    kafka_client_renew(&client, next, clock_now_ms());
    kafka_handles_end(&client.handles, side, NULL, clock_now_ms());
    wait_for_endings(&client);
    assert_float_equal(kafka_memory_free_bytes(&client.memory),
                       KAFKA_MEMORY_OTHERS - bytes_of_joined, 0);
    assert_true(kafka_client_close(&client));
    kafka_peer_stop(&peer);
}

/* Somebody holds it: a call of it that a broker does not answer. */
static void a_former_main_handle_has_its_memory_until_it_is_gone(void **state)
{
    (void)state;
    enum { BROKERS = 100, USED = 3000, FORMER = 2000 };
    const struct kafka_memory brokers = {.brokers = BROKERS};
    const double bytes_of_all =
        kafka_memory_of_handle(&brokers) + (USED + FORMER) * KAFKA_MEMORY_PER_PARTITION;
    const double bytes_of_used = (double)USED * KAFKA_MEMORY_PER_PARTITION;
    const double mappable_bytes = KAFKA_MEMORY_NAMED;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_peer peer = {0};
    struct kafka_client client = {0};
    open_client(&client, &peer);
    client.memory.mappable_bytes = mappable_bytes;
    kafka_client_note_brokers(&client, BROKERS);
    client.memory.partitions = USED + FORMER;
    rd_kafka_t *former = client.rk;
    rd_kafka_t *next = kafka_client_new_main_handle(&client, &error);
    assert_non_null(next);
    kafka_handles_hold(&client.handles, former);
    kafka_client_renew(&client, next, clock_now_ms());
    client.memory.partitions = USED;
    assert_float_equal(kafka_memory_free_bytes(&client.memory),
                       mappable_bytes - bytes_of_used - bytes_of_all, 1);
    assert_float_equal(
        kafka_memory_room(&client.memory) * PER_ROOM,
        mappable_bytes - (double)USED * PER_ROOM - bytes_of_all - kafka_memory_kept(&brokers), 1);
    kafka_handles_release(&client.handles, former);
    wait_for_endings(&client);
    assert_float_equal(kafka_memory_free_bytes(&client.memory), mappable_bytes - bytes_of_used, 1);
    assert_true(kafka_client_close(&client));
    kafka_peer_stop(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broker_that_refuses_does_not_keep_us_from_the_others),
        cmocka_unit_test(a_login_that_all_brokers_refuse_is_reported_at_once),
        cmocka_unit_test(a_refusal_is_the_reason_where_other_brokers_are_silent),
        cmocka_unit_test(a_cluster_without_an_id_is_connected_to),
        cmocka_unit_test(a_kerberos_login_that_cannot_be_set_up_fails),
        cmocka_unit_test(errors_of_other_handles_do_not_pile_up),
        cmocka_unit_test(a_handle_is_made_where_there_is_memory_for_it),
        cmocka_unit_test(brokers_that_join_later_count_in_each_handle),
        cmocka_unit_test(a_former_main_handle_has_its_memory_until_it_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
