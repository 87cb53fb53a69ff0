#include "scale/fixture.h"

#include "base/clock.h"
#include "base/memory.h"
#include "measure/connection/query_internal.h"
#include "scale/connections/named_connections.h"
#include "support/connections_text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct engine *engine;
struct triggers *triggers;

const char connections_yaml[] = "connections:\n"
                                "  orders:\n"
                                "    scaler: fake\n"
                                "    source: amqp://orders\n"
                                "    namespaces: [shop, \"billing-*\"]\n"
                                "  other:\n"
                                "    scaler: isolated\n"
                                "    source: a\n";

struct connections *parse_connections(const char *yaml)
{
    _cleanup_(error_done) struct error error = {0};
    struct connections *connections = NULL;
    if (!connections_from_text(yaml, strlen(yaml), "test", ".", &connections, &error))
        fail_msg("%s", error_text(&error));
    named_connections_check(connections, fake_scalers);
    return connections;
}

struct engine_settings engine_of_triggers(void)
{
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.max_connections = 3; /* two of the file, and another one */
    settings.keeps_history = true;
    settings.program = "/bin/true";
    return settings;
}

void start_triggers_on(const struct engine_settings *settings, bool deny_inline)
{
    fake_reset();
    engine = engine_new(settings);
    triggers = triggers_new(&(struct triggers_settings){
        .scalers = fake_scalers,
        .connections = parse_connections(connections_yaml),
        .engine = engine,
        .rules = {.interval_ms = 5000, .hold_ms = 60000},
        .forget_ms = 1000,
        .deny_inline = deny_inline,
        .max = 3,
    });
}

void start_triggers(bool deny_inline)
{
    const struct engine_settings settings = engine_of_triggers();
    start_triggers_on(&settings, deny_inline);
}

int set_up(void **state)
{
    (void)state;
    start_triggers(false);
    return 0;
}

int tear_down(void **state)
{
    (void)state;
    triggers_free(triggers);
    engine_free(engine);
    return 0;
}

/* Pairs of key and value, ending with NULL. */
struct trigger *find_in(const char *namespace, int64_t now_ms, const char *const *pairs)
{
    _cleanup_(error_done) struct error error = {0};
    struct option_entry entries[32];
    struct trigger *trigger = NULL;
    size_t count = 0;
    for (; pairs[2 * count] != NULL; count++)
        entries[count] = (struct option_entry){pairs[2 * count], pairs[2 * count + 1]};
    struct trigger_ref ref = {"worker", namespace, entries, count};
    if (!triggers_find(triggers, &ref, now_ms, &trigger, &error))
        fail_msg("%s", error_text(&error));
    return trigger;
}

void assert_mistake(const struct trigger *trigger, enum error_code code, const char *words)
{
    if (trigger->parsed.mistakes.code != code ||
        strstr(error_text(&trigger->parsed.mistakes), words) == NULL)
        fail_msg("expected \"%s\", got %d: %s", words, trigger->parsed.mistakes.code,
                 error_text(&trigger->parsed.mistakes));
}

struct query *query_of(struct trigger *trigger)
{
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    if (!triggers_acquire_query(triggers, trigger, clock_now_ms(), &query, &error))
        fail_msg("%s", error_text(&error));
    return query;
}

bool is_measured(const struct trigger *trigger)
{
    _cleanup_(snapshot_done) struct snapshot now;
    query_snapshot(trigger->bound.query, &now);
    return now.known.is_measured;
}

void wait_until_measured(const struct trigger *trigger)
{
    query_demand(trigger->bound.query, clock_now_ms());
    for (int i = 0; i < 5000 && !is_measured(trigger); i++)
        usleep(2000);
    assert_true(is_measured(trigger));
}

/* Nothing is measured, or due at once: what the policy of a trigger keeps may be read. */
static bool is_at_rest(const struct query *query)
{
    _cleanup_(connection_unlock) struct connection *guard = connection_locked(query);
    return query->job.state == JOB_IDLE || query->job.state == JOB_SCHEDULED;
}

static bool is_measured_since(const struct query *query, int64_t from_ms)
{
    _cleanup_(snapshot_done) struct snapshot now;
    query_snapshot(query, &now);
    return now.known.is_measured && now.known.sent_ms >= from_ms;
}

/* On a busy machine the first measurement may be as late as from_ms, and the one that is demanded
 * comes after it. */
void measure_again(const struct trigger *trigger)
{
    const struct query *query = trigger->bound.query;
    bool is_over = false;
    usleep(2000); /* not in the millisecond of the last one */
    int64_t from_ms = clock_now_ms();
    query_demand(trigger->bound.query, from_ms);
    for (int i = 0; i < 5000 && !is_over; i++) {
        is_over = is_measured_since(query, from_ms) && is_at_rest(query);
        usleep(1000);
    }
    assert_true(is_over);
}

static bool has_failed(const struct trigger *trigger)
{
    _cleanup_(snapshot_done) struct snapshot now;
    query_snapshot(trigger->bound.query, &now);
    return now.known.last_attempt == ATTEMPT_FAILED;
}

void wait_until_failed(const struct trigger *trigger)
{
    query_demand(trigger->bound.query, clock_now_ms());
    for (int i = 0; i < 5000 && !has_failed(trigger); i++)
        usleep(2000);
    assert_true(has_failed(trigger));
}

double replicas_now(const struct trigger *trigger)
{
    struct trigger_report now;
    trigger_report(trigger, clock_now_ms(), &now);
    double replicas = now.answer.kind == ANSWER_VALUE ? now.answer.replicas : -1;
    trigger_report_done(&now);
    return replicas;
}

void set_connections(const char *yaml)
{
    triggers_set_connections(triggers, parse_connections(yaml));
    while (triggers_renew(triggers, 1))
        ;
}
