/* Values of other replicas that nobody took: in pages for a third one. */
#include "scale/answer/peer_values.h"

#include "base/memory.h"
#include "measure/scaler.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { NOW_MS = 1000 * 1000 };

static void add(struct peer_values *values, int number, int64_t since_ms)
{
    struct peer_value value = {.held = {.value = number + 1, .since_ms = since_ms}};
    memcpy(value.digest, &number, sizeof(number));
    assert_true(peer_values_add(values, &value, NOW_MS));
}

static void pages_have_all_that_stay_while_others_come(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    struct peer_values *values = peer_values_new();
    bool seen[COUNT] = {false};
    struct peer_value page[PEER_VALUES_LISTED];
    uint64_t place = 0;
    int pages = 0;
    for (int i = 0; i < COUNT; i++)
        add(values, i, NOW_MS);
    do {
        size_t count = peer_values_list(values, &place, NOW_MS, page);
        for (size_t i = 0; i < count; i++)
            if (page[i].held.value <= COUNT)
                seen[(size_t)page[i].held.value - 1] = true;
        for (int i = 0; i < COUNT && pages < 4; i++) /* the table grows */
            add(values, COUNT * (pages + 1) + i, NOW_MS);
        pages++;
    } while (place != 0 && pages < 1000);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(seen[i]);
    assert_in_range(pages, COUNT / PEER_VALUES_LISTED, 500);
    peer_values_free(values);
}

enum { OF_EACH = 5000 };

struct replica {
    struct peer_values *values;
    int first;
};

static void *add_many(void *argument)
{
    const struct replica *replica = argument;
    for (int i = 0; i < OF_EACH; i++)
        add(replica->values, replica->first + i, NOW_MS);
    return NULL;
}

static void threads_may_add_at_the_same_time(void **state)
{
    (void)state;
    struct peer_values *values = peer_values_new();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, add_many, &(struct replica){values, OF_EACH}),
                     0);
    add_many(&(struct replica){values, 0});
    pthread_join(thread, NULL);
    for (int i = 0; i < 2 * OF_EACH; i++) {
        uint8_t digest[PEER_DIGEST_BYTES] = {0};
        memcpy(digest, &i, sizeof(i));
        struct peer_value *taken = peer_values_take(values, digest);
        assert_non_null(taken);
        free(taken);
    }
    peer_values_free(values);
}

static void what_is_too_old_goes(void **state)
{
    (void)state;
    struct peer_values *values = peer_values_new();
    struct peer_value page[PEER_VALUES_LISTED];
    uint64_t place = 0;
    add(values, 1, NOW_MS);
    assert_int_equal(peer_values_list(values, &place, NOW_MS + PEER_VALUES_MAX_AGE_MS, page), 0);
    assert_true(place == 0);
    uint8_t digest[PEER_DIGEST_BYTES] = {1};
    assert_null(peer_values_take(values, digest));
    assert_int_equal(peer_values_list(values, &place, NOW_MS, page), 0);
    place = UINT64_C(1) << 40; /* nobody was given this one */
    assert_int_equal(peer_values_list(values, &place, NOW_MS, page), 0);
    assert_true(place == 0);
    peer_values_free(values);
}

/* The clock began with the machine. */
static void what_has_no_age_is_too_old_on_a_machine_that_was_just_started(void **state)
{
    (void)state;
    static const int64_t ages_ms[] = {-1, PEER_VALUES_MAX_AGE_MS, INT64_MIN, INT64_MAX};
    struct peer_values *values = peer_values_new();
    struct peer_value page[PEER_VALUES_LISTED];
    uint64_t place = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(ages_ms); i++)
        add(values, (int)i, peer_values_time_ms(ages_ms[i], NOW_MS));
    assert_int_equal(peer_values_list(values, &place, NOW_MS, page), 0);
    add(values, 7, peer_values_time_ms(1000, NOW_MS));
    assert_int_equal(peer_values_list(values, &place, NOW_MS, page), 1);
    assert_int_equal(page[0].held.since_ms, NOW_MS - 1000);
    peer_values_free(values);
}

/* What is beyond the count is nothing. */
static void of_earlier_values_those_that_are_sound_and_in_order_are_taken(void **state)
{
    (void)state;
    struct peer_values *values = peer_values_new();
    const struct peer_value value = {.held = {.value = 1,
                                              .since_ms = NOW_MS,
                                              .peaks_count = 9,
                                              .peaks = {{NAN, NOW_MS - 95},
                                                        {SCALER_MAX_VALUE * 2, NOW_MS - 92},
                                                        {60, NOW_MS - PEER_VALUES_MAX_AGE_MS},
                                                        {50, NOW_MS - 90},
                                                        {50, NOW_MS - 80},
                                                        {40, NOW_MS - 91},
                                                        {30, NOW_MS - 70},
                                                        {20, NOW_MS + 1},
                                                        {-1, NOW_MS},
                                                        {10, NOW_MS - 60}}}};
    assert_true(peer_values_add(values, &value, NOW_MS));
    struct peer_value *taken = peer_values_take(values, value.digest);
    const struct held *held = &taken->held;
    assert_int_equal(held->peaks_count, 2);
    assert_true(held->peaks[0].value == 50 && held->peaks[0].at_ms == NOW_MS - 90);
    assert_true(held->peaks[1].value == 30 && held->peaks[1].at_ms == NOW_MS - 70);
    free(taken);
    peer_values_free(values);
}

static void what_no_replica_can_hold_is_not_taken(void **state)
{
    (void)state;
    static const struct peer_value wrong[] = {
        {.held = {.value = NAN, .since_ms = NOW_MS}},
        {.held = {.value = -1, .since_ms = NOW_MS}},
        {.held = {.value = SCALER_MAX_VALUE * 2, .since_ms = NOW_MS}},
        {.held = {.value = 1, .since_ms = NOW_MS + 1}},
        {.held = {.value = 1, .since_ms = NOW_MS - PEER_VALUES_MAX_AGE_MS}},
    };
    struct peer_values *values = peer_values_new();
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        assert_true(peer_values_add(values, &wrong[i], NOW_MS));
        assert_null(peer_values_take(values, wrong[i].digest));
    }
    const struct peer_value wanted = {
        .held = {.value = 1, .since_ms = NOW_MS},
        .policy_peaks = {POLICY_MAX_PEAKS + 1,
                         {{POLICY_MAX_REPLICAS + 1.0, NOW_MS - 9},
                          {8, NOW_MS - PEER_VALUES_MAX_AGE_MS},
                          {7, NOW_MS - 8},
                          {6, NOW_MS + 1},
                          {-1, NOW_MS - 7}}},
    };
    assert_true(peer_values_add(values, &wanted, NOW_MS));
    struct peer_value *taken = peer_values_take(values, wanted.digest);
    assert_int_equal(taken->policy_peaks.count, 1);
    assert_float_equal(taken->policy_peaks.items[0].value, 7, 0);
    assert_int_equal(taken->policy_peaks.items[0].at_ms, NOW_MS - 8);
    free(taken);
    peer_values_free(values);
}

static void a_zero_is_none(void **state)
{
    (void)state;
    struct peer_values *values = peer_values_new();
    const struct peer_value zero = {.held.since_ms = NOW_MS};
    assert_true(peer_values_add(values, &zero, NOW_MS));
    assert_null(peer_values_take(values, zero.digest));
    peer_values_free(values);
}

/* The other one was slower, or wants to lower it. */
static void a_second_peer_does_not_lower_what_the_first_one_said(void **state)
{
    (void)state;
    static const double numbers[] = {500, 0.001, 600};
    static const double largest[] = {500, 500, 600};
    for (size_t count = 1; count <= ARRAY_LENGTH(numbers); count++) {
        struct peer_values *values = peer_values_new();
        struct peer_value value = {0};
        for (size_t i = 0; i < count; i++) {
            value.held = (struct held){.value = numbers[i], .since_ms = NOW_MS - 10 + (int)i};
            value.policy_peaks = (struct policy_peaks){1, {{3 - (int)i, NOW_MS - 20 + (int)i}}};
            assert_true(peer_values_add(values, &value, NOW_MS));
        }
        struct peer_value *taken = peer_values_take(values, value.digest);
        assert_true(taken->held.value == largest[count - 1]);
        assert_int_equal(taken->held.since_ms, NOW_MS - 10 + (int)count - 1);
        assert_int_equal(taken->policy_peaks.count, count); /* at each time the larger one */
        assert_true(taken->policy_peaks.items[0].value == 3);
        free(taken);
        peer_values_free(values);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_have_all_that_stay_while_others_come),
        cmocka_unit_test(threads_may_add_at_the_same_time),
        cmocka_unit_test(what_is_too_old_goes),
        cmocka_unit_test(what_has_no_age_is_too_old_on_a_machine_that_was_just_started),
        cmocka_unit_test(of_earlier_values_those_that_are_sound_and_in_order_are_taken),
        cmocka_unit_test(what_no_replica_can_hold_is_not_taken),
        cmocka_unit_test(a_zero_is_none),
        cmocka_unit_test(a_second_peer_does_not_lower_what_the_first_one_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
