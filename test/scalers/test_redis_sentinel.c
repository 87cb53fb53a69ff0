/* Which master Redis's scaler takes, where Sentinels name several. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "scalers/ended.h"
#include "scalers/redis_peer.h"
#include "scalers/trigger.h"
#include "support/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_redis_sentinel;

enum { SENTINELS = 2, MASTERS = 2, ENOUGH_MS = 20000 };

#define MASTER(length)                                                                             \
    {                                                                                              \
        {"ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"}, {"LLEN", ":" length "\r\n"},               \
        {                                                                                          \
            .command = NULL                                                                        \
        }                                                                                          \
    }
static const struct redis_line masters[MASTERS][3] = {MASTER("1"), MASTER("2")};

/* What a Sentinel replies: with the configuration's epoch, and the master's address. */
struct sentinel {
    struct redis_peer peer;
    char epoch[128];
    char address[128];
    struct redis_line script[3];
};

static void sentinel_start(struct sentinel *sentinel, int epoch, const char *address)
{
    const char *colon = strchr(address, ':');
    int host_length = (int)(colon - address);
    char number[16];
    snprintf(number, sizeof(number), "%d", epoch);
    snprintf(sentinel->epoch, sizeof(sentinel->epoch),
             "*4\r\n$4\r\nname\r\n$4\r\nshop\r\n$12\r\nconfig-epoch\r\n$%zu\r\n%s\r\n",
             strlen(number), number);
    snprintf(sentinel->address, sizeof(sentinel->address), "*2\r\n$%d\r\n%.*s\r\n$%zu\r\n%s\r\n",
             host_length, host_length, address, strlen(colon + 1), colon + 1);
    sentinel->script[0] =
        (struct redis_line){.command = "SENTINEL MASTER", .answer = sentinel->epoch};
    sentinel->script[1] = (struct redis_line){.command = "SENTINEL GET-MASTER-ADDR-BY-NAME",
                                              .answer = sentinel->address};
    redis_peer_start(&sentinel->peer, sentinel->script);
}

/* How long the list is at the master that is taken, where the two Sentinels name one each. */
static double length_by(int first_epoch, int second_epoch)
{
    _cleanup_(error_done) struct error error = {0};
    struct redis_peer servers[MASTERS];
    struct sentinel sentinels[SENTINELS] = {0};
    const int epochs[SENTINELS] = {first_epoch, second_epoch};
    for (size_t i = 0; i < MASTERS; i++) {
        redis_peer_start(&servers[i], masters[i]);
        sentinel_start(&sentinels[i], epochs[i], servers[i].address);
    }
    _cleanup_(memory_free) char *addresses =
        text_format("%s,%s", sentinels[0].peer.address, sentinels[1].peer.address);
    _cleanup_(trigger_done) struct trigger trigger =
        trigger_of(&scaler_redis_sentinel,
                   PAIRS("addresses", addresses, "sentinelMaster", "shop", "listName", "jobs"));
    assert_true(trigger.good);
    void *client = NULL;
    if (!scaler_redis_sentinel.connect(trigger.options.connection, clock_now_ms() + ENOUGH_MS,
                                       &client, &error))
        fail_msg("%s", error_text(&error));
    struct test_feed *feed = test_feed_new(&scaler_redis_sentinel);
    test_feed_add(feed, trigger.options.query, (struct notifier){0});
    if (!test_feed_run(feed, client, ENOUGH_MS, &error))
        fail_msg("%s", error_text(&error));
    assert_ended(feed, 0, TASK_ANSWERED);
    double length = test_feed_task(feed, 0)->reading.waiting;
    test_feed_free(feed);
    scaler_redis_sentinel.disconnect(client);
    for (size_t i = 0; i < MASTERS; i++) {
        redis_peer_stop(&sentinels[i].peer);
        redis_peer_stop(&servers[i]);
    }
    return length;
}

/* A Sentinel is not waited for longer than a moment, which a busy machine may take. */
static void assert_length(int first_epoch, int second_epoch, double length)
{
    enum { TRIES = 5 };
    int tries = 0;
    while (length_by(first_epoch, second_epoch) != length)
        assert_true(++tries < TRIES);
}

/* After a failover one that was cut off names the former master, until it hears of the new one. */
static void the_sentinel_with_the_newest_epoch_is_believed(void **state)
{
    (void)state;
    assert_length(7, 8, 2);
    assert_length(8, 7, 1);
    assert_length(10, 9, 1); /* as numbers, and not as texts */
    assert_length(0, 0, 1);  /* of one that never saw a failover */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sentinel_with_the_newest_epoch_is_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
