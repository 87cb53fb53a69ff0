/* How long a turn of the informer's thread takes, and how long what was known is valid; the
 * informer and the clock are played here. */
#include "kubernetes/credentials/trigger_credentials.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { REPLACED_MS = 60 * 1000 };

static int64_t now_ms = 1000000;

int64_t __wrap_clock_now_ms(void);

int64_t __wrap_clock_now_ms(void)
{
    return now_ms;
}

struct informer {
    struct informer_handler handler;
    struct informer_view views[OBJECT_KINDS]; /* of the only object of each kind */
    void *user;                               /* of the last link */
    size_t wanted;
};

void informer_set_handler(struct informer *informer, const struct informer_handler *handler)
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
    (void)namespace;
    (void)name;
    link->entry = (struct informer_entry *)&informer->views[kind];
    informer->user = link->user;
}

void informer_unlink(struct informer *informer, struct informer_link *link)
{
    (void)informer;
    (void)link;
}

struct informer_view informer_view(const struct informer *informer,
                                   const struct informer_link *link)
{
    (void)informer;
    return *(const struct informer_view *)link->entry;
}

void informer_want_fresh(struct informer *informer, const struct informer_link *link)
{
    (void)link;
    informer->wanted++;
}

/* Read now; NULL: there is none. */
static void set_object(struct informer *informer, enum api_object_kind kind, const char *json)
{
    _cleanup_(error_done) struct error error = {0};
    struct informer_view *view = &informer->views[kind];
    api_object_free(view->object);
    *view = (struct informer_view){.is_read = true, .read_ms = now_ms};
    if (json == NULL)
        return;
    view->object = api_object_parse(kind, "shop", "orders", json, strlen(json), &error);
    assert_non_null(view->object);
}

/* It takes a millisecond. */
static bool changed(void *context, const char *key, size_t length, struct credentials *credentials,
                    const struct hpa_facts *hpa)
{
    size_t *delivered = context;
    (void)key;
    (void)length;
    (void)hpa;
    credentials_free(credentials);
    usleep(1000);
    (*delivered)++;
    return true;
}

/* Requests and watches go on in between. */
static void a_turn_takes_no_longer_however_many_triggers_there_are(void **state)
{
    (void)state;
    enum { TRIGGERS = 100 };
    static const struct option table[] = {{0}};
    struct informer informer = {{0}};
    size_t delivered = 0;
    set_object(&informer, OBJECT_SCALED_OBJECT, NULL); /* each trigger is refused */
    set_object(&informer, OBJECT_SCALED_JOB, NULL);
    struct trigger_credentials *all =
        trigger_credentials_new(&(struct trigger_credentials_settings){
            .informer = &informer, .changed = changed, .context = &delivered});
    for (int i = 0; i < TRIGGERS; i++) {
        _cleanup_(memory_free) char *key = text_format("key%d", i);
        const struct trigger_need one = {.key = key,
                                         .key_length = strlen(key),
                                         .namespace = "shop",
                                         .name = "o",
                                         .table = table};
        trigger_credentials_add(all, &one);
    }
    int64_t next_ms = 0;
    for (int i = 0; i < 2; i++) /* should the first be over at once, as the machine is busy */
        next_ms = informer.handler.turn(all);
    assert_in_range(delivered, 1, TRIGGERS / 2);
    assert_true(next_ms <= clock_now_ms());
    for (int i = 0; i < TRIGGERS && delivered < TRIGGERS; i++)
        next_ms = informer.handler.turn(all);
    assert_int_equal(delivered, TRIGGERS);
    assert_true(next_ms == CLOCK_NEVER);
    struct trigger_credentials_stats stats;
    trigger_credentials_stats(all, &stats);
    assert_int_equal(stats.triggers[CREDENTIALS_REFUSED], TRIGGERS);
    informer.handler.end(all);
    trigger_credentials_free(all);
}

/* ---- one trigger, as its object changes ---- */

#define OBJECT(queue, more)                                                                        \
    "{\"metadata\":{\"name\":\"orders\",\"namespace\":\"shop\"},\"spec\":{\"triggers\":[{"         \
    "\"type\":\"external\",\"metadata\":{\"queue\":\"" queue "\"}" more "}]}}"
#define SCALED(queue) OBJECT(queue, "")
#define SCALED_BY(queue, name) OBJECT(queue, ",\"authenticationRef\":{\"name\":\"" name "\"}")

struct trigger {
    struct informer informer;
    struct trigger_credentials *all;
    size_t deliveries;
    size_t most_bytes;            /* that there is memory for; 0: no limit */
    enum credentials_state state; /* as delivered last */
    enum error_code code;
    char *password;
};

static bool take(void *context, const char *key, size_t length, struct credentials *credentials,
                 const struct hpa_facts *hpa)
{
    struct trigger *trigger = context;
    (void)key;
    (void)length;
    (void)hpa;
    const char *password = credentials->count == 0 ? NULL : credentials->entries[0].value;
    bool has_memory =
        trigger->most_bytes == 0 || password == NULL || strlen(password) <= trigger->most_bytes;
    trigger->deliveries++;
    trigger->state = has_memory ? credentials->state : CREDENTIALS_REFUSED;
    trigger->code = has_memory ? credentials->failure.code : ERROR_LIMIT;
    free(trigger->password);
    trigger->password = has_memory ? text_copy(password) : NULL;
    credentials_free(credentials);
    return has_memory;
}

static const struct option credentials_table[] = {
    {.key = "queue", .scope = OPTION_QUERY, .type = OPTION_STRING},
    {.key = "password", .scope = OPTION_CONNECTION, .type = OPTION_STRING},
    {0}};
static const struct option_entry call_entry = {"queue", "new"};
static const struct trigger_need need = {"key",       3, "shop",           "orders",
                                         &call_entry, 1, credentials_table};

/* A call says that it has the queue "new"; the object has `queue`. */
static void begin(struct trigger *trigger, const char *json)
{
    *trigger = (struct trigger){0};
    set_object(&trigger->informer, OBJECT_SCALED_OBJECT, json);
    set_object(&trigger->informer, OBJECT_SCALED_JOB, NULL);
    now_ms += 5000;
    trigger->all = trigger_credentials_new(&(struct trigger_credentials_settings){
        .informer = &trigger->informer, .changed = take, .context = trigger});
    trigger_credentials_add(trigger->all, &need);
}

static int64_t take_turn(struct trigger *trigger)
{
    return trigger->informer.handler.turn(trigger->all);
}

static int64_t read_again(struct trigger *trigger, const char *json)
{
    set_object(&trigger->informer, OBJECT_SCALED_JOB, NULL);
    set_object(&trigger->informer, OBJECT_SCALED_OBJECT, json);
    trigger->informer.handler.changed(trigger->all, trigger->informer.user);
    return take_turn(trigger);
}

static size_t counted(const struct trigger *trigger, enum credentials_state state)
{
    struct trigger_credentials_stats stats;
    trigger_credentials_stats(trigger->all, &stats);
    return stats.triggers[state];
}

static void end(struct trigger *trigger)
{
    trigger->informer.handler.end(trigger->all);
    trigger_credentials_free(trigger->all);
    for (size_t kind = 0; kind < OBJECT_KINDS; kind++)
        api_object_free(trigger->informer.views[kind].object);
    free(trigger->password);
}

static void a_trigger_that_was_replaced_stays_valid_for_60_s(void **state)
{
    (void)state;
    struct trigger trigger;
    begin(&trigger, SCALED("new"));
    take_turn(&trigger);
    assert_int_equal(trigger.state, CREDENTIALS_VERIFIED);

    read_again(&trigger, SCALED("other"));
    now_ms += REPLACED_MS / 2;
    read_again(&trigger, SCALED("new")); /* it is there again: the next time is another one */
    now_ms += REPLACED_MS - 1;
    int64_t replaced_ms = now_ms;
    assert_true(read_again(&trigger, SCALED("other")) == replaced_ms + REPLACED_MS);
    now_ms += REPLACED_MS / 2;
    assert_true(read_again(&trigger, SCALED("third")) == replaced_ms + REPLACED_MS);
    now_ms = replaced_ms + REPLACED_MS - 1;
    take_turn(&trigger);
    assert_int_equal(trigger.deliveries, 1);

    now_ms++;
    assert_true(take_turn(&trigger) == CLOCK_NEVER);
    assert_int_equal(trigger.deliveries, 2);
    assert_int_equal(trigger.state, CREDENTIALS_REFUSED);
    assert_int_equal(trigger.code, ERROR_DENIED);
    end(&trigger);
}

/* It went back to KEDA's own scaler, as it was refused, perhaps. */
static void a_trigger_that_its_object_has_no_more_is_not_counted(void **state)
{
    (void)state;
    struct trigger trigger;
    begin(&trigger, SCALED("new"));
    take_turn(&trigger);
    assert_int_equal(counted(&trigger, CREDENTIALS_VERIFIED), 1);
    read_again(&trigger, NULL);
    assert_int_equal(trigger.code, ERROR_DENIED);
    assert_int_equal(counted(&trigger, CREDENTIALS_VERIFIED), 0);
    assert_int_equal(counted(&trigger, CREDENTIALS_REFUSED), 0);

    read_again(&trigger, SCALED("new"));
    assert_int_equal(counted(&trigger, CREDENTIALS_VERIFIED), 1);
    end(&trigger);
}

static void a_trigger_that_was_refused_is_counted_until_its_object_has_it_no_more(void **state)
{
    (void)state;
    struct trigger trigger;
    begin(&trigger, SCALED_BY("new", "missing"));
    set_object(&trigger.informer, OBJECT_TRIGGER_AUTHENTICATION, NULL);
    take_turn(&trigger);
    read_again(&trigger, SCALED_BY("new", "missing"));
    assert_int_equal(trigger.code, ERROR_INVALID);
    assert_int_equal(counted(&trigger, CREDENTIALS_REFUSED), 1);
    read_again(&trigger, SCALED("other"));
    assert_int_equal(trigger.code, ERROR_DENIED);
    assert_int_equal(counted(&trigger, CREDENTIALS_REFUSED), 0);
    end(&trigger);
}

/* 1 s until an object that was just read may be read again, and 1 s for the reply. */
static void a_new_call_waits_2_s_at_most_for_an_api_that_is_slow(void **state)
{
    (void)state;
    struct trigger trigger;
    begin(&trigger, SCALED("other"));
    int64_t added_ms = now_ms;
    assert_true(take_turn(&trigger) == added_ms + 2000);
    assert_true(trigger.informer.wanted > 0);
    now_ms = added_ms + 1999;
    take_turn(&trigger);
    assert_int_equal(trigger.deliveries, 0);

    now_ms++;
    take_turn(&trigger);
    assert_int_equal(trigger.deliveries, 1);
    assert_int_equal(trigger.state, CREDENTIALS_REFUSED);
    assert_int_equal(trigger.code, ERROR_UNAVAILABLE);

    now_ms += 3000;
    read_again(&trigger, SCALED("new"));
    assert_int_equal(trigger.deliveries, 2);
    assert_int_equal(trigger.state, CREDENTIALS_VERIFIED);
    end(&trigger);
}

static void a_call_of_no_trigger_is_denied_once_its_object_was_read_again(void **state)
{
    (void)state;
    struct trigger trigger;
    begin(&trigger, SCALED("other"));
    take_turn(&trigger);
    assert_true(read_again(&trigger, SCALED("other")) == CLOCK_NEVER);
    assert_int_equal(trigger.deliveries, 1);
    assert_int_equal(trigger.code, ERROR_DENIED);
    assert_int_equal(counted(&trigger, CREDENTIALS_REFUSED), 1); /* it never had it */

    read_again(&trigger,
               SCALED_BY("new", "unread")); /* it has it, for as long as nothing is said */
    read_again(&trigger, SCALED("other"));
    assert_int_equal(trigger.deliveries, 1);
    assert_int_equal(counted(&trigger, CREDENTIALS_REFUSED), 0);
    end(&trigger);
}

static void set_password(struct trigger *trigger, const char *base64)
{
    _cleanup_(memory_free) char *json = text_format(
        "{\"metadata\":{\"name\":\"orders\",\"namespace\":\"shop\"},\"data\":{\"p\":\"%s\"}}",
        base64);
    set_object(&trigger->informer, OBJECT_SECRET, json);
}

/* The trigger is refused until there is memory for its Secret, or the Secret is as it was before.
 */
static void a_secret_that_needs_less_memory_again_reaches_its_trigger(void **state)
{
    (void)state;
    static const char by[] = SCALED_BY("new", "orders");
    struct trigger trigger;
    begin(&trigger, by);
    trigger.most_bytes = 3;
    set_object(
        &trigger.informer, OBJECT_TRIGGER_AUTHENTICATION,
        "{\"metadata\":{\"name\":\"orders\",\"namespace\":\"shop\"},\"spec\":{"
        "\"secretTargetRef\":[{\"parameter\":\"password\",\"name\":\"orders\",\"key\":\"p\"}]}}");
    set_password(&trigger, "b25l");
    assert_true(take_turn(&trigger) == CLOCK_NEVER);
    assert_string_equal(trigger.password, "one");

    set_password(&trigger, "dHdlbHZl");
    int64_t again_ms = read_again(&trigger, by);
    assert_int_equal(trigger.code, ERROR_LIMIT);
    assert_true(again_ms > now_ms && again_ms < CLOCK_NEVER);

    set_password(&trigger, "b25l");
    assert_true(read_again(&trigger, by) == CLOCK_NEVER);
    assert_int_equal(trigger.state, CREDENTIALS_VERIFIED);
    assert_string_equal(trigger.password, "one");
    size_t deliveries = trigger.deliveries;
    read_again(&trigger, by);
    assert_int_equal(trigger.deliveries, deliveries);
    end(&trigger);
}

/* The thread may be busy for seconds, and a trigger be called for, dropped and refused meanwhile.
 */
static void what_was_sent_of_a_trigger_is_one_message(void **state)
{
    (void)state;
    enum { TIMES = 1000 };
    struct trigger trigger;
    begin(&trigger, SCALED("new"));
    trigger_credentials_remove(trigger.all, "key", 3); /* nobody ever knew of it */
    take_turn(&trigger);
    assert_int_equal(trigger.deliveries, 0);
    assert_null(trigger.informer.user);

    for (int i = 0; i < TIMES; i++) {
        trigger_credentials_remove(trigger.all, "key", 3);
        trigger_credentials_add(trigger.all, &need);
    }
    take_turn(&trigger);
    assert_int_equal(trigger.deliveries, 1);
    for (int i = 0; i < TIMES; i++)
        trigger_credentials_refresh(trigger.all, "key", 3);
    take_turn(&trigger);
    assert_int_equal(trigger.informer.wanted, 2); /* the ScaledObject, and perhaps a ScaledJob */

    trigger_credentials_refresh(trigger.all, "key", 3);
    for (int i = 0; i < TIMES; i++) { /* known, and another one in its place in the end */
        trigger_credentials_remove(trigger.all, "key", 3);
        trigger_credentials_add(trigger.all, &need);
    }
    take_turn(&trigger);
    assert_int_equal(trigger.deliveries, 2);
    assert_int_equal(counted(&trigger, CREDENTIALS_VERIFIED), 1);
    trigger_credentials_add(trigger.all, &need);
    trigger_credentials_remove(trigger.all, "other", 5);
    trigger_credentials_refresh(trigger.all, "key", 3);
    trigger_credentials_remove(trigger.all, "key", 3);
    trigger_credentials_remove(trigger.all, "key", 3);
    take_turn(&trigger);
    assert_int_equal(counted(&trigger, CREDENTIALS_VERIFIED), 0);
    trigger_credentials_add(trigger.all, &need); /* freed */
    end(&trigger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trigger_that_was_replaced_stays_valid_for_60_s),
        cmocka_unit_test(a_trigger_that_its_object_has_no_more_is_not_counted),
        cmocka_unit_test(a_trigger_that_was_refused_is_counted_until_its_object_has_it_no_more),
        cmocka_unit_test(a_new_call_waits_2_s_at_most_for_an_api_that_is_slow),
        cmocka_unit_test(a_call_of_no_trigger_is_denied_once_its_object_was_read_again),
        cmocka_unit_test(a_secret_that_needs_less_memory_again_reaches_its_trigger),
        cmocka_unit_test(what_was_sent_of_a_trigger_is_one_message),
        cmocka_unit_test(a_turn_takes_no_longer_however_many_triggers_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
