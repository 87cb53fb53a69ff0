/* How every transport ends: which calls a drain serves, and which it cancels. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "serve/fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void a_drain_ends_streams_with_ok(void **state)
{
    struct fixture *fixture = *state;
    struct client_call *calls[10];
    open_many(fixture, calls, ARRAY_LENGTH(calls));
    assert_int_equal(server_drain(fixture->server, 10000), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
        assert_int_equal(client_call_status(calls[i]), STATUS_OK);
        client_call_free(calls[i]);
    }
    size_t turns = fixture->turns;
    server_wake(fixture->server);
    assert_int_equal(server_drain(fixture->server, 10000), 0);
    assert_int_equal(fixture->turns, turns);
    assert_refusal(&fixture->client, "/test/Echo", "late", STATUS_UNAVAILABLE);
}

struct load {
    struct fixture *fixture;
    atomic_size_t answered;
    grpc_status_code last;
    char ended[256]; /* why the last one failed */
    int64_t slowest_ms;
};

/* Calls until one fails, beside a call that keeps the connection open. */
static void *load(void *argument)
{
    struct load *load = argument;
    struct core_client client;
    core_client_init(&client, load->fixture->server->port, GRPC_COMPRESS_NONE);
    core_client_connect(&client);
    struct client_call *held = client_call_open(&client, "/test/Unread", "", 0);
    while (load->last == GRPC_STATUS_OK) {
        int64_t before_ms = clock_now_ms();
        struct client_call *call = client_call_open(&client, "/test/Echo", "x", 5000);
        free(client_call_receive(call));
        load->last = client_call_status(call);
        load->answered += load->last == GRPC_STATUS_OK;
        _cleanup_(memory_free) char *text = client_call_text(call);
        snprintf(load->ended, sizeof(load->ended), "%s", text);
        client_call_free(call);
        int64_t took_ms = clock_now_ms() - before_ms;
        load->slowest_ms = took_ms > load->slowest_ms ? took_ms : load->slowest_ms;
    }
    client_call_free(held);
    core_client_done(&client);
    return NULL;
}

/* Until a client has read GOAWAY the core resets what it sends (CANCELLED); then it cannot connect.
 * nghttp2 serves it still. */
static void every_call_that_began_under_load_is_answered_by_a_drain_and_none_hangs(void **state)
{
    enum { MIN_ANSWERED = 10 };
    struct fixture *fixture = *state;
    bool resets_late_calls = text_equal(transport->name, "grpc-core");
    struct load loads[8] = {0};
    pthread_t threads[ARRAY_LENGTH(loads)];
    for (size_t i = 0; i < ARRAY_LENGTH(loads); i++) {
        loads[i].fixture = fixture;
        assert_int_equal(pthread_create(&threads[i], NULL, load, &loads[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(loads); i++)
        for (int j = 0; j < 5000 && atomic_load(&loads[i].answered) < MIN_ANSWERED; j++)
            sleep_ms(2);
    server_drain(fixture->server, 2000);

    size_t answered = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(loads); i++) {
        pthread_join(threads[i], NULL);
        answered += loads[i].answered;
        if (loads[i].answered < MIN_ANSWERED)
            fail_msg("it ended after %zu calls: %s", (size_t)loads[i].answered, loads[i].ended);
        assert_true(loads[i].last == GRPC_STATUS_UNAVAILABLE ||
                    (loads[i].last == GRPC_STATUS_CANCELLED && resets_late_calls));
        assert_true(loads[i].slowest_ms < 1500);
    }
    assert_true(answered > ARRAY_LENGTH(loads));
    assert_int_equal(fixture->begun, answered + ARRAY_LENGTH(loads));
}

static void *wake_until_stopped(void *argument)
{
    struct fixture *fixture = argument;
    while (!atomic_load(&fixture->push))
        server_wake(fixture->server);
    return NULL;
}

static void wakes_may_come_while_the_server_drains_and_after(void **state)
{
    struct fixture *fixture = *state;
    pthread_t wakers[2];
    for (size_t i = 0; i < ARRAY_LENGTH(wakers); i++)
        assert_int_equal(pthread_create(&wakers[i], NULL, wake_until_stopped, fixture), 0);
    sleep_ms(20);
    assert_int_equal(server_drain(fixture->server, 10000), 0);
    sleep_ms(20);
    atomic_store(&fixture->push, true);
    for (size_t i = 0; i < ARRAY_LENGTH(wakers); i++)
        pthread_join(wakers[i], NULL);
}

static void a_drain_cancels_what_outlives_the_grace(void **state)
{
    struct fixture *fixture = *state;
    struct client_call *call = client_call_open(&fixture->client, "/test/Unread", "", 0);
    await_count(&fixture->begun, 1);
    int64_t before_ms = clock_now_ms();
    assert_int_equal(server_drain(fixture->server, 300), 1);
    assert_in_range(clock_now_ms() - before_ms, 300, 3000);
    assert_int_not_equal(client_call_status(call), STATUS_OK);
    client_call_free(call);
}

int main(int argc, char **argv)
{
    if (!choose_transport(argc, argv))
        return 2;
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    const struct CMUnitTest tests[] = {
        TEST(a_drain_ends_streams_with_ok),
        TEST(every_call_that_began_under_load_is_answered_by_a_drain_and_none_hangs),
        TEST(wakes_may_come_while_the_server_drains_and_after),
        TEST(a_drain_cancels_what_outlives_the_grace),
    };
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
