/* How many GETs of a pool look up the server's name at a time, and how many links they have. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler_internal.h"
#include "scalers/http_peer.h"
#include "shared/fetch_pool.h"
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
#include <cmocka.h>

enum { GETS = 30, MAX_LOOKUPS = 2, TURNS = 100, LATE_MS = 200, ENOUGH_MS = 20000 };

/* A resolver that hangs as long as it is locked, as one whose DNS server does not answer. It knows
 * one name. */
static pthread_mutex_t resolver = PTHREAD_MUTEX_INITIALIZER;
static atomic_size_t lookups;
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
    pthread_mutex_lock(&resolver);
    pthread_mutex_unlock(&resolver);
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

/* A pool of a peer, which has a name. */
struct setting {
    struct http_peer peer;
    struct tls_options tls;
    struct fetch_pool *pool;
    char *base;
    size_t ended_as[FETCH_FAILED + 1];
};

static void begin(struct setting *setting)
{
    *setting = (struct setting){0};
    lookups = 0;
    http_peer_start(&setting->peer);
    setting->base = text_format("http://prometheus.test%s/api/v1/query?query=",
                                strrchr(setting->peer.address, ':'));
    const struct fetch_source source = {
        .name = "the peer", .tls = &setting->tls, .max_body_bytes = 4096};
    setting->pool = fetch_pool_new(&source, GETS);
}

static void get(struct setting *setting, const char *query, size_t count, int64_t timeout_ms)
{
    _cleanup_(memory_free) char *url = text_format("%s%s", setting->base, query);
    for (size_t i = 0; i < count; i++)
        fetch_pool_get(setting->pool, url, setting, clock_now_ms() + timeout_ms);
}

static void note(struct setting *setting, struct fetch_ended *ended)
{
    setting->ended_as[ended->outcome]++;
    fetch_ended_done(ended);
}

static void end_all(struct setting *setting)
{
    struct fetch_ended ended;
    while (fetch_pool_wait_one(setting->pool, &ended))
        note(setting, &ended);
}

static void end(struct setting *setting)
{
    fetch_pool_free(setting->pool);
    http_peer_stop(&setting->peer);
    free(setting->base);
}

/* What libcurl does by itself, while the resolver hangs. */
static void await_lookups(struct setting *setting)
{
    struct fetch_ended ended;
    for (size_t i = 0; i < TURNS; i++) {
        assert_false(fetch_pool_take(setting->pool, &ended));
        fast_time_pass(1);
    }
}

static void only_two_look_up_a_name_and_the_others_wait_for_its_answer(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting);
    pthread_mutex_lock(&resolver);
    get(&setting, "7", GETS, ENOUGH_MS);
    assert_int_equal(fetch_pool_in_flight(setting.pool), GETS);
    assert_false(fetch_pool_has_capacity(setting.pool));
    await_lookups(&setting);
    assert_int_equal(lookups, MAX_LOOKUPS);
    pthread_mutex_unlock(&resolver);
    end_all(&setting);
    assert_int_equal(setting.ended_as[FETCH_ANSWERED], GETS);
    assert_int_equal(lookups, MAX_LOOKUPS); /* the others have it of libcurl */
    end(&setting);
}

static void those_that_wait_end_at_their_deadlines(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting);
    pthread_mutex_lock(&resolver);
    get(&setting, "7", MAX_LOOKUPS, ENOUGH_MS);
    get(&setting, "7", GETS - MAX_LOOKUPS, LATE_MS);
    struct fetch_ended ended;
    for (size_t i = 0; i < GETS - MAX_LOOKUPS; i++) {
        assert_true(fetch_pool_wait_one(setting.pool, &ended));
        note(&setting, &ended);
    }
    assert_int_equal(setting.ended_as[FETCH_TIMED_OUT], GETS - MAX_LOOKUPS);
    assert_int_equal(lookups, MAX_LOOKUPS);
    pthread_mutex_unlock(&resolver);
    end_all(&setting);
    assert_int_equal(setting.ended_as[FETCH_ANSWERED], MAX_LOOKUPS);
    end(&setting);
}

static void one_that_waits_can_be_cancelled(void **state)
{
    (void)state;
    struct setting setting;
    int owner;
    begin(&setting);
    pthread_mutex_lock(&resolver);
    get(&setting, "7", MAX_LOOKUPS, ENOUGH_MS);
    fetch_pool_get(setting.pool, setting.base, &owner, clock_now_ms() + ENOUGH_MS);
    assert_true(fetch_pool_cancel(setting.pool, &owner));
    assert_false(fetch_pool_cancel(setting.pool, &owner));
    assert_int_equal(fetch_pool_in_flight(setting.pool), MAX_LOOKUPS);
    pthread_mutex_unlock(&resolver);
    end_all(&setting);
    assert_int_equal(setting.ended_as[FETCH_ANSWERED], MAX_LOOKUPS);
    end(&setting);
}

/* As long as others have the memory, a connection has one link, over which its GETs follow each
 * other. */
static void there_is_one_link_while_others_have_the_memory(void **state)
{
    (void)state;
    struct setting setting;
    struct source_memory others[12] = {0};
    begin(&setting);
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        while (source_memory_set(&others[i], others[i].used + 4096))
            continue;
    get(&setting, "slow1", GETS, ENOUGH_MS);
    end_all(&setting);
    assert_int_equal(setting.ended_as[FETCH_ANSWERED], GETS);
    assert_int_equal(setting.peer.max_in_flight, 1);

    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert_true(source_memory_set(&others[i], 0));
    get(&setting, "slow20", GETS, ENOUGH_MS);
    end_all(&setting);
    assert_int_equal(setting.ended_as[FETCH_ANSWERED], 2 * GETS);
    assert_true(setting.peer.max_in_flight > 1);
    end(&setting);
}

static char *make_url(const void *base, const void *owner)
{
    (*(size_t *)(uintptr_t)owner)++;
    return text_format("%s7", (const char *)base);
}

static void a_url_is_made_when_its_get_begins(void **state)
{
    (void)state;
    struct setting setting;
    size_t made = 0;
    begin(&setting);
    pthread_mutex_lock(&resolver);
    for (size_t i = 0; i < GETS; i++)
        fetch_pool_get_made(setting.pool, make_url, setting.base, &made,
                            clock_now_ms() + ENOUGH_MS);
    await_lookups(&setting);
    assert_int_equal(made, MAX_LOOKUPS);
    pthread_mutex_unlock(&resolver);
    end_all(&setting);
    assert_int_equal(setting.ended_as[FETCH_ANSWERED], GETS);
    assert_int_equal(made, GETS);
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
    assert_int_equal(setting.ended_as[FETCH_ANSWERED], 1);
    has_silent_address = false;
    black_hole_close(&hole);
    end(&setting);
}

/* As to a metadata service of a cloud, that a server names. */
static void a_pool_that_follows_connects_to_no_local_address(void **state)
{
    (void)state;
    static const struct {
        bool follows;
        bool begins_elsewhere;
        enum fetch_outcome outcome;
    } rows[] = {
        {true, true, FETCH_FAILED}, {true, false, FETCH_ANSWERED}, {false, true, FETCH_ANSWERED}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct setting setting;
        begin(&setting);
        fetch_pool_free(setting.pool);
        const struct fetch_source source = {.name = "the peer",
                                            .tls = &setting.tls,
                                            .max_body_bytes = 4096,
                                            .follows = rows[i].follows};
        setting.pool = fetch_pool_new(&source, GETS);
        if (rows[i].begins_elsewhere) { /* RFC 5737: nobody is there */
            fetch_pool_get(setting.pool, "http://192.0.2.1:8222/", &setting,
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

/* Replies may have so many bytes, one alone and all together. */
static void begin_limited(struct setting *setting, size_t max_bytes)
{
    begin(setting);
    fetch_pool_free(setting->pool);
    const struct fetch_source source = {.name = "the peer",
                                        .tls = &setting->tls,
                                        .max_body_bytes = max_bytes,
                                        .max_bodies_bytes = max_bytes};
    setting->pool = fetch_pool_new(&source, GETS);
}

/* An agent has no memory for twice the largest reply. */
static void a_reply_takes_what_is_counted_and_no_more_than_the_largest(void **state)
{
    enum { MAX_BYTES = 1 << 20, STEP_BYTES = 64 << 10, NUL_BYTES = 1 };
    (void)state;
    static const struct {
        size_t bytes;
        enum fetch_outcome outcome;
    } rows[] = {
        {MAX_BYTES + 1, FETCH_TOO_LARGE}, {MAX_BYTES, FETCH_ANSWERED},
        {MAX_BYTES - 1, FETCH_ANSWERED},  {MAX_BYTES / 2 + 1, FETCH_ANSWERED},
        {1000, FETCH_ANSWERED},
    };
    struct setting setting;
    begin_limited(&setting, MAX_BYTES);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct fetch_ended ended;
        _cleanup_(memory_free) char *query = text_format("size%zu", rows[i].bytes);
        get(&setting, query, 1, ENOUGH_MS);
        assert_true(fetch_pool_wait_one(setting.pool, &ended));
        assert_int_equal(ended.outcome, rows[i].outcome);
        const struct fetch_answer *answer = &ended.answer;
        if (rows[i].outcome == FETCH_ANSWERED) {
            assert_int_equal(answer->body.length, rows[i].bytes);
            assert_in_range(answer->body.capacity, 0, answer->body.length + STEP_BYTES);
            assert_in_range(answer->body.capacity, 0, MAX_BYTES + NUL_BYTES);
            assert_int_equal(answer->memory.used + NUL_BYTES, answer->body.capacity);
        }
        note(&setting, &ended);
    }
    end(&setting);
}

/* libcurl before 8.2 read a header of the former reply there, which it had freed. */
static void a_blank_before_the_first_header_does_no_harm(void **state)
{
    static const char *const queries[] = {"7", "blank", "7", "blank", "7"};
    (void)state;
    struct setting setting;
    begin(&setting);
    for (size_t i = 0; i < ARRAY_LENGTH(queries); i++) {
        get(&setting, queries[i], 1, ENOUGH_MS);
        end_all(&setting);
    }
    assert_true(setting.ended_as[FETCH_ANSWERED] >= 3);
    assert_int_equal(setting.peer.requests, ARRAY_LENGTH(queries));
    end(&setting);
}

/* Each has half of it, less what it may grow by. */
static void replies_that_come_side_by_side_share_their_limit(void **state)
{
    enum { MAX_BYTES = 1 << 20, ROUNDS = 3 };
    (void)state;
    struct setting setting;
    begin_limited(&setting, MAX_BYTES);
    for (size_t i = 1; i <= ROUNDS; i++) {
        get(&setting, "size458752", 2, ENOUGH_MS);
        end_all(&setting);
        assert_int_equal(setting.ended_as[FETCH_ANSWERED], 2 * i);
    }
    end(&setting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_that_follows_connects_to_no_local_address),
        cmocka_unit_test(only_two_look_up_a_name_and_the_others_wait_for_its_answer),
        cmocka_unit_test(those_that_wait_end_at_their_deadlines),
        cmocka_unit_test(one_that_waits_can_be_cancelled),
        cmocka_unit_test(there_is_one_link_while_others_have_the_memory),
        cmocka_unit_test(a_url_is_made_when_its_get_begins),
        cmocka_unit_test(a_silent_address_does_not_hide_the_next),
        cmocka_unit_test(a_reply_takes_what_is_counted_and_no_more_than_the_largest),
        cmocka_unit_test(a_blank_before_the_first_header_does_no_harm),
        cmocka_unit_test(replies_that_come_side_by_side_share_their_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
