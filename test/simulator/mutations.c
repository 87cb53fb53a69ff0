/*
 * The simulator's own test: faults of the engine, one at a time, each of which it has to find.
 *
 *     simulator_mutated [name]
 *
 * A mutation is a wrapper around a function of the engine (the linker's --wrap), so that the
 * sources need no switches. Without a mutation the same worlds run without a finding.
 */
#include "simulator/world.h"

#include "base/log.h"
#include "base/memory.h"
#include "measure/connection/query_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum mutation {
    NONE,
    BACKOFF_FROM_SENDING,
    LOST_DEMAND,
    MAX_TASKS_OFF_BY_ONE,
    ONE_SLOW_PLACE_TOO_MANY,
    SENT_WHEN_IT_ARRIVED,
    STARTED_TOO_LATE,
    TIME_OUT_NOT_SPACED,
    NOTIFICATION_LOST_IN_FLIGHT,
    NOTIFICATION_OUTDATES_NOTHING,
    GIVEN_UP_TASK_LOST,
    STALE_READING_ANSWERED,
    INACTIVE_HELD,
    LAST_VALUE_HELD,
    OLD_VALUE_HELD,
    FAILURE_HITS_A_NEIGHBOUR,
    ENDLESS_RESEND,
    WAKES_TOO_LATE,
    NO_BACKOFF,
    NOT_CAUGHT_UP,
    SUBSCRIPTION_LEAKED,
    LATE_SUBSCRIPTION_LEAKED,
    MEASURED_TOO_OFTEN,
    FORGETS_WHO_WAITS,
    POLICY_DECIDES_WHEN_READ,
    ZERO_COUNTS_AT_ONCE,
    ZERO_CONFIRMED_TOO_SOON,
    ZERO_NOT_CONFIRMED,
    ZERO_HIDES_NOTHING,
    MUTATIONS,
};

static const struct mutated {
    const char *name;
    uint64_t max_steps; /* within which it is found */
} mutations[MUTATIONS] = {
    [NONE] = {"none", 3000000},
    [BACKOFF_FROM_SENDING] = {"a back-off that counts from the sending, not from the time-out",
                              300000},
    [LOST_DEMAND] = {"a demand that comes while an older request is in flight is lost", 300000},
    [MAX_TASKS_OFF_BY_ONE] = {"max_tasks off by one", 300000},
    [ONE_SLOW_PLACE_TOO_MANY] = {"one place too many for what timed out", 1000000},
    [SENT_WHEN_IT_ARRIVED] = {"a reading is taken for one of its arrival", 300000},
    [STARTED_TOO_LATE] = {"a deadline that counts from the end of the queue", 1000000},
    [TIME_OUT_NOT_SPACED] = {"a time-out that is not spaced out", 300000},
    [NOTIFICATION_LOST_IN_FLIGHT] = {"a notification is dropped while a request is in flight",
                                     1000000},
    [NOTIFICATION_OUTDATES_NOTHING] = {"a notification that outdates no reading", 1000000},
    [GIVEN_UP_TASK_LOST] = {"a task that its scaler gave up is lost", 1000000},
    [STALE_READING_ANSWERED] = {"a call is answered from a reading three seconds too old", 300000},
    [INACTIVE_HELD] = {"an inactive answer is held while measuring fails", 300000},
    [LAST_VALUE_HELD] = {"the last value is held, not the largest", 300000},
    [OLD_VALUE_HELD] = {"a value of half a minute before the window is held", 3000000},
    [FAILURE_HITS_A_NEIGHBOUR] = {"a failure hits a neighbour", 300000},
    [ENDLESS_RESEND] = {"a resend that never ends", 1000000},
    [WAKES_TOO_LATE] = {"the thread sleeps for longer than the schedule says", 1000000},
    [NO_BACKOFF] = {"a refused connection is tried again at once", 300000},
    [NOT_CAUGHT_UP] = {"what is spaced out is not tried when its source is back", 3000000},
    [SUBSCRIPTION_LEAKED] = {"a subscription is not ended", 3000000},
    [LATE_SUBSCRIPTION_LEAKED] = {"a subscription that is made too late is not ended", 3000000},
    [MEASURED_TOO_OFTEN] = {"every answer is followed by another measurement", 300000},
    [FORGETS_WHO_WAITS] = {"a demand before a client is lost is forgotten", 3000000},
    [POLICY_DECIDES_WHEN_READ] = {"a policy decides when somebody reads it", 300000},
    [ZERO_COUNTS_AT_ONCE] = {"a 0 that may be false counts at once", 1000000},
    [ZERO_CONFIRMED_TOO_SOON] = {"a 0 is confirmed by the next one, however soon", 1000000},
    [ZERO_NOT_CONFIRMED] = {"a 0 waits for somebody to have it measured again", 1000000},
    [ZERO_HIDES_NOTHING] = {"the reading before a 0 that does not count is answered", 3000000},
};

static enum mutation mutation;

/* ---- the wrappers ---- */

#define WRAP(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

WRAP(void, schedule_init, struct schedule *schedule, size_t max_tasks, size_t isolated_places,
     int64_t at_ms)
{
    if (mutation == MAX_TASKS_OFF_BY_ONE && max_tasks != SIZE_MAX)
        max_tasks++;
    if (mutation == ONE_SLOW_PLACE_TOO_MANY)
        isolated_places++;
    __real_schedule_init(schedule, max_tasks, isolated_places, at_ms);
}

WRAP(void, schedule_demand, struct schedule *schedule, struct job *job, int64_t from_ms,
     int64_t at_ms)
{
    if (mutation == LOST_DEMAND && job->state == JOB_IN_FLIGHT)
        return;
    __real_schedule_demand(schedule, job, from_ms, at_ms);
}

WRAP(void, schedule_end, struct schedule *schedule, struct job *job, enum job_end end,
     int64_t at_ms)
{
    if (mutation == BACKOFF_FROM_SENDING && end == JOB_END_TIMED_OUT)
        at_ms = job->sent_ms;
    if (mutation == TIME_OUT_NOT_SPACED && end == JOB_END_TIMED_OUT)
        end = JOB_END_ISOLATED;
    if (mutation == GIVEN_UP_TASK_LOST && end == JOB_END_ISOLATED)
        end = JOB_END_LOST;
    if (mutation == FORGETS_WHO_WAITS && end == JOB_END_RETURNED)
        end = JOB_END_LOST;
    __real_schedule_end(schedule, job, end, at_ms);
    if (mutation == MEASURED_TOO_OFTEN && end == JOB_END_ANSWERED)
        __real_schedule_demand(schedule, job, at_ms + 1, at_ms);
}

WRAP(void, schedule_started, struct schedule *schedule, struct job *job, int64_t at_ms)
{
    if (mutation == STARTED_TOO_LATE)
        at_ms += 700;
    __real_schedule_started(schedule, job, at_ms);
}

WRAP(int64_t, schedule_next_ms, struct schedule *schedule, int64_t at_ms)
{
    int64_t next_ms = __real_schedule_next_ms(schedule, at_ms);
    bool is_late = mutation == WAKES_TOO_LATE && next_ms <= at_ms && schedule->in_flight_count == 0;
    return is_late ? at_ms + 30000 : next_ms;
}

WRAP(void, query_set_reading, struct query *query, const struct reading *reading, int64_t at_us)
{
    __real_query_set_reading(query, reading, at_us);
    if (mutation == SENT_WHEN_IT_ARRIVED)
        query->known.sent_ms = at_us / 1000;
    if (mutation == NOTIFICATION_OUTDATES_NOTHING)
        query->known.is_outdated = false;
}

WRAP(bool, zero_counts, struct zero *zero, const struct zero_facts *facts)
{
    bool is_second = zero->since_ms > 0;
    bool counts = __real_zero_counts(zero, facts);
    bool is_early =
        mutation == ZERO_COUNTS_AT_ONCE || (mutation == ZERO_CONFIRMED_TOO_SOON && is_second);
    if (is_early)
        zero_end(zero);
    return counts || is_early;
}

WRAP(int64_t, zero_due_ms, const struct zero *zero, int64_t settles_ms)
{
    return mutation == ZERO_NOT_CONFIRMED ? INT64_MAX : __real_zero_due_ms(zero, settles_ms);
}

WRAP(void, query_set_in_doubt, struct query *query)
{
    if (mutation != ZERO_HIDES_NOTHING)
        __real_query_set_in_doubt(query);
}

WRAP(void, query_set_failed, struct query *query, const struct error *error, int64_t at_ms)
{
    struct query *neighbour = query->hh.next;
    __real_query_set_failed(query, error, at_ms);
    if (mutation == FAILURE_HITS_A_NEIGHBOUR && neighbour != NULL)
        __real_query_set_failed(neighbour, error, at_ms);
}

WRAP(void, connection_notify, struct connection *connection, uint64_t id, int64_t at_us)
{
    const struct query *query = subscription_table_find(&connection->subscribed, id);
    bool in_flight = query != NULL && query->job.state == JOB_IN_FLIGHT;
    if (mutation != NOTIFICATION_LOST_IN_FLIGHT || !in_flight)
        __real_connection_notify(connection, id, at_us);
}

WRAP(void, connection_query_ended, struct query *query, enum task_outcome outcome,
     const struct reading *reading, const struct error *error, int64_t at_us)
{
    if (mutation == ENDLESS_RESEND && outcome == TASK_TIMED_OUT)
        query->was_resent = false;
    if (mutation == ENDLESS_RESEND && outcome == TASK_TIMED_OUT)
        query->connection->completed_at_us = INT64_MIN / 2;
    struct connection *connection = query->connection;
    size_t unsubscribes = connection->unsubscribes_count;
    bool is_over = query->push.id != query->task.notifier.id;
    __real_connection_query_ended(query, outcome, reading, error, at_us);
    if (mutation == LATE_SUBSCRIPTION_LEAKED && is_over)
        connection->unsubscribes_count = unsubscribes;
}

WRAP(void, connection_refused, struct connection *connection, const struct error *error,
     int64_t at_ms)
{
    __real_connection_refused(connection, error, at_ms);
    if (mutation == NO_BACKOFF)
        connection->backoff.retry_at_ms = at_ms + 1;
}

WRAP(void, connection_connected, struct connection *connection, int64_t at_ms)
{
    if (mutation == NOT_CAUGHT_UP)
        connection->state = CONNECTION_DISCONNECTED;
    __real_connection_connected(connection, at_ms);
}

WRAP(bool, connection_next_unsubscribe, struct connection *connection, uint64_t *ret_id)
{
    if (mutation == SUBSCRIPTION_LEAKED)
        connection->unsubscribes_count = 0;
    return __real_connection_next_unsubscribe(connection, ret_id);
}

WRAP(double, hold_value, const struct hold *hold)
{
    return mutation == LAST_VALUE_HELD ? hold->value : __real_hold_value(hold);
}

WRAP(void, hold_add, struct hold *hold, double value, int64_t window_ms, int64_t at_ms)
{
    if (mutation == OLD_VALUE_HELD)
        window_ms += 30000;
    __real_hold_add(hold, value, window_ms, at_ms);
}

WRAP(void, answer_decide, const struct answer_facts *facts, const struct answer_call *call,
     int64_t at_ms, struct answer *ret_answer)
{
    struct answer_call other = *call;
    struct hold active = *facts->hold;
    struct answer_facts changed = *facts;
    changed.hold = &active;
    if (mutation == STALE_READING_ANSWERED)
        other.arrived_ms -= 3000;
    if (mutation == INACTIVE_HELD)
        active.is_active = active.measured_ms > 0;
    __real_answer_decide(&changed, &other, at_ms, ret_answer);
}

static bool is_read;

WRAP(void, trigger_policy_decide, struct trigger_policy *policy,
     const struct trigger_policy_owner *owner, const struct recent_samples *recent,
     struct evaluation_result *evaluated)
{
    if (mutation != POLICY_DECIDES_WHEN_READ || is_read || !policy->has_decided)
        __real_trigger_policy_decide(policy, owner, recent, evaluated);
}

WRAP(void, trigger_policy_copy, const struct trigger_policy *policy, unsigned extras,
     struct trigger_policy_copy *copy)
{
    struct follower *follower = (struct follower *)&policy->follower;
    struct recent_samples recent = {.count = 0};
    is_read = true;
    if (mutation == POLICY_DECIDES_WHEN_READ && follower->query != NULL)
        history_recent(follower->query->history, &recent);
    if (recent.count > 0)
        follower->on_reading(follower, &recent);
    is_read = false;
    __real_trigger_policy_copy(policy, extras, copy);
}

/* ---- running them ---- */

/* What was found, with the number of steps it took; a world that was left is a leak, so each has a
 * process. */
static bool is_found(uint64_t max_steps)
{
    enum { SEED = 7000000, STEPS_PER_WORLD = 50000 };
    uint64_t steps = 0;
    for (uint64_t seed = SEED; steps < max_steps; seed++) {
        const char *finding = world_try(seed, STEPS_PER_WORLD);
        steps += world.steps;
        if (finding != NULL) {
            printf("  found after %llu steps: %s\n", (unsigned long long)steps, finding);
            return true;
        }
    }
    printf("  nothing found in %llu steps\n", (unsigned long long)steps);
    return false;
}

static bool run_mutation(enum mutation which)
{
    enum { MAX_SECONDS = 60 };
    int status = 0;
    printf("%s:\n", mutations[which].name);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        mutation = which;
        alarm(MAX_SECONDS);
        bool found = is_found(mutations[which].max_steps);
        fflush(stdout);
        _exit(found);
    }
    bool is_over = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status);
    return is_over && WEXITSTATUS(status) == (which != NONE);
}

int main(int count, char **arguments)
{
    int missed = 0;
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    for (int i = 0; i < MUTATIONS; i++)
        if (count < 2 || strcmp(arguments[1], mutations[i].name) == 0)
            missed += !run_mutation((enum mutation)i);
    printf("%d of %d missed\n", missed, MUTATIONS);
    return missed > 0;
}
