#include "base/clock.h"
#include "measure/scaler.h"
#include "rabbitmq/management/http.h"
#include "scalers/ended.h"
#include "scalers/management_peer.h"
#include "scalers/trigger.h"
#include "support/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_rabbitmq;

enum {
    WITHIN_MS = 20000,
    /* The peer's tokens are good for 100 s. */
    BEFORE_RENEWAL_MS = 70 * 1000,
    RENEWAL_MS = 85 * 1000,
    RETRY_MS = 5000,
    AFTER_END_MS = 200 * 1000,
};

/* A management API with a token endpoint, and what sends its GETs. Times are given; only waiting
 * for an answer takes time. */
struct fixture {
    struct management_peer peer;
    struct trigger trigger;
    struct rabbitmq_url url;
    struct rabbitmq_http *http;
    struct error error;
    int64_t start_ms;
};

static bool renew(struct fixture *fixture, int64_t after_ms)
{
    return rabbitmq_http_renew_token(fixture->http, fixture->start_ms + after_ms, &fixture->error);
}

static void start_peer(struct fixture *fixture, const char *tokens)
{
    *fixture = (struct fixture){.start_ms = clock_now_ms()};
    management_peer_start(&fixture->peer,
                          &(struct management_script){.queues = 2, .tokens = tokens});
    fixture->trigger =
        trigger_of(&scaler_rabbitmq,
                   PAIRS("host", fixture->peer.host, "queueName", "q1", "oauthTokenURI",
                         fixture->peer.token_uri, "clientID", "backlog", "clientSecret", "secret"));
    if (!fixture->trigger.good)
        fail_msg("%s", error_text(&fixture->trigger.error));
}

static void start(struct fixture *fixture, const char *tokens)
{
    start_peer(fixture, tokens);
    const struct rabbitmq_connection_options *options = fixture->trigger.options.connection;
    assert_true(rabbitmq_url_parse(options, &fixture->url, &fixture->error));
    fixture->http = rabbitmq_http_new(options, &fixture->url);
    if (!rabbitmq_http_log_in(fixture->http, clock_now_ms() + WITHIN_MS, &fixture->error))
        fail_msg("%s", error_text(&fixture->error));
    assert_true(renew(fixture, 0));
}

static void stop(struct fixture *fixture)
{
    rabbitmq_http_free(fixture->http);
    rabbitmq_url_done(&fixture->url);
    trigger_done(&fixture->trigger);
    management_peer_stop(&fixture->peer);
    error_done(&fixture->error);
}

/* A GET that is answered, and the number of the token that it had. */
static size_t get(struct fixture *fixture)
{
    struct rabbitmq_http_answer answer;
    assert_true(rabbitmq_http_has_capacity(fixture->http));
    rabbitmq_http_get(fixture->http, "/api/overview", RABBITMQ_HTTP_REPLY_BYTES, fixture,
                      clock_now_ms() + WITHIN_MS);
    assert_true(rabbitmq_http_wait_one(fixture->http, &answer));
    assert_int_equal(answer.outcome, RABBITMQ_HTTP_GOT);
    assert_ptr_equal(answer.owner, fixture);
    rabbitmq_http_answer_done(&answer);
    return fixture->peer.token_shown;
}

/* The end of a renewal, which nobody but the token takes. */
static void await_renewal(struct fixture *fixture)
{
    struct rabbitmq_http_answer answer;
    assert_false(rabbitmq_http_wait_one(fixture->http, &answer));
    assert_true(rabbitmq_http_is_idle(fixture->http));
}

static void requests_go_on_while_the_token_is_renewed(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "gh");
    assert_true(renew(&fixture, BEFORE_RENEWAL_MS));
    assert_true(rabbitmq_http_is_idle(fixture.http));
    assert_true(renew(&fixture, RENEWAL_MS));
    assert_false(rabbitmq_http_is_idle(fixture.http));
    for (int i = 0; i < 3; i++)
        assert_int_equal(get(&fixture), 1);
    assert_true(renew(&fixture, RENEWAL_MS)); /* and not twice at a time */
    assert_false(rabbitmq_http_is_idle(fixture.http));
    assert_in_range(fixture.peer.tokens, 1, 2);
    rabbitmq_http_stop(fixture.http);
    assert_true(rabbitmq_http_is_idle(fixture.http));
    stop(&fixture);
}

static void a_renewed_token_is_used(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "gg");
    assert_int_equal(get(&fixture), 1);
    assert_true(renew(&fixture, RENEWAL_MS));
    await_renewal(&fixture);
    assert_int_equal(get(&fixture), 2);
    assert_true(renew(&fixture, RENEWAL_MS + BEFORE_RENEWAL_MS));
    assert_true(rabbitmq_http_is_idle(fixture.http));
    stop(&fixture);
}

static void nothing_is_sent_with_a_token_that_has_expired(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "gg");
    assert_true(renew(&fixture, AFTER_END_MS));
    assert_false(rabbitmq_http_has_capacity(fixture.http));
    await_renewal(&fixture);
    assert_int_equal(get(&fixture), 2);
    stop(&fixture);
}

/* Or none would ever be used, where each takes longer to come than it is valid. */
static void a_token_that_came_after_its_end_is_used(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "ggh");
    assert_true(renew(&fixture, AFTER_END_MS));
    await_renewal(&fixture);
    assert_true(renew(&fixture, AFTER_END_MS + (int64_t)AFTER_END_MS));
    assert_int_equal(get(&fixture), 2);
    stop(&fixture);
}

static void a_renewal_that_failed_is_tried_again_later(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "grg");
    assert_true(renew(&fixture, RENEWAL_MS));
    await_renewal(&fixture);
    assert_int_equal(fixture.peer.tokens, 2);
    assert_true(renew(&fixture, RENEWAL_MS));
    assert_true(rabbitmq_http_is_idle(fixture.http));
    assert_int_equal(get(&fixture), 1);
    assert_true(renew(&fixture, RENEWAL_MS + RETRY_MS));
    await_renewal(&fixture);
    assert_int_equal(get(&fixture), 3);
    stop(&fixture);
}

static void without_a_valid_token_the_reason_is_reported(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "gr");
    assert_true(renew(&fixture, AFTER_END_MS));
    await_renewal(&fixture);
    assert_false(renew(&fixture, AFTER_END_MS));
    assert_non_null(strstr(error_text(&fixture.error), "without an access_token"));
    stop(&fixture);
}

static void a_client_renews_its_token(void **state)
{
    (void)state;
    struct fixture fixture;
    void *client;
    start_peer(&fixture, "gg");
    struct test_feed *feed = test_feed_new(&scaler_rabbitmq);
    test_feed_add(feed, fixture.trigger.options.query, (struct notifier){0});
    assert_true(scaler_rabbitmq.connect(fixture.trigger.options.connection,
                                        clock_now_ms() + WITHIN_MS, &client, &fixture.error));
    for (size_t token = 1; token <= 2; token++) {
        assert_true(test_feed_run(feed, client, WITHIN_MS, &fixture.error));
        assert_waiting(feed, 0, 1);
        assert_int_equal(fixture.peer.token_shown, token);
        test_feed_again(feed);
        fast_time_pass(AFTER_END_MS);
    }
    scaler_rabbitmq.disconnect(client);
    test_feed_free(feed);
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_go_on_while_the_token_is_renewed),
        cmocka_unit_test(a_renewed_token_is_used),
        cmocka_unit_test(nothing_is_sent_with_a_token_that_has_expired),
        cmocka_unit_test(a_token_that_came_after_its_end_is_used),
        cmocka_unit_test(a_renewal_that_failed_is_tried_again_later),
        cmocka_unit_test(without_a_valid_token_the_reason_is_reported),
        cmocka_unit_test(a_client_renews_its_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
