/* What is handed over of the Secrets of teams, which the informer, played here, has read. */
#include "kubernetes/credentials/team_secrets.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static int64_t now_ms = 1000;

/* The linker has what is tested call this one. */
int64_t __wrap_clock_now_ms(void);
int64_t __wrap_clock_now_ms(void)
{
    return now_ms;
}

struct informer {
    struct informer_handler handler;
    struct informer_view view;
    void *user; /* of the link */
    size_t wanted;
};

void informer_add_handler(struct informer *informer, const struct informer_handler *handler)
{
    informer->handler = *handler;
}

void informer_wake(struct informer *informer)
{
    (void)informer;
}

bool informer_is_stopping(struct informer *informer)
{
    (void)informer;
    return false;
}

void informer_link(struct informer *informer, struct informer_link *link, enum api_object_kind kind,
                   const char *namespace, const char *name)
{
    (void)kind;
    (void)namespace;
    (void)name;
    informer->user = link->user;
}

void informer_unlink(struct informer *informer, struct informer_link *link)
{
    (void)link;
    informer->user = NULL;
}

struct informer_view informer_view(const struct informer *informer,
                                   const struct informer_link *link)
{
    (void)link;
    return informer->view;
}

void informer_want_fresh(struct informer *informer, const struct informer_link *link)
{
    (void)link;
    informer->wanted++;
}

/* ---- who is notified ---- */

struct known {
    bool is_busy;
    size_t count;         /* how often it was told */
    bool has_connections; /* ... last, as the failure */
    bool is_failing;
};

static bool take(void *context, const char *namespace, struct connections *connections,
                 const struct error *failure)
{
    struct known *known = context;
    assert_string_equal(namespace, "shop");
    if (!known->is_busy) {
        known->count++;
        known->has_connections = connections != NULL;
        known->is_failing = error_is_set(failure);
    }
    connections_free(connections);
    return !known->is_busy;
}

static struct team_secrets *follow_shop(struct informer *informer, struct known *known)
{
    struct team_secrets *secrets =
        team_secrets_new(&(struct team_secrets_settings){informer, "name", take, known});
    team_secrets_add(secrets, "shop");
    informer->handler.turn(informer->handler.context);
    return secrets;
}

/* Returns when the turn after it must be. */
static int64_t take_turn_at(struct informer *informer, int64_t turn_ms)
{
    now_ms = turn_ms;
    return informer->handler.turn(informer->handler.context);
}

static void read_secret(struct informer *informer, struct api_object *object, int64_t read_ms)
{
    object->connections = connections_new();
    informer->view = (struct informer_view){.is_read = true, .object = object, .read_ms = read_ms};
    informer->handler.changed(informer->handler.context, informer->user);
}

static void a_secret_that_could_not_be_handed_over_is_still_there(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error failure = {0};
    struct informer informer = {0};
    struct known known = {.is_busy = true};
    struct api_object object = {0};
    struct team_secrets *secrets = follow_shop(&informer, &known);

    read_secret(&informer, &object, 1000);
    int64_t retry_ms = informer.handler.turn(informer.handler.context);
    assert_int_equal(informer.wanted, 0);
    assert_true(retry_ms != CLOCK_NEVER);
    assert_true(take_turn_at(&informer, retry_ms) == CLOCK_NEVER);
    assert_int_equal(informer.wanted, 1);

    known.is_busy = false;
    error_unavailable(&failure, "the API is away");
    informer.view.failure = &failure;
    informer.handler.changed(informer.handler.context, informer.user);
    assert_int_equal(known.count, 1);
    assert_true(known.is_failing);

    read_secret(&informer, &object, 2000);
    assert_int_equal(known.count, 2);
    assert_true(known.has_connections && !known.is_failing);

    informer.handler.end(informer.handler.context);
    team_secrets_free(secrets);
}

/* The trigger's calls would wait for the Secret, and not say why it is not there. */
static void a_failure_that_could_not_be_handed_over_is_handed_over_again(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error failure = {0};
    struct informer informer = {.view = {.failure = &failure}};
    struct known known = {.is_busy = true};
    struct team_secrets *secrets = follow_shop(&informer, &known);

    error_unavailable(&failure, "forbidden");
    informer.handler.changed(informer.handler.context, informer.user);
    int64_t failed_ms = now_ms;
    int64_t first_ms = informer.handler.turn(informer.handler.context);
    int64_t second_ms = take_turn_at(&informer, first_ms);
    assert_int_equal(known.count, 0);
    assert_true(second_ms != CLOCK_NEVER && second_ms - first_ms > first_ms - failed_ms);

    known.is_busy = false;
    assert_true(take_turn_at(&informer, second_ms) == CLOCK_NEVER);
    assert_int_equal(known.count, 1);
    assert_true(known.is_failing);
    assert_int_equal(informer.wanted, 0); /* the informer reads it again by itself */

    informer.handler.end(informer.handler.context);
    team_secrets_free(secrets);
}

/* Without a watch it is read every few seconds: its mistakes would be logged each time. */
static void a_secret_that_has_not_changed_is_handed_over_once(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error failure = {0};
    struct informer informer = {0};
    struct known known = {0};
    struct api_object object = {.revision = (char *)"1"};
    struct team_secrets *secrets = follow_shop(&informer, &known);

    for (int64_t read_ms = 1000; read_ms < 4000; read_ms += 1000) {
        read_secret(&informer, &object, read_ms);
        assert_int_equal(known.count, 1);
        assert_null(object.connections);
    }
    object.revision = (char *)"2";
    read_secret(&informer, &object, 4000);
    assert_int_equal(known.count, 2);
    error_unavailable(&failure, "the API is away");
    informer.view.failure = &failure;
    informer.handler.changed(informer.handler.context, informer.user);
    assert_true(known.is_failing);
    read_secret(&informer, &object, 5000);
    assert_int_equal(known.count, 4);
    assert_false(known.is_failing);

    for (int64_t read_ms = 6000; read_ms < 8000; read_ms += 1000) { /* it is deleted */
        informer.view = (struct informer_view){.is_read = true, .read_ms = read_ms};
        informer.handler.changed(informer.handler.context, informer.user);
        assert_int_equal(known.count, 5);
        assert_false(known.has_connections);
    }

    informer.handler.end(informer.handler.context);
    team_secrets_free(secrets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_that_could_not_be_handed_over_is_still_there),
        cmocka_unit_test(a_failure_that_could_not_be_handed_over_is_handed_over_again),
        cmocka_unit_test(a_secret_that_has_not_changed_is_handed_over_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
