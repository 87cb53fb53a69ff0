/* What the choice of requests costs where many lookups wait. */
#include "base/memory.h"
#include "rabbitmq/management/management_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <cmocka.h>

static size_t capacity;

bool __wrap_rabbitmq_http_has_capacity(const struct rabbitmq_http *http);
bool __wrap_rabbitmq_http_has_capacity(const struct rabbitmq_http *http)
{
    (void)http;
    return capacity > 0;
}

void __wrap_rabbitmq_http_get(struct rabbitmq_http *http, const char *path, void *owner,
                              int64_t deadline_ms);
void __wrap_rabbitmq_http_get(struct rabbitmq_http *http, const char *path, void *owner,
                              int64_t deadline_ms)
{
    (void)http, (void)path, (void)owner, (void)deadline_ms;
    capacity--;
}

static double cpu_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* So many turns for as many lookups: each with a GET of its own, one in each turn, or all waiting
 * while a listing arrives. */
static double seconds_of(size_t count, bool is_listed)
{
    char path[] = "/api/queues/shop";
    struct rabbitmq_query query = {.queue_name = "orders"};
    struct task task = {.query = &query};
    struct rabbitmq_management client = {.vhost.path = path, .timeout_ms = 1000};
    struct rabbitmq_listing *listing = &client.listings[RABBITMQ_SOURCE_STATISTICS];
    listing->source = RABBITMQ_SOURCE_STATISTICS;
    listing->is_in_flight = is_listed;
    client.preference.listing_rest_until_ms = is_listed ? 0 : INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        struct rabbitmq_lookup *lookup = rabbitmq_lookup_new(&task, RABBITMQ_SOURCE_STATISTICS);
        lookup->sent_ms = 1;
        rabbitmq_management_wait(&client, lookup);
    }
    double since = cpu_seconds();
    for (size_t i = 0; i < count; i++) {
        capacity = 1;
        rabbitmq_management_request(&client);
        assert_int_equal(capacity, is_listed);
    }
    double seconds = cpu_seconds() - since;
    assert_null(client.waiting);
    assert_int_equal(listing->waiting_count, is_listed ? count : 0);
    rabbitmq_lookup_drop_all(&client.requested);
    rabbitmq_lookup_drop_all(&listing->waiting);
    return seconds;
}

static double least_seconds_of(size_t count, bool is_listed)
{
    double least = seconds_of(count, is_listed);
    for (int i = 0; i < 4; i++) {
        double seconds = seconds_of(count, is_listed);
        least = seconds < least ? seconds : least;
    }
    return least;
}

static void a_turn_costs_the_same_however_many_lookups_wait(void **state)
{
    (void)state;
    for (int is_listed = 0; is_listed <= 1; is_listed++) {
        double few = least_seconds_of(4000, is_listed);
        double many = least_seconds_of(16000, is_listed);
        if (many > 8 * few)
            fail_msg("%g s for 4,000, %g s for 16,000", few, many);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_costs_the_same_however_many_lookups_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
