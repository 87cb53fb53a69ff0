/* Whose turn it is on the informer's thread; the informer is played here. */
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

struct informer {
    struct informer_handler handler;
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
    (void)informer;
    (void)link;
    (void)kind;
    (void)namespace;
    (void)name;
}

void informer_unlink(struct informer *informer, struct informer_link *link)
{
    (void)informer;
    (void)link;
}

/* There are no objects: each trigger is refused. */
struct informer_view informer_view(const struct informer *informer,
                                   const struct informer_link *link)
{
    (void)informer;
    (void)link;
    return (struct informer_view){.is_read = true, .read_ms = INT64_MAX};
}

void informer_want_fresh(struct informer *informer, const struct informer_link *link)
{
    (void)informer;
    (void)link;
}

struct delivered {
    size_t evil, shop;
};

/* A trigger of `evil` takes a millisecond. */
static bool changed(void *context, const char *key, size_t length, struct credentials *credentials,
                    const struct hpa_facts *hpa)
{
    struct delivered *delivered = context;
    (void)length;
    (void)hpa;
    credentials_free(credentials);
    if (key[0] == 'e')
        usleep(1000);
    delivered->evil += key[0] == 'e';
    delivered->shop += key[0] == 's';
    return true;
}

static void no_namespace_waits_for_all_triggers_of_another(void **state)
{
    (void)state;
    enum { TRIGGERS = 100 };
    static const struct option table[] = {{0}};
    struct informer informer = {{0}};
    struct delivered delivered = {0};
    struct trigger_credentials *all =
        trigger_credentials_new(&(struct trigger_credentials_settings){
            .informer = &informer, .changed = changed, .context = &delivered});
    for (int i = 0; i < TRIGGERS; i++) {
        _cleanup_(memory_free) char *key = text_format("evil%d", i);
        const struct trigger_need need = {.key = key,
                                          .key_length = strlen(key),
                                          .namespace = "evil",
                                          .name = "o",
                                          .table = table};
        trigger_credentials_add(all, &need);
    }
    const struct trigger_need need = {.key = "shop",
                                      .key_length = strlen("shop"),
                                      .namespace = "shop",
                                      .name = "o",
                                      .table = table};
    trigger_credentials_add(all, &need);
    int64_t next_ms = 0;
    for (int i = 0; i < 2; i++) /* should the first be over at once, as the machine is busy */
        next_ms = informer.handler.turn(all);
    assert_int_equal(delivered.shop, 1);
    assert_in_range(delivered.evil, 1, TRIGGERS / 2);
    assert_true(next_ms <= clock_now_ms());
    for (int i = 0; i < TRIGGERS && delivered.evil < TRIGGERS; i++)
        next_ms = informer.handler.turn(all);
    assert_int_equal(delivered.evil, TRIGGERS);
    assert_int_equal(delivered.shop, 1);
    assert_true(next_ms == CLOCK_NEVER);
    struct trigger_credentials_stats stats;
    trigger_credentials_stats(all, &stats);
    assert_int_equal(stats.triggers[CREDENTIALS_REFUSED], TRIGGERS + 1);
    informer.handler.end(all);
    trigger_credentials_free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_namespace_waits_for_all_triggers_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
