/* What every transport promises, before a small service, asked by a client on the C core. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "serve/fixture.h"
#include "serve/transport/client_names.h"

#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void a_unary_call_is_answered(void **state)
{
    struct fixture *fixture = *state;
    assert_answer(&fixture->client, "/test/Echo", "hello", "hello");
    assert_answer(&fixture->client, "/test/Echo", "", "");
}

static void an_unknown_path_is_refused_before_it_is_read(void **state)
{
    struct fixture *fixture = *state;
    assert_refusal(&fixture->client, "/other/Method", "hello", STATUS_UNIMPLEMENTED);
    assert_refusal(&fixture->client, "/other/Method", NULL, STATUS_UNIMPLEMENTED);
}

static void a_call_without_a_message_is_reported_as_half_closed(void **state)
{
    struct fixture *fixture = *state;
    assert_refusal(&fixture->client, "/test/Echo", NULL, STATUS_INVALID_ARGUMENT);
}

static void a_stream_sends_one_message_at_a_time_and_all_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct client_call *call = client_call_open(&fixture->client, "/test/Count", "1000", 0);
    for (long expected = 1000; expected > 0; expected--) {
        _cleanup_(memory_free) char *text = client_call_receive(call);
        assert_non_null(text);
        assert_int_equal(atol(text), expected);
    }
    assert_null(client_call_receive(call));
    assert_int_equal(client_call_status(call), STATUS_OK);
    assert_int_equal(fixture->refused_sends, 1);
    client_call_free(call);
}

static void the_clients_deadline_arrives(void **state)
{
    struct fixture *fixture = *state;
    struct client_call *call = client_call_open(&fixture->client, "/test/Deadline", "", 7000);
    _cleanup_(memory_free) char *left = client_call_receive(call);
    assert_in_range(atol(left), 6000, 7100); /* the wire rounds up */
    client_call_free(call);
    assert_answer(&fixture->client, "/test/Deadline", "", "-1");
}

/* The client counts from when it calls. On a busy machine a call may be given up before the
 * server knows the deadline, or before it arrives: so it is tried again. */
static void a_deadline_that_passes_ends_the_call(void **state)
{
    enum { TRIES = 20 };
    struct fixture *fixture = *state;
    const atomic_size_t *overdue = &fixture->ended_as[STATUS_DEADLINE_EXCEEDED];
    assert_answer(&fixture->client, "/test/Echo", "connected", "connected");
    for (int i = 0; i < TRIES && atomic_load(overdue) == 0; i++) {
        size_t ended = atomic_load(&fixture->ended);
        struct client_call *call = client_call_open(&fixture->client, "/test/Hold", "", 50);
        assert_int_equal(client_call_status(call), STATUS_DEADLINE_EXCEEDED);
        client_call_free(call);
        for (int j = 0; j < 500 && atomic_load(&fixture->ended) == ended; j++)
            sleep_ms(1);
    }
    assert_true(atomic_load(overdue) > 0);
}

static void a_cancelled_stream_ends_once_wherever_it_was(void **state)
{
    struct fixture *fixture = *state;
    const char *paths[] = {"/test/Hold", "/test/Unread", "/test/Count"};
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        struct client_call *call = client_call_open(&fixture->client, paths[i], "1000000", 0);
        await_count(&fixture->begun, i + 1);
        client_call_cancel(call);
        for (int tries = 0; tries < 5000 && fixture->ended_as[STATUS_CANCELLED] <= i; tries++)
            core_client_read(&fixture->client, 2);
        assert_int_equal(fixture->ended_as[STATUS_CANCELLED], i + 1);
        client_call_free(call);
    }
}

static void a_message_above_the_limit_is_refused_and_its_call_ends(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(memory_free) char *large = memory_new(MESSAGE_LIMIT + 2);
    memset(large, 'x', MESSAGE_LIMIT + 1);
    assert_refusal(&fixture->client, "/test/Echo", large, STATUS_RESOURCE_EXHAUSTED);
    await_count(&fixture->ended_as[STATUS_RESOURCE_EXHAUSTED], 1);
    large[MESSAGE_LIMIT] = '\0';
    assert_answer(&fixture->client, "/test/Echo", large, large);
}

static void the_limit_holds_for_what_a_compressed_message_grows_to(void **state)
{
    struct fixture *fixture = *state;
    struct core_client client;
    _cleanup_(memory_free) char *large = memory_new(20 * MESSAGE_LIMIT + 1);
    memset(large, 'x', 20 * (size_t)MESSAGE_LIMIT);
    core_client_init(&client, fixture->server->port, GRPC_COMPRESS_GZIP);
    assert_refusal(&client, "/test/Echo", large, STATUS_RESOURCE_EXHAUSTED);
    await_count(&fixture->ended_as[STATUS_RESOURCE_EXHAUSTED], 1);
    large[MESSAGE_LIMIT] = '\0';
    assert_answer(&client, "/test/Echo", large, large);
    core_client_done(&client);
}

static void a_long_status_text_is_cut_between_characters(void **state)
{
    struct fixture *fixture = *state;
    struct client_call *call = client_call_open(&fixture->client, "/test/Snow", "", 0);
    assert_int_equal(client_call_status(call), STATUS_INVALID_ARGUMENT);
    _cleanup_(memory_free) char *text = client_call_text(call);
    assert_in_range(strlen(text), 1000, 4096);
    assert_true(text_is_utf8(text, strlen(text)));
    client_call_free(call);
}

static void *wake_often(void *argument)
{
    for (int i = 0; i < 10000; i++)
        server_wake(argument);
    return NULL;
}

static void a_wake_from_any_thread_leads_to_a_turn(void **state)
{
    struct fixture *fixture = *state;
    pthread_t wakers[4];
    for (size_t i = 0; i < ARRAY_LENGTH(wakers); i++)
        assert_int_equal(pthread_create(&wakers[i], NULL, wake_often, fixture->server), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(wakers); i++)
        pthread_join(wakers[i], NULL);

    for (int i = 0; i < 100; i++) {
        size_t before = fixture->turns;
        server_wake(fixture->server);
        for (int j = 0; j < 5000 && fixture->turns == before; j++)
            sleep_ms(1);
        assert_true(fixture->turns > before);
    }
}

static void a_turn_comes_when_it_is_due(void **state)
{
    struct fixture *fixture = *state;
    int64_t due_ms = clock_now_ms() + 100;
    atomic_store(&fixture->due_ms, due_ms);
    server_wake(fixture->server);
    while (atomic_load(&fixture->due_ms) != CLOCK_NEVER && clock_now_ms() < due_ms + 5000)
        sleep_ms(1);
    assert_in_range(clock_now_ms(), due_ms, due_ms + 1000);
}

static void thousands_of_streams_share_a_connection_and_leave_nothing_behind(void **state)
{
    enum { STREAMS = 2000 };
    struct fixture *fixture = *state;
    struct client_call *calls[STREAMS];
    open_many(fixture, calls, STREAMS);
    assert_answer(&fixture->client, "/test/Echo", "beside", "beside");

    for (size_t i = 0; i < STREAMS; i++)
        client_call_cancel(calls[i]);
    await_count(&fixture->ended, STREAMS + 1);
    for (size_t i = 0; i < STREAMS; i++)
        client_call_free(calls[i]);
    assert_answer(&fixture->client, "/test/Echo", "after", "after");
}

static int connect_to(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        fail();
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static void a_connection_that_dies_ends_its_calls(void **state)
{
    struct fixture *fixture = *state;
    struct client_call *calls[30];
    int fd = connect_to(fixture->server->port);
    int same = fcntl(fd, F_DUPFD, 0);
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    struct core_client client = {.channel =
                                     grpc_channel_create_from_fd("test", fd, credentials, NULL),
                                 .queue = grpc_completion_queue_create_for_pluck(NULL)};
    grpc_channel_credentials_release(credentials);
    for (size_t i = 0; i < ARRAY_LENGTH(calls); i++)
        calls[i] = client_call_open(&client, i % 2 == 0 ? "/test/Hold" : "/test/Unread", "", 0);
    await_count(&fixture->begun, ARRAY_LENGTH(calls));

    shutdown(same, SHUT_RDWR);
    await_count(&fixture->ended, ARRAY_LENGTH(calls));
    for (size_t i = 0; i < ARRAY_LENGTH(calls); i++)
        client_call_free(calls[i]);
    core_client_done(&client);
    close(same);
}

static void a_wake_can_push_to_every_stream(void **state)
{
    enum { STREAMS = 200 };
    struct fixture *fixture = *state;
    struct client_call *calls[STREAMS];
    open_many(fixture, calls, STREAMS);
    atomic_store(&fixture->push, true);
    server_wake(fixture->server);
    for (size_t i = 0; i < STREAMS; i++) {
        _cleanup_(memory_free) char *text = client_call_receive(calls[i]);
        assert_string_equal(text, "pushed");
        client_call_free(calls[i]);
    }
}

static void assert_cannot_listen(struct fixture *fixture, const char *address, const char *reason)
{
    struct error error = {0};
    struct server *server = NULL;
    struct server_options there = options;
    there.listen = address;
    assert_false(server_start(transport, &there, &fixture->service, &server, &error));
    assert_null(server);
    assert_int_equal(error.code, ERROR_INVALID);
    assert_non_null(strstr(error_text(&error), address));
    assert_non_null(strstr(error_text(&error), reason));
    error_done(&error);
}

static void an_address_that_cannot_be_had_is_an_error_that_names_it_and_says_why(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(memory_free) char *taken = text_format("127.0.0.1:%d", fixture->server->port);
    assert_cannot_listen(fixture, taken, "already in use");
    assert_cannot_listen(fixture, "192.0.2.1:0", "Cannot assign");
    assert_cannot_listen(fixture, "nonsense", "host:port");
}

static void the_names_that_a_client_proves_are_passed_on(void **state)
{
    struct fixture *fixture = *state;
    assert_answer(&fixture->client, "/test/Who", "", options.tls == NULL ? "nobody" : "tester");
}

static void
who_has_none_of_the_names_that_are_admitted_is_denied_and_the_refusal_reported(void **state)
{
    static const char *const patterns[] = {"someone", "test"};
    static const struct client_rule rule = {patterns, ARRAY_LENGTH(patterns)};
    struct fixture *fixture = *state;
    struct error error = {0};
    struct server *server = NULL;
    struct core_client client;
    struct server_options narrow = options;
    narrow.client_rule = &rule;
    assert_true(server_start(transport, &narrow, &fixture->service, &server, &error));
    core_client_init(&client, server->port, GRPC_COMPRESS_NONE);
    assert_refusal(&client, "/test/Echo", "hello", STATUS_PERMISSION_DENIED);
    assert_refusal(&client, "/test/Hold", NULL, STATUS_PERMISSION_DENIED);
    assert_int_equal(fixture->begun, 0);
    assert_int_equal(fixture->refused_as[STATUS_PERMISSION_DENIED], 2);
    core_client_done(&client);
    server_free(server);
}

struct newcomers {
    struct fixture *fixture;
    atomic_bool is_over;
    atomic_size_t served;
};

static void *reconnect(void *argument)
{
    struct newcomers *newcomers = argument;
    while (!atomic_load(&newcomers->is_over)) {
        struct core_client client;
        core_client_init(&client, newcomers->fixture->server->port, GRPC_COMPRESS_NONE);
        assert_answer(&client, "/test/Echo", "new", "new");
        core_client_done(&client);
        newcomers->served++;
    }
    return NULL;
}

static void certificates_are_exchanged_while_clients_connect_and_others_stay(void **state)
{
    struct fixture *fixture = *state;
    struct newcomers newcomers = {.fixture = fixture};
    struct error error = {0};
    pthread_t threads[2];
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reconnect, &newcomers), 0);
    for (size_t served = 0; served < 20; served = atomic_load(&newcomers.served)) {
        assert_true(server_reload_tls(fixture->server, &files, &error));
        assert_answer(&fixture->client, "/test/Echo", "old", "old");
    }
    const struct tls_files missing = {.certificate = "/nowhere", .key = certificate.key_path};
    assert_false(server_reload_tls(fixture->server, &missing, &error));
    error_done(&error);
    atomic_store(&newcomers.is_over, true);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
    if (!choose_transport(argc, argv))
        return 2;
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    const struct CMUnitTest all[] = {
        TEST(a_unary_call_is_answered),
        TEST(an_unknown_path_is_refused_before_it_is_read),
        TEST(a_call_without_a_message_is_reported_as_half_closed),
        TEST(a_stream_sends_one_message_at_a_time_and_all_in_order),
        TEST(the_clients_deadline_arrives),
        TEST(a_deadline_that_passes_ends_the_call),
        TEST(a_cancelled_stream_ends_once_wherever_it_was),
        TEST(a_message_above_the_limit_is_refused_and_its_call_ends),
        TEST(the_limit_holds_for_what_a_compressed_message_grows_to),
        TEST(a_long_status_text_is_cut_between_characters),
        TEST(a_wake_from_any_thread_leads_to_a_turn),
        TEST(a_turn_comes_when_it_is_due),
        TEST(thousands_of_streams_share_a_connection_and_leave_nothing_behind),
        TEST(a_wake_can_push_to_every_stream),
        TEST(an_address_that_cannot_be_had_is_an_error_that_names_it_and_says_why),
        TEST(the_names_that_a_client_proves_are_passed_on),
    };
    const struct CMUnitTest plain[] = {
        /* The client speaks no TLS on a socket that it is given. */
        TEST(a_connection_that_dies_ends_its_calls),
    };
    const struct CMUnitTest over_tls[] = {
        TEST(who_has_none_of_the_names_that_are_admitted_is_denied_and_the_refusal_reported),
        TEST(certificates_are_exchanged_while_clients_connect_and_others_stay),
    };
    int failed = cmocka_run_group_tests(all, make_certificate, remove_certificate);
    if (options.tls == NULL)
        return failed + cmocka_run_group_tests(plain, make_certificate, remove_certificate);
    return failed + cmocka_run_group_tests(over_tls, make_certificate, remove_certificate);
}
