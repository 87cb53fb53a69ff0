/* What patterns match, which are refused, and what those cost that backtrack for ever. That the
 * broker matches the same: test/brokers/test_rabbitmq_patterns.py. */
#include "base/memory.h"
#include "base/text.h"
#include "rabbitmq/management/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct rabbitmq_pattern *compile(const char *text)
{
    struct rabbitmq_pattern *pattern = NULL;
    _cleanup_(error_done) struct error error = {0};
    if (!rabbitmq_pattern_compile(text, &pattern, &error))
        fail_msg("%s %s", text, error_text(&error));
    return pattern;
}

static bool match_bytes(const char *text, const char *name, size_t length)
{
    _cleanup_(rabbitmq_pattern_free) struct rabbitmq_pattern *pattern = compile(text);
    _cleanup_(rabbitmq_matcher_free) struct rabbitmq_matcher *matcher = rabbitmq_matcher_new();
    _cleanup_(error_done) struct error error = {0};
    bool matches = false;
    if (!rabbitmq_pattern_match(pattern, matcher, name, length, &matches, &error))
        fail_msg("%s and %s: %s", text, name, error_text(&error));
    return matches;
}

static void a_pattern_matches_as_pcre_does_in_upper_and_lower_case(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *matches, *differs;
    } table[] = {
        {"orders", "my-ORDERS-1", "order"},
        {"^Orders", "orders", "my-orders"},
        {"orders$", "myOrders", "orders-1"},
        {"(?i)^a", "A", "b"},
        {"(?-i)^a", "a", "A"},
        {"^a.c$", "aXc", "ac"},
        {"a\\.b", "A.B", "axb"},
        {"^\\d+$", "123", "12a"},
        {"^[\\w-]+$", "a_B-1", "a b"},
        {"^[^a-f]+$", "xyz", "xAz"},
        {"^[A-z]+$", "a_B", "a-b"},
        {"^(?:a|b){2,3}$", "aBa", "abab"},
        {"^(a|)b?$", "", "c"},
        {"x\\s", "x ", "xy"},
        {"^a\\$b\\^", "a$b^", "a"},
        {"\\{1\\}", "{1}", "11"},
        {"^(?=q-)", "Q-1", "xq-"},
        {"^(?!orders)", "my-orders", "ORDERS"},
        {"(?<=-)eu$", "orders-EU", "orderseu"},
        {"\\borders\\b", "my-orders.eu", "reorders"},
        {"(o)r.*\\1", "OR-o", "or-x"},
        {"^[[:alpha:]]+$", "aB", "a1"},
        {"^a++b", "aab", "b"},
        {"^a+?b$", "aab", "aac"},
        {"^\\Qa.b\\E$", "A.B", "axb"},
        {"orders\\z", "orders", "orders\n"},
        {"orders$", "orders\n", "orders\r"},
        {"^a.$", "a\r", "a\n"},
        {"^a\\R$", "a\r\n", "ab"},
        {"(?x) a b # c", "ab", "a b"},
        {"a{x}", "a{x}", "aax"},
        {"^(\\((?1)?\\))$", "((()))", "(()"},
        {"\xc3\xa9", "q\xc3\xa9", "qe"},
        {"^q..$", "q\xc3\xa9", "q\xc3"},
        {"(*UTF)^q.$", "q\xc3\xa9", "qee"},
        {"(*UTF)\xc3\x89", "q\xc3\xa9", "qe"},
        {"(*CRLF)^a.$", "a\n", "a"},
        {"(*UTF8)^q.$", "q\xc3\xa9", "qee"},
        {"(?C1)a", "a", "b"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        if (!match_bytes(table[i].pattern, table[i].matches, strlen(table[i].matches)))
            fail_msg("%s does not match %s", table[i].pattern, table[i].matches);
        if (match_bytes(table[i].pattern, table[i].differs, strlen(table[i].differs)))
            fail_msg("%s matches %s", table[i].pattern, table[i].differs);
    }
    assert_true(match_bytes("^a.b$", "a\0b", 3));
}

/* What is refused has no part of the pattern in its error. */
static void a_pattern_that_is_none_or_differs_between_brokers_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *words;
    } table[] = {
        {"page-(", "is not a regular expression of PCRE: missing closing parenthesis (at byte 6)"},
        {"sesame-[", "missing terminating ]"},
        {"*sesame", "quantifier does not follow a repeatable item (at byte 0)"},
        {"sesame[z-a]", "range out of order"},
        {"sesame(?<=a+)", "lookbehind"},
        {"\\y", "unrecognized character follows \\"},
        {"sesame\\", "\\ at end of pattern"},
        {"sesame\\C", "using \\C is disabled"},
        {"(*UTF)\xc3", "UTF-8 error"},
        {"((sesame{1000}){1000}){1000}", "too large"},
        {"sesame{,2}", "must have no {,n} and no blank in braces"},
        {"sesame{1, 2}", "must have no {,n}"},
        {"sesame{ 1}", "must have no {,n}"},
        {"a{1}{,2}", "must have no {,n}"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        _cleanup_(rabbitmq_pattern_free) struct rabbitmq_pattern *pattern = NULL;
        _cleanup_(error_done) struct error error = {0};
        if (rabbitmq_pattern_compile(table[i].pattern, &pattern, &error))
            fail_msg("%s is taken", table[i].pattern);
        if (error.code != ERROR_INVALID || strstr(error_text(&error), table[i].words) == NULL ||
            strstr(error_text(&error), "sesame") != NULL)
            fail_msg("%s %s", table[i].pattern, error_text(&error));
    }
    static const char *const taken[] = {"a{1}b{2,}c{3,4}", "a{",    "a{,}", "a{ }",
                                        "a\\{,2}",         "a{x,2}"};
    for (size_t i = 0; i < ARRAY_LENGTH(taken); i++) {
        _cleanup_(rabbitmq_pattern_free) struct rabbitmq_pattern *pattern = compile(taken[i]);
    }
}

/* It is not known then whether it matches. */
static void a_match_that_takes_too_long_is_an_error(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "(a+)+$",
        "(a|a)*[bc]$",
        "((a*)*)*$",
        "(a|aa)+$",
        "(?:(?:a?){30}){30}[cd]",
        "(*LIMIT_MATCH=1)(a|a)*[bc]$",
        "^(a?(?R)?)+[bc]",
        "(.*.*.*.*.*)*[cd]\\1",
        "(?=(a+)+$)",
    };
    char name[256];
    memset(name, 'a', 255);
    name[254] = '-';
    _cleanup_(rabbitmq_matcher_free) struct rabbitmq_matcher *matcher = rabbitmq_matcher_new();
    for (size_t i = 0; i < ARRAY_LENGTH(patterns); i++) {
        _cleanup_(rabbitmq_pattern_free) struct rabbitmq_pattern *pattern = compile(patterns[i]);
        _cleanup_(error_done) struct error error = {0};
        bool matches = true;
        if (rabbitmq_pattern_match(pattern, matcher, name, 255, &matches, &error))
            fail_msg("%s: %d", patterns[i], matches);
        if (strstr(error_text(&error), "matching its name takes too long (PCRE: ") == NULL)
            fail_msg("%s: %s", patterns[i], error_text(&error));
    }
}

static void usual_patterns_take_the_longest_names(void **state)
{
    (void)state;
    char name[256];
    struct text groups = {0};
    for (size_t i = 0; i < 255; i++)
        name[i] = i % 8 == 7 ? '-' : 'a';
    assert_false(match_bytes("^(\\w+-)+\\d+$", name, 255));
    assert_false(match_bytes("^([a-z]|-|[0-9])*\\.eu$", name, 255));
    assert_false(match_bytes(".*-.*-.*x", name, 255));
    assert_true(match_bytes("^(a|-){255}$", name, 255));
    for (size_t i = 0; i < 100; i++) /* their places are kept with each step back */
        text_add(&groups, i % 8 == 7 ? "(-)" : "(a)");
    assert_true(match_bytes(groups.bytes, name, 255));
    text_done(&groups);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_matches_as_pcre_does_in_upper_and_lower_case),
        cmocka_unit_test(a_pattern_that_is_none_or_differs_between_brokers_is_refused),
        cmocka_unit_test(a_match_that_takes_too_long_is_an_error),
        cmocka_unit_test(usual_patterns_take_the_longest_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
