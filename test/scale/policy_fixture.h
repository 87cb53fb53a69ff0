/* What tests of policies share: a source that is measured every five seconds, and the policy of one
 * trigger of it. */
#ifndef BACKLOG_TEST_POLICY_FIXTURE_H
#define BACKLOG_TEST_POLICY_FIXTURE_H

#include "base/text.h"
#include "scale/policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* A test sets what it needs, and reads the result of the last measurement. */
struct policy_world {
    struct history *history;
    struct recent_samples recent; /* of the history */
    struct policy_settings settings;
    struct policy_state state;
    struct policy_result result;
    struct text words; /* why */
    struct reading reading;
    double threshold;
    bool has_default_threshold; /* the user set none */
    double max_useful;
    int64_t hold_ms; /* of what other replicas asked for */
    int64_t now_ms;
    bool fails;
};

extern struct policy_world world;

int set_up(void **state);
int tear_down(void **state);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* So many messages wait from now on. */
void waiting(double messages);

/* The next measurement, an interval later: so many messages per second arrived and were consumed
 * meanwhile. Returns the replicas, -1: the policy failed. */
int64_t measure(double arriving, double consuming);

/* The same for so many measurements, in which the difference of the two rates changes how many
 * messages wait. */
int64_t measure_for(int samples, double arriving, double consuming);

/* maxWait of a minute; `rate`: ratePerReplica, 0: measured. */
void give_objective(double rate);

#endif
