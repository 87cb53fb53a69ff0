/*
 * Thresholds and the objective, side by side: twelve traces of two hours, 10/s per replica,
 * start-up 20 s, at most 100 replicas, nobody to wait longer than 60 s. Run it with ./dev bench
 * policies.
 *
 * For each speed of the workers the objective (maxWait, ratePerReplica: measured or given) is
 * compared with the best single threshold that anybody could have chosen, knowing the traces: the
 * cheapest one whose seconds over the objective are near the fewest. Arrivals go with the speed, so
 * that all speeds need the same replicas, but for the last table.
 */
#include "base/memory.h"
#include "model/simulation.h"
#include "support/policy_settings.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECONDS = 7200, TRACES = 12, OBJECTIVE_S = 60, TOLERATED_S = 60, PER_REPLICA = 10 };

static const char *const trace_names[TRACES] = {
    "step",          "one-minute spike", "sine 10 min",   "sine 60 min",
    "ramp",          "sawtooth",         "on/off 5 min",  "batches of 6,000",
    "batches of 37", "trickle 0.5/s",    "growing steps", "double spikes",
};

static double wave(int second, int period)
{
    return 50 - 48 * cos(2 * M_PI * second / period);
}

/* Messages in this second, for workers of 10/s. */
static double arrivals_at(int trace, int second)
{
    int half_hour = second % 1800;
    bool first = half_hour >= 600 && half_hour < 660, again = half_hour >= 780 && half_hour < 840;
    switch (trace) {
    case 0:
        return second >= 600 && second < 3000 ? 100 : 2;
    case 1:
        return second >= 3600 && second < 3660 ? 100 : 2;
    case 2:
        return wave(second, 600);
    case 3:
        return wave(second, 3600);
    case 4:
        return 2 + 198.0 * second / SECONDS;
    case 5:
        return 100.0 * (second % 1200) / 1200;
    case 6:
        return second / 300 % 2 == 1 ? 100 : 0;
    case 7:
        return second % 1200 == 600 ? 6000 : 0;
    case 8:
        return second % 300 == 150 ? 37 : 0;
    case 9:
        return 0.5;
    case 10:
        return 10 * (1 + second / 600);
    default:
        return first || again ? 100 : 5;
    }
}

/* One world: how fast workers are, whether they change, and the noise. */
struct world {
    double rate;
    double arrivals; /* times what the traces say */
    double change;   /* of the speed, after an hour; 1: none */
    double noise;
};

struct sums {
    double replica_hours;
    double longest_s;
    long over, changes;
};

static struct simulation_settings settings_of(const struct world *world, double threshold)
{
    struct simulation_settings settings = {
        .model = model_default_settings(),
        .target = threshold,
        .is_push = true,
        .objective_s = OBJECTIVE_S,
        .workers = {.rate = world->rate, .startup_s = 20, .noise = world->noise},
    };
    if (world->change != 1) {
        settings.workers.change_at_s = SECONDS / 2;
        settings.workers.change = world->change;
    }
    return settings;
}

static struct policy_settings objective_of(const struct world *world, bool is_measured)
{
    struct policy_settings policy = policy_no_settings();
    policy.max_wait_ms = OBJECTIVE_S * 1000;
    policy.rate = is_measured ? 0 : world->rate;
    policy.start_ms = 20 * 1000;
    policy.max_replicas = 100;
    return policy;
}

static struct sums simulate_world(const struct world *world, const struct simulation_settings *base,
                                  bool prints)
{
    struct sums sums = {0};
    _cleanup_(memory_free) double *arrivals = memory_array(SECONDS, sizeof(*arrivals));
    for (int trace = 0; trace < TRACES; trace++) {
        struct simulation_settings settings = *base;
        settings.workers.seed = (uint64_t)trace + 1;
        for (int second = 0; second < SECONDS; second++)
            arrivals[second] = arrivals_at(trace, second) * world->arrivals;
        struct simulation one;
        simulation_run(&settings, &(struct trace){arrivals, SECONDS}, &one);
        if (prints)
            printf(
                "    %-18s %7.1f replica-hours %6lld s over %4lld changes, longest wait %4.0f s\n",
                trace_names[trace], one.replica_hours, (long long)one.seconds_over,
                (long long)one.changes, one.max_wait_s);
        sums.replica_hours += one.replica_hours;
        sums.over += (long)one.seconds_over;
        sums.changes += (long)one.changes;
        sums.longest_s = fmax(sums.longest_s, one.max_wait_s);
        simulation_done(&one);
    }
    return sums;
}

static struct sums run_threshold(const struct world *world, double threshold)
{
    const struct simulation_settings settings = settings_of(world, threshold);
    return simulate_world(world, &settings, false);
}

static struct sums run_objective(const struct world *world, bool is_measured, double threshold,
                                 bool prints)
{
    struct simulation_settings settings = settings_of(world, threshold);
    settings.has_policy = true;
    settings.policy = objective_of(world, is_measured);
    settings.interval_s = 5;
    return simulate_world(world, &settings, prints);
}

/* Thresholds for workers of 10/s; those of others are as many seconds of work. */
static const double candidates[] = {10,  20,  30,  50,  75,  100, 125, 150, 175, 200, 225, 250,
                                    275, 300, 325, 350, 375, 400, 450, 500, 600, 800, 1000};
enum { CANDIDATES = sizeof(candidates) / sizeof(candidates[0]) };

/* The cheapest of those that are at most a minute longer over the objective than the one that is
 * least. */
static double best_threshold(const struct world *world, struct sums *ret_best)
{
    struct sums sums[CANDIDATES];
    long min_over = LONG_MAX;
    size_t best = 0;
    for (size_t i = 0; i < CANDIDATES; i++) {
        sums[i] = run_threshold(world, candidates[i] * world->rate / PER_REPLICA);
        min_over = sums[i].over < min_over ? sums[i].over : min_over;
    }
    bool has_one = false;
    for (size_t i = 0; i < CANDIDATES; i++) {
        if (sums[i].over > min_over + TOLERATED_S ||
            (has_one && sums[i].replica_hours >= sums[best].replica_hours))
            continue;
        best = i;
        has_one = true;
    }
    *ret_best = sums[best];
    return candidates[best] * world->rate / PER_REPLICA;
}

static void print_line(const char *name, const struct sums *sums)
{
    printf("  %-28s %13.1f  %8ld s  %7ld  %10.0f s\n", name, sums->replica_hours, sums->over,
           sums->changes, sums->longest_s);
}

static void print_thresholds(double noise)
{
    static const double shown[] = {10, 100, 200, 300, 600, 1000};
    const struct world world = {PER_REPLICA, 1, 1, noise};
    char text[64];
    printf("\n10/s per replica, noise %.0f %%\n\n  %-28s %13s  %10s  %7s  %12s\n", noise * 100, "",
           "replica-hours", "over 60 s", "changes", "longest wait");
    for (size_t i = 0; i < ARRAY_LENGTH(shown); i++) {
        struct sums sums = run_threshold(&world, shown[i]);
        snprintf(text, sizeof(text), "threshold %.0f", shown[i]);
        print_line(text, &sums);
    }
    struct sums given = run_objective(&world, false, 100, false),
                measured = run_objective(&world, true, 100, false);
    print_line("maxWait, rate given", &given);
    print_line("maxWait, measured", &measured);
}

static bool compare(const struct world *world)
{
    struct sums best;
    double threshold = best_threshold(world, &best);
    struct sums objective = run_objective(world, true, threshold, false);
    double cost = objective.replica_hours / best.replica_hours;
    bool good =
        cost <= 1.15 && objective.over <= best.over && objective.changes * 2 <= best.changes;
    printf("%6g/s  x%-4g  x%-4g %5.0f %%  %8g  %7.1f %6ld %5ld  %7.1f %6ld %5ld  %6.2f %8ld %8.2f  "
           "%s\n",
           world->rate, world->arrivals, world->change, world->noise * 100, threshold,
           best.replica_hours, best.over, best.changes, objective.replica_hours, objective.over,
           objective.changes, cost, objective.over - best.over,
           (double)objective.changes / (double)best.changes, good ? "all three" : "");
    return good;
}

static void print_comparison(void)
{
    static const double rates[] = {0.1, 1, 10, 100}, changes[] = {1, 2, 0.5}, noises[] = {0, 0.3};
    int good = 0, count = 0;
    printf("\nmeasured, beside the best threshold for that world\n\n%8s  %5s  %5s %7s  %8s  %20s  "
           "%20s  %6s %8s %8s\n",
           "speed", "load", "then", "noise", "best", "its hours over chg", "hours over changes",
           "cost", "over", "changes");
    for (size_t change = 0; change < ARRAY_LENGTH(changes); change++)
        for (size_t noise = 0; noise < ARRAY_LENGTH(noises); noise++)
            for (size_t rate = 0; rate < ARRAY_LENGTH(rates); rate++) {
                const struct world world = {rates[rate], rates[rate] / PER_REPLICA, changes[change],
                                            noises[noise]};
                good += compare(&world);
                count++;
            }
    for (size_t rate = 1; rate < ARRAY_LENGTH(rates); rate++) {
        const struct world world = {rates[rate], 1, 1, 0};
        good += compare(&world);
        count++;
    }
    printf("\nall three (cost at most 1.15, no more seconds over, half of the changes): %d of %d\n",
           good, count);
}

/* For bench/policies_plot.py: "world,setting,replica-hours,seconds over". */
static void print_points(void)
{
    static const struct {
        const char *name;
        double change;
    } worlds[] = {
        {"10/s per replica throughout", 1},
        {"20/s after an hour", 2},
        {"5/s after an hour", 0.5},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(worlds); i++) {
        const struct world world = {PER_REPLICA, 1, worlds[i].change, 0};
        for (size_t at = 0; at < CANDIDATES; at++) {
            struct sums sums = run_threshold(&world, candidates[at]);
            if (candidates[at] >= 50)
                printf("%s,threshold %g,%.1f,%ld\n", worlds[i].name, candidates[at],
                       sums.replica_hours, sums.over);
        }
        struct sums sums = run_objective(&world, true, 100, false);
        printf("%s,maxWait,%.1f,%ld\n", worlds[i].name, sums.replica_hours, sums.over);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--points") == 0) {
        print_points();
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "--traces") == 0) {
        const struct world world = {PER_REPLICA, 1, argc > 2 ? strtod(argv[2], NULL) : 1,
                                    argc > 3 ? strtod(argv[3], NULL) : 0};
        run_objective(&world, true, 100, true);
        return 0;
    }
    print_thresholds(0);
    print_thresholds(0.3);
    print_comparison();
    return 0;
}
