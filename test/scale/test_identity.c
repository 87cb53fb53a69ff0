#include "base/memory.h"
#include "base/text.h"
#include "scale/metadata/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MANY = 256 };

static struct identity measured(const struct trigger_ref *ref)
{
    _cleanup_(error_done) struct error error = {0};
    struct identity identity;
    if (!identity_prepare(ref, &identity, &error))
        fail_msg("%s", error_text(&error));
    return identity;
}

static void shuffle(struct option_entry *entries, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)rand() % i;
        struct option_entry entry = entries[i - 1];
        entries[i - 1] = entries[other];
        entries[other] = entry;
    }
}

static void fill(struct option_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        entries[i] =
            (struct option_entry){text_format("key%03zu", i), text_format("value of %zu", i)};
}

static void empty(struct option_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((char *)entries[i].key);
        free((char *)entries[i].value);
    }
}

static void no_order_of_the_entries_makes_a_difference(void **state)
{
    (void)state;
    struct option_entry entries[MANY];
    struct trigger_ref ref = {"worker", "shop", entries, MANY};
    fill(entries, MANY);
    struct identity identity = measured(&ref);
    identity_write(&identity, &ref);
    for (int i = 0; i < 100; i++) {
        shuffle(entries, MANY);
        struct identity again = measured(&ref);
        assert_int_equal(again.hash, identity.hash);
        assert_int_equal(again.length, identity.length);
        assert_true(identity_is(identity.bytes, &ref));
    }
    identity_done(&identity);
    empty(entries, MANY);
}

static void a_key_that_is_there_twice_is_found_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t count = 2; count < 12; count++) {
        _cleanup_(error_done) struct error error = {0};
        struct option_entry entries[MANY];
        struct identity identity;
        fill(entries, count);
        struct option_entry twice[MANY];
        memcpy(twice, entries, sizeof(twice));
        twice[count - 1].key = entries[0].key;
        shuffle(twice, count);
        struct trigger_ref ref = {"worker", "shop", twice, count};
        assert_false(identity_prepare(&ref, &identity, &error));
        assert_string_equal(error_text(&error), "scalerMetadata has the key \"key000\" twice");
        empty(entries, count);
    }
}

static void names_are_those_of_kubernetes(void **state)
{
    (void)state;
    char longest[255];
    memset(longest, 'a', sizeof(longest));
    longest[254] = '\0';
    const struct {
        const char *name;
        const char *namespace;
        const char *words; /* NULL: it is taken */
    } rows[] = {
        {"worker", longest, "field namespace is not the name"},
        {longest, "shop",
         "field name is not the name of a Kubernetes object: it has more than 253 bytes"},
        {longest + 1, longest + 1, NULL},
        {"wor\nker", "shop",
         "field name is not the name of a Kubernetes object: it has control characters"},
        {".", "shop", "field name is not the name of a Kubernetes object: it is \".\""},
        {"worker", "..", "field namespace is not the name of a Kubernetes object: it is \"..\""},
        {"...", ".shop", NULL},
        {"", "", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(error_done) struct error error = {0};
        struct identity identity;
        const struct trigger_ref ref = {rows[i].name, rows[i].namespace, NULL, 0};
        assert_int_equal(identity_prepare(&ref, &identity, &error), rows[i].words == NULL);
        if (rows[i].words != NULL)
            assert_non_null(strstr(error_text(&error), rows[i].words));
    }
}

/* Refs of the same bytes, but divided elsewhere, or with two strings exchanged. */
static void similar_refs_have_different_identities(void **state)
{
    (void)state;
    struct option_entry first[] = {{"ab", "c"}, {"d", "e"}};
    struct option_entry second[] = {{"a", "bc"}, {"d", "e"}};
    struct option_entry third[] = {{"ab", "e"}, {"d", "c"}};
    const struct trigger_ref refs[] = {
        {"worker", "shop", first, 2}, {"worker", "shop", second, 2}, {"worker", "shop", third, 2},
        {"shop", "worker", first, 2}, {"workers", "hop", first, 2},  {"worker", "shop", first, 1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(refs); i++) {
        struct identity identity = measured(&refs[i]);
        identity_write(&identity, &refs[i]);
        for (size_t k = 0; k < ARRAY_LENGTH(refs); k++) {
            struct identity other = measured(&refs[k]);
            bool same_length = other.length == identity.length;
            assert_true(i == k || other.hash != identity.hash);
            assert_true((same_length && identity_is(identity.bytes, &refs[k])) == (i == k));
        }
        identity_done(&identity);
    }
}

static void a_written_identity_can_be_read_again(void **state)
{
    (void)state;
    struct option_entry entries[] = {{"b", ""}, {"a", "two words"}};
    for (size_t count = 0; count <= ARRAY_LENGTH(entries); count++) {
        const struct trigger_ref ref = {"", "shop", entries, count};
        struct identity identity = measured(&ref);
        identity_write(&identity, &ref);
        struct trigger_ref again = identity_ref(&identity);
        assert_string_equal(again.name, "");
        assert_string_equal(again.namespace, "shop");
        assert_int_equal(again.count, count);
        assert_true(identity_is(identity.bytes, &again));
        free(again.entries);
        identity_done(&identity);
    }
}

/* As many low bits as the table of triggers has buckets: all of them count. */
static void hashes_spread_over_the_buckets(void **state)
{
    (void)state;
    enum { BUCKETS = 4096, FEWEST = BUCKETS * 6 / 10 /* 63 % are expected of as many refs */ };
    static bool taken[BUCKETS];
    size_t count = 0;
    for (int i = 0; i < BUCKETS; i++) {
        _cleanup_(memory_free) char *name = text_format("worker-%d", i);
        struct trigger_ref ref = {name, "shop", NULL, 0};
        size_t bucket = measured(&ref).hash % BUCKETS;
        count += taken[bucket] ? 0 : 1;
        taken[bucket] = true;
    }
    assert_true(count >= FEWEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_of_kubernetes),
        cmocka_unit_test(no_order_of_the_entries_makes_a_difference),
        cmocka_unit_test(a_key_that_is_there_twice_is_found_wherever_it_stands),
        cmocka_unit_test(similar_refs_have_different_identities),
        cmocka_unit_test(a_written_identity_can_be_read_again),
        cmocka_unit_test(hashes_spread_over_the_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
