/*
 * The simulator's command line: simulator [--seed N] [--worlds N] [--steps N] [--trace]
 *
 * Runs worlds of the seeds N, N + 1, ... until so many steps are taken (see world.h). What does not
 * hold is printed with its seed, and the process fails.
 */
#include "simulator/world.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS_PER_WORLD = 50000 };

static uint64_t flag(int count, char **arguments, const char *name, uint64_t default_value)
{
    for (int i = 1; i + 1 < count; i++)
        if (strcmp(arguments[i], name) == 0)
            return strtoull(arguments[i + 1], NULL, 10);
    return default_value;
}

int main(int count, char **arguments)
{
    uint64_t seed = flag(count, arguments, "--seed", 1);
    uint64_t steps = flag(count, arguments, "--steps", 1000000);
    uint64_t worlds = flag(count, arguments, "--worlds", UINT64_MAX);
    bool traced = strcmp(arguments[count - 1], "--trace") == 0;
    uint64_t taken = 0;
    uint64_t number = 0;
    uint64_t values = 0;
    uint64_t refusals = 0;
    uint64_t held = 0;
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    for (; number < worlds && taken < steps; number++) {
        uint64_t max_steps = worlds == 1 ? steps : STEPS_PER_WORLD;
        taken += world_run(seed + number, max_steps, traced);
        values += world.values;
        refusals += world.refusals;
        held += world.held;
    }
    printf("%llu worlds, %llu steps: %llu values, %llu refusals, %llu held\n",
           (unsigned long long)number, (unsigned long long)taken, (unsigned long long)values,
           (unsigned long long)refusals, (unsigned long long)held);
    return 0;
}
