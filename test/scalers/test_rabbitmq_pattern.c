/* Which patterns are matched here, and what they match. That the broker matches the same:
 * test/brokers/test_rabbitmq_patterns.py. */
#include "base/memory.h"
#include "rabbitmq/management/pattern.h"
#include "shared/regex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static enum rabbitmq_match match(const char *pattern, const char *name)
{
    struct regex *regex = NULL;
    _cleanup_(memory_free) char *expression = rabbitmq_pattern_translate(pattern);
    _cleanup_(error_done) struct error error = {0};
    if (expression == NULL)
        fail_msg("%s is not matched here", pattern);
    if (!regex_compile(expression, &regex, &error))
        fail_msg("%s becomes %s, which %s", pattern, expression, error_text(&error));
    json_t *text = json_string_nocheck(name);
    enum rabbitmq_match result = rabbitmq_pattern_match(regex, text);
    json_decref(text);
    regex_free(&regex);
    return result;
}

static void a_pattern_matches_in_upper_and_lower_case(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *matches, *differs;
    } table[] = {
        {"orders", "my-ORDERS-1", "order"},
        {"^Orders", "orders", "my-orders"},
        {"orders$", "myOrders", "orders-1"},
        {"(?i)^a", "A", "b"},
        {"^a.c$", "aXc", "ac"},
        {"a\\.b", "A.B", "axb"},
        {"^\\d+$", "123", "12a"},
        {"^\\D+$", "abc", "1"},
        {"^[\\w-]+$", "a_B-1", "a b"},
        {"^[\\d.]+$", "1.2", "1,2"},
        {"^[A-F]+$", "aBc", "g"},
        {"^[^a-f]+$", "xyz", "xAz"},
        {"^[^-]+$", "ab", "a-b"},
        {"^[a\\-z]+$", "a-Z", "b"},
        {"^[-a]+$", "a-", "b"},
        {"^[a.+]+$", "A.+", "b"},
        {"^(?:a|b){2,3}$", "aBa", "abab"},
        {"^(a|)b?$", "", "c"},
        {"x\\s", "x ", "xy"},
        {"\\W", "a-b", "a_b"},
        {"^a\\$b\\^", "a$b^", "a"},
        {"\\{1\\}", "{1}", "11"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        if (match(table[i].pattern, table[i].matches) != RABBITMQ_MATCH)
            fail_msg("%s does not match %s", table[i].pattern, table[i].matches);
        if (match(table[i].pattern, table[i].differs) != RABBITMQ_NO_MATCH)
            fail_msg("%s matches %s", table[i].pattern, table[i].differs);
    }
}

/* They mean something else in PCRE than in POSIX, or are errors in one of them. */
static void what_only_pcre_has_is_left_to_the_broker(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "a+?",     "a*+",     "a{2}?",       "a**",     "*a",    "^*",        "(*)",   "(?=a)",
        "(?!a)",   "(?<n>a)", "(a)\\1",      "\\ba",    "\\Aa",  "a\\z",      "\\Qa",  "\\x41",
        "\\n",     "\\<a",    "\\>",         "\\`",     "\\'",   "a{",        "a{,2}", "a{x}",
        "[]a]",    "[^]a]",   "[[:alpha:]]", "[[.a.]]", "[a",    "[z-a]",     "[A-z]", "[0-a]",
        "[a-c-e]", "[\\d-z]", "[\\s]",       "[\\]]",   "[+--]", "(a",        "a)",    "a\\",
        "]",       "}",       "\xc3\xa9",    "a\tb",    "(?x)a", "(?i)(?i)a",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(patterns); i++) {
        _cleanup_(memory_free) char *expression = rabbitmq_pattern_translate(patterns[i]);
        if (expression != NULL)
            fail_msg("%s becomes %s", patterns[i], expression);
    }
}

static void a_name_that_has_no_case_here_is_unknown(void **state)
{
    (void)state;
    char name[300] = "";
    assert_int_equal(match("a", "\xc3\xa9"), RABBITMQ_MATCH_UNKNOWN);
    assert_int_equal(match("a", "a\n"), RABBITMQ_MATCH_UNKNOWN);
    memset(name, 'a', 255);
    assert_int_equal(match("a", name), RABBITMQ_MATCH);
    memset(name, 'a', 256);
    assert_int_equal(match("a", name), RABBITMQ_MATCH_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_matches_in_upper_and_lower_case),
        cmocka_unit_test(what_only_pcre_has_is_left_to_the_broker),
        cmocka_unit_test(a_name_that_has_no_case_here_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
