/* What a client does with names, addresses, and large replies. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kit/http.h"
#include "measure/scaler_internal.h"
#include "scalers/http_peer.h"
#include "support/black_hole.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { GETS = 30, MAX_BODY_BYTES = 4096, TURNS = 100, LATE_MS = 200, ENOUGH_MS = 20000 };

/* A resolver that hangs as long as it is locked, as one whose DNS server does not answer. It knows
 * one name. */
static pthread_mutex_t resolver = PTHREAD_MUTEX_INITIALIZER;
static atomic_size_t lookups;
static atomic_size_t running_lookups;
static bool has_silent_address; /* as the first of the two of the name: 127.0.0.2 */

static struct addrinfo *make_address(in_addr_t ip, const char *port, struct addrinfo *next)
{
    struct addrinfo *made = memory_new(sizeof(*made));
    struct sockaddr_in *address = memory_new(sizeof(*address));
    address->sin_family = AF_INET;
    address->sin_port = htons((uint16_t)atoi(port));
    address->sin_addr.s_addr = htonl(ip);
    *made = (struct addrinfo){.ai_family = AF_INET,
                              .ai_socktype = SOCK_STREAM,
                              .ai_addrlen = sizeof(*address),
                              .ai_addr = (struct sockaddr *)address,
                              .ai_next = next};
    return made;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_found)
{
    (void)hints;
    if (strcmp(host, "prometheus.test") != 0)
        return EAI_NONAME;
    lookups++;
    running_lookups++;
    pthread_mutex_lock(&resolver);
    pthread_mutex_unlock(&resolver);
    running_lookups--;
    *ret_found = make_address(INADDR_LOOPBACK, service, NULL);
    if (has_silent_address)
        *ret_found = make_address(INADDR_LOOPBACK + 1, service, *ret_found);
    return 0;
}

void freeaddrinfo(struct addrinfo *found)
{
    for (struct addrinfo *next; found != NULL; found = next) {
        next = found->ai_next;
        free(found->ai_addr);
        free(found);
    }
}

/* A client of a peer, which has a name. */
struct setting {
    struct http_peer peer;
    struct tls_options tls;
    struct http *http;
    char *base;
    size_t ended_as[HTTP_FAILED + 1];
};

static void make_client(struct setting *setting, bool follows)
{
    const struct http_endpoint endpoint = {
        .name = "the peer", .tls = &setting->tls, .follows = follows};
    http_free(setting->http);
    setting->http = http_new(&endpoint, GETS);
}

static void begin(struct setting *setting)
{
    *setting = (struct setting){0};
    lookups = 0;
    http_peer_start(&setting->peer);
    setting->base = text_format("http://prometheus.test%s/api/v1/query?query=",
                                strrchr(setting->peer.address, ':'));
    make_client(setting, false);
}

static void get(struct setting *setting, const char *query, size_t count, int64_t timeout_ms)
{
    _cleanup_(memory_free) char *url = text_format("%s%s", setting->base, query);
    for (size_t i = 0; i < count; i++)
        http_get(setting->http, url, MAX_BODY_BYTES, setting, clock_now_ms() + timeout_ms);
}

static void end_all(struct setting *setting)
{
    struct http_ended ended;
    while (http_wait_one(setting->http, &ended)) {
        setting->ended_as[ended.outcome]++;
        http_ended_done(&ended);
    }
}

static void end(struct setting *setting)
{
    http_free(setting->http);
    http_peer_stop(&setting->peer);
    free(setting->base);
}

/* What libcurl does by itself, while the resolver hangs. */
static void await_lookups(struct setting *setting)
{
    struct http_ended ended;
    for (size_t i = 0; i < TURNS; i++) {
        assert_false(http_take(setting->http, &ended));
        fast_time_pass(1);
    }
}

static void a_name_is_looked_up_once_and_then_known(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting);
    get(&setting, "7", 1, ENOUGH_MS);
    end_all(&setting);
    get(&setting, "7", GETS, ENOUGH_MS);
    assert_int_equal(http_in_flight(setting.http), GETS);
    assert_false(http_has_capacity(setting.http));
    end_all(&setting);
    assert_int_equal(setting.ended_as[HTTP_ANSWERED], GETS + 1);
    assert_int_equal(lookups, 1);
    end(&setting);
}

static void *unlock_later(void *unused)
{
    (void)unused;
    usleep(LATE_MS * 1000);
    pthread_mutex_unlock(&resolver);
    return NULL;
}

/* A resolver that is slow has as many threads as there are requests, and none when they are over:
 * each waits for its own. */
static void there_are_no_more_lookups_than_requests(void **state)
{
    (void)state;
    struct setting setting;
    pthread_t thread;
    begin(&setting);
    for (size_t i = 0; i < 3; i++) {
        lookups = 0;
        pthread_mutex_lock(&resolver);
        get(&setting, "7", GETS, ENOUGH_MS);
        await_lookups(&setting);
        assert_in_range(lookups, 1, GETS);
        assert_int_equal(running_lookups, lookups);
        pthread_create(&thread, NULL, unlock_later, NULL);
        http_stop(setting.http);
        assert_int_equal(running_lookups, 0);
        pthread_join(thread, NULL);
    }
    end(&setting);
}

static void one_is_cancelled_and_the_others_go_on(void **state)
{
    (void)state;
    struct setting setting;
    int owner;
    begin(&setting);
    get(&setting, "slow100", 2, ENOUGH_MS);
    http_get(setting.http, setting.base, MAX_BODY_BYTES, &owner, clock_now_ms() + ENOUGH_MS);
    assert_true(http_cancel(setting.http, &owner));
    assert_false(http_cancel(setting.http, &owner));
    assert_int_equal(http_in_flight(setting.http), 2);
    end_all(&setting);
    assert_int_equal(setting.ended_as[HTTP_ANSWERED], 2);
    end(&setting);
}

static void one_that_is_late_from_the_beginning_times_out(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting);
    get(&setting, "slow100", 1, 0);
    get(&setting, "slow100", 1, -1000);
    end_all(&setting);
    assert_int_equal(setting.ended_as[HTTP_TIMED_OUT], 2);
    end(&setting);
}

static void a_silent_address_does_not_hide_the_next(void **state)
{
    enum { TIMEOUT_MS = 2000 };
    (void)state;
    struct setting setting;
    struct black_hole hole;
    begin(&setting);
    black_hole_open(&hole, "127.0.0.2", atoi(strrchr(setting.peer.address, ':') + 1));
    has_silent_address = true;
    get(&setting, "7", 1, TIMEOUT_MS);
    end_all(&setting);
    assert_int_equal(setting.ended_as[HTTP_ANSWERED], 1);
    has_silent_address = false;
    black_hole_close(&hole);
    end(&setting);
}

/* As to a metadata service of a cloud, that a server names. */
static void a_client_that_follows_connects_to_no_local_address(void **state)
{
    (void)state;
    static const struct {
        bool follows;
        bool begins_elsewhere;
        enum http_outcome outcome;
    } rows[] = {
        {true, true, HTTP_FAILED}, {true, false, HTTP_ANSWERED}, {false, true, HTTP_ANSWERED}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct setting setting;
        begin(&setting);
        make_client(&setting, rows[i].follows);
        if (rows[i].begins_elsewhere) { /* RFC 5737: nobody is there */
            http_get(setting.http, "http://192.0.2.1:8222/", MAX_BODY_BYTES, &setting,
                     clock_now_ms() + LATE_MS);
            end_all(&setting);
        }
        memset(setting.ended_as, 0, sizeof(setting.ended_as));
        get(&setting, "7", 1, ENOUGH_MS);
        end_all(&setting);
        assert_int_equal(setting.ended_as[rows[i].outcome], 1);
        end(&setting);
    }
}

/* Whoever may write a trigger must not reach this machine through the server. */
static void a_client_may_refuse_all_local_addresses(void **state)
{
    (void)state;
    struct setting setting;
    struct http_ended ended;
    begin(&setting);
    const struct http_endpoint endpoint = {
        .name = "the peer", .tls = &setting.tls, .refuses_local = true};
    http_free(setting.http);
    setting.http = http_new(&endpoint, GETS);
    get(&setting, "7", 1, ENOUGH_MS);
    assert_true(http_wait_one(setting.http, &ended));
    assert_int_equal(ended.outcome, HTTP_FAILED);
    assert_non_null(strstr(error_text(&ended.error), "the peer at prometheus.test"));
    assert_non_null(strstr(error_text(&ended.error), "has a local address"));
    http_ended_done(&ended);
    assert_int_equal(setting.peer.requests, 0);
    end(&setting);
}

/* An agent has no memory for twice the largest reply. */
static void a_reply_takes_no_more_than_the_largest(void **state)
{
    enum { MAX_BYTES = 1 << 20, STEP_BYTES = 64 << 10, NUL_BYTES = 1 };
    (void)state;
    static const struct {
        size_t bytes;
        enum http_outcome outcome;
    } rows[] = {
        {MAX_BYTES + 1, HTTP_TOO_LARGE}, {MAX_BYTES, HTTP_ANSWERED},
        {MAX_BYTES - 1, HTTP_ANSWERED},  {MAX_BYTES / 2 + 1, HTTP_ANSWERED},
        {1000, HTTP_ANSWERED},
    };
    struct setting setting;
    begin(&setting);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(http_ended_done) struct http_ended ended = {0};
        _cleanup_(memory_free) char *url = text_format("%ssize%zu", setting.base, rows[i].bytes);
        http_get(setting.http, url, MAX_BYTES, &setting, clock_now_ms() + ENOUGH_MS);
        assert_true(http_wait_one(setting.http, &ended));
        assert_int_equal(ended.outcome, rows[i].outcome);
        if (rows[i].outcome == HTTP_ANSWERED) {
            const struct text *body = &ended.answer.body;
            assert_int_equal(body->length, rows[i].bytes);
            assert_in_range(body->capacity, 0, body->length + STEP_BYTES);
            assert_in_range(body->capacity, 0, MAX_BYTES + NUL_BYTES);
        }
    }
    end(&setting);
}

static void an_error_names_the_server_and_no_password(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting);
    _cleanup_(http_ended_done) struct http_ended ended = {0};
    http_get(setting.http, "http://user:sesame@127.0.0.1:1/x", MAX_BODY_BYTES, &setting,
             clock_now_ms() + ENOUGH_MS);
    assert_true(http_wait_one(setting.http, &ended));
    assert_int_equal(ended.outcome, HTTP_FAILED);
    assert_null(strstr(error_text(&ended.error), "sesame"));
    assert_non_null(strstr(error_text(&ended.error), "request to the peer at 127.0.0.1:1 failed"));
    end(&setting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_follows_connects_to_no_local_address),
        cmocka_unit_test(a_client_may_refuse_all_local_addresses),
        cmocka_unit_test(a_name_is_looked_up_once_and_then_known),
        cmocka_unit_test(there_are_no_more_lookups_than_requests),
        cmocka_unit_test(one_is_cancelled_and_the_others_go_on),
        cmocka_unit_test(one_that_is_late_from_the_beginning_times_out),
        cmocka_unit_test(a_silent_address_does_not_hide_the_next),
        cmocka_unit_test(a_reply_takes_no_more_than_the_largest),
        cmocka_unit_test(an_error_names_the_server_and_no_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
