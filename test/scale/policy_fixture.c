#include "scale/policy_fixture.h"

#include "base/memory.h"
#include "scale/policy/policy_words.h"
#include "support/policy_settings.h"

#include <math.h>

enum { INTERVAL_MS = 5000 };

struct policy_world world;

int set_up(void **state)
{
    (void)state;
    world = (struct policy_world){.history = history_new(),
                                  .settings = policy_no_settings(),
                                  .reading = READING_UNKNOWN,
                                  .threshold = 10,
                                  .max_useful = INFINITY,
                                  .now_ms = 1000000};
    world.history->interval_ms = INTERVAL_MS;
    world.reading.waiting = world.reading.in_flight = 0;
    world.reading.arrived = world.reading.consumed = 0;
    world.reading.consumers = 0;
    return 0;
}

int tear_down(void **state)
{
    (void)state;
    text_done(&world.words);
    history_free(world.history);
    return 0;
}

static int64_t decide(void)
{
    history_recent(world.history, &world.recent);
    _cleanup_(error_done) struct error error = {0};
    struct policy_decision decision;
    double waiting = recent_samples_waiting(&world.reading);
    const struct policy_input input = {
        .basis = {.threshold = world.threshold,
                  .has_threshold = !world.has_default_threshold,
                  .hold_ms = world.hold_ms},
        .recent = &world.recent,
        .value = isnan(waiting) ? 0 : waiting, /* as Prometheus without a series */
        .active = waiting > 0,
        .max_useful = world.max_useful,
    };
    text_clear(&world.words);
    world.fails = !policy_decide(&world.settings, &world.state, &input, &decision, &error);
    if (world.fails)
        return -1;
    world.result = decision.result;
    policy_words_add(&decision, &world.words);
    return world.result.replicas;
}

int64_t measure(double arriving, double consuming)
{
    world.now_ms += world.history->interval_ms;
    world.reading.arrived += arriving * (double)world.history->interval_ms / 1000;
    world.reading.consumed += consuming * (double)world.history->interval_ms / 1000;
    history_add(world.history, world.now_ms, &world.reading);
    return decide();
}

int64_t measure_for(int samples, double arriving, double consuming)
{
    int64_t replicas = 0;
    for (int i = 0; i < samples; i++) {
        world.reading.waiting =
            fmax(0, world.reading.waiting +
                        (arriving - consuming) * (double)world.history->interval_ms / 1000);
        replicas = measure(arriving, consuming);
    }
    return replicas;
}

void waiting(double messages)
{
    world.reading.waiting = messages;
}

void give_objective(double rate)
{
    world.settings.max_wait_ms = 60000;
    world.settings.rate = rate;
}
