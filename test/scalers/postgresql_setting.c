#include "scalers/postgresql_setting.h"

#include "base/clock.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

void setting_connect(struct setting *setting, int max_sessions)
{
    _cleanup_(error_done) struct error error = {0};
    setting->options = (struct postgresql_connection_options){.connection = setting->peer.url,
                                                              .max_sessions = max_sessions};
    setting->feed = test_feed_new(&scaler_postgresql);
    if (!scaler_postgresql.connect(&setting->options, clock_now_ms() + ENOUGH_MS, &setting->client,
                                   &error))
        fail_msg("%s", error_text(&error));
}

void setting_disconnect(struct setting *setting)
{
    test_feed_free(setting->feed);
    scaler_postgresql.disconnect(setting->client);
}

void add(struct setting *setting, const char *query, size_t times)
{
    add_known(setting, query, times, -1);
}

void add_known(struct setting *setting, const char *query, size_t times, int64_t duration_ms)
{
    for (size_t i = 0; i < times; i++) {
        setting->queries[setting->count].query = query;
        test_feed_add(setting->feed, &setting->queries[setting->count], (struct notifier){0});
        test_feed_task(setting->feed, setting->count++)->task.last_duration_ms = duration_ms;
    }
}

void measure_all(struct setting *setting)
{
    _cleanup_(error_done) struct error error = {0};
    if (!test_feed_run(setting->feed, setting->client, ENOUGH_MS, &error))
        fail_msg("%s", error_text(&error));
}
