/* Values of other replicas that nobody took: in pages for a third one. */
#include "scale/peer_values.h"

#include "base/memory.h"

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
    struct peer_value value = {.value = number, .since_ms = since_ms};
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
            if (page[i].value < COUNT)
                seen[(size_t)page[i].value] = true;
        for (int i = 0; i < COUNT && pages < 4; i++) /* the table grows */
            add(values, COUNT * (pages + 1) + i, NOW_MS);
        pages++;
    } while (place != 0 && pages < 1000);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(seen[i]);
    assert_in_range(pages, COUNT / PEER_VALUES_LISTED, 500);
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
    assert_int_equal(page[0].since_ms, NOW_MS - 1000);
    peer_values_free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_have_all_that_stay_while_others_come),
        cmocka_unit_test(what_is_too_old_goes),
        cmocka_unit_test(what_has_no_age_is_too_old_on_a_machine_that_was_just_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
