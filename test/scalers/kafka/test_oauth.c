/* What is sent for a token, and with it. That it works: test/brokers. */
#include "kafka/login/oauth.h"

#include "base/memory.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void extensions_are_names_and_values_in_turn(void **state)
{
    (void)state;
    static const char *const expected[] = {"logicalCluster", "lkc-1", "identityPoolId", "pool"};
    size_t count = 7;
    const char **words =
        kafka_oauth_extensions(" logicalCluster=lkc-1, identityPoolId=pool", &count);
    assert_non_null(words);
    assert_int_equal(count, ARRAY_LENGTH(expected));
    for (size_t i = 0; i < count; i++)
        assert_string_equal(words[i], expected[i]);
    kafka_oauth_extensions_free(words, count);
    words = kafka_oauth_extensions(NULL, &count);
    assert_non_null(words);
    assert_int_equal(count, 0);
    kafka_oauth_extensions_free(words, count);
}

static void what_is_no_extension_is_refused(void **state)
{
    (void)state;
    static const char *const lists[] = {"", "a", "=1", "a=", "a=1=2", "a1=2", "auth=1", "a=1,"};
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        size_t count = 0;
        if (kafka_oauth_extensions(lists[i], &count) != NULL)
            fail_msg("%s", lists[i]);
    }
}

static void there_are_at_most_64_extensions(void **state)
{
    (void)state;
    enum { MAX = 64 };
    size_t count = 0;
    _cleanup_(text_done) struct text list = {0};
    for (int i = 0; i < MAX; i++)
        text_add(&list, i == 0 ? "a=1" : ",a=1");
    const char **words = kafka_oauth_extensions(list.bytes, &count);
    assert_non_null(words);
    assert_int_equal(count, 2 * MAX);
    kafka_oauth_extensions_free(words, count);
    text_add(&list, ",a=1");
    assert_null(kafka_oauth_extensions(list.bytes, &count));
}

static void scopes_are_words(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *scope = kafka_oauth_scope("read,write,all");
    assert_string_equal(scope, "read write all");
    assert_null(kafka_oauth_scope(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extensions_are_names_and_values_in_turn),
        cmocka_unit_test(what_is_no_extension_is_refused),
        cmocka_unit_test(there_are_at_most_64_extensions),
        cmocka_unit_test(scopes_are_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
