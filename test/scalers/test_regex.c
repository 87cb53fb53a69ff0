/* Regular expressions of our own: they mean what the C library's do, at a cost that has a bound. */
#include "shared/regex.h"

#include "base/memory.h"
#include "base/text.h"

#include <math.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

enum { PATTERNS = 20000, TEXTS = 12, MAX_TEXT = 12, MAX_DEPTH = 4 };

static uint32_t seed = 1;

static unsigned below(unsigned bound)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % bound;
}

/* ---- the C library's meaning ---- */

static const char *one_of(const char *const *list, size_t count)
{
    return list[below((unsigned)count)];
}

#define ONE_OF(list) one_of(list, ARRAY_LENGTH(list))

/* In a part that is repeated, no assertions: there the C library takes ($|-){2}a for a match of
 * "-a". */
static void add_random(struct text *pattern, int depth, bool is_repeated)
{
    static const char *const atoms[] = {
        "a",
        "b",
        "c",
        "-",
        ".",
        "_",
        "ab",
        "\\.",
        "\\w",
        "\\W",
        "\\s",
        "\\S",
        "[ab]",
        "[^a]",
        "[a-c]",
        "[]a]",
        "[^]a]",
        "[a-]",
        "[-a]",
        "[+--]",
        "[.]",
        "[a\\]",
        "()",
        ")",
        "}",
        "\\*",
        "\\d",
        "[[:alpha:]]",
        "[[:punct:]b]",
        "[^[:alnum:]]",
        "[[.a.]-c]",
        "[[=b=]]",
        "[a-]",
        "[ -b]",
        "[]-a]",
        "[[-a]",
    };
    static const char *const wrong_atoms[] = {
        "[a-c-e]", "[b-a]",         "[[:foo:]]",     "[",        "\\",       "*",
        "{",       "[[:alpha:]-z]", "[a-[:digit:]]", "[[.ab.]]", "[[=ab=]]", "[[=a=]-c]",
        "[]",      "[^]",           "[[:alpha]",
    };
    static const char *const assertions[] = {"^", "$", "\\b", "\\B", "\\<", "\\>", "\\`", "\\'"};
    static const char *const repetitions[] = {
        "*", "+", "?", "{2}", "{0}", "{1,}", "{,2}", "{0,2}", "{2,3}", "{,}", "**", "+?", "{2}{2}"};
    static const char *const wrong_repetitions[] = {"{3,2}", "{",       "{a}",       "{1",  "{1,",
                                                    "{}",    "{40000}", "{1,40000}", "{1 }"};
    for (unsigned parts = below(4); parts > 0; parts--) {
        bool repeats = below(3) == 0;
        if (depth < MAX_DEPTH && below(3) == 0) {
            text_add(pattern, "(");
            add_random(pattern, depth + 1, is_repeated || repeats);
            text_add(pattern, below(100) == 0 ? "" : ")");
        } else if (below(6) == 0 && !is_repeated)
            text_add(pattern, ONE_OF(assertions));
        else
            text_add(pattern, below(50) == 0 ? ONE_OF(wrong_atoms) : ONE_OF(atoms));
        if (repeats)
            text_add(pattern, below(50) == 0 ? ONE_OF(wrong_repetitions) : ONE_OF(repetitions));
        if (below(6) == 0)
            text_add(pattern, "|");
    }
}

static void make_text(char *text)
{
    static const char alphabet[] = "aaabbc-._ ";
    unsigned length = below(MAX_TEXT);
    for (unsigned i = 0; i < length; i++)
        text[i] = alphabet[below(sizeof(alphabet) - 1)];
    text[length] = '\0';
}

static void compare(const char *pattern, const regex_t *theirs, struct regex *ours)
{
    for (int i = 0; i < TEXTS; i++) {
        char text[MAX_TEXT + 1];
        make_text(text);
        bool expected = regexec(theirs, text, 0, NULL, 0) == 0;
        if (regex_matches(ours, text) != expected)
            fail_msg("%s %s match \"%s\"", pattern, expected ? "must" : "must not", text);
    }
}

static void an_expression_means_what_it_means_to_the_c_library(void **state)
{
    (void)state;
    int accepted = 0;
    for (int i = 0; i < PATTERNS; i++) {
        _cleanup_(text_done) struct text pattern = {0};
        _cleanup_(error_done) struct error error = {0};
        struct regex *ours = NULL;
        regex_t theirs;
        text_add(&pattern, below(2) == 0 ? "^" : "");
        add_random(&pattern, 0, false);
        bool is_good = regcomp(&theirs, pattern.bytes, REG_EXTENDED | REG_NOSUB) == 0;
        bool is_ours = regex_compile(pattern.bytes, &ours, &error);
        if (is_good != is_ours && strstr(error_text(&error), " steps ") == NULL)
            fail_msg("%s: %s", pattern.bytes, is_good ? error_text(&error) : "is refused there");
        if (is_good && is_ours)
            compare(pattern.bytes, &theirs, ours);
        accepted += is_ours;
        if (is_good)
            regfree(&theirs);
        regex_free(&ours);
    }
    assert_true(accepted > PATTERNS / 4);
}

/* Where the C library is wrong. */
static void assertions_hold_in_what_is_repeated(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *text;
        bool matches;
    } cases[] = {
        {"^($|-){2}a", "-a", false},          {"^(^|-){2}a", "-a", true},
        {"^(a\\>\\S|b){1,2}c", "bac", false}, {"^(\\<a|-)+$", "a-a", true},
        {"^(\\<a|-)+$", "aa-", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(error_done) struct error error = {0};
        struct regex *regex = NULL;
        assert_true(regex_compile(cases[i].pattern, &regex, &error));
        if (regex_matches(regex, cases[i].text) != cases[i].matches)
            fail_msg("%s, %s", cases[i].pattern, cases[i].text);
        regex_free(&regex);
    }
}

/* ---- cost ---- */

/* What is repeated, in a pattern as long as it may be, or `depth` deep. */
struct hostile {
    const char *opening;
    const char *inner;
    const char *closing;
    int depth; /* 0: as deep as the pattern may be */
};

static const struct hostile hostile[] = {
    {"(", "a", ")+", 17},
    {"(", "a", ")+", 21},
    {"(", "a", ")+", 0},
    {"(", "a", ")*", 0},
    {"(", "a", ")?", 0},
    {"(", "a", ")*+", 0},
    {"(", "a", "){1,}", 0},
    {"(", "a", "){2,}", 0},
    {"(", "a", "){,2}", 0},
    {"(", "a", "){2}", 0},
    {"(", "a", "){999}", 0},
    {"(", "a", "){255}", 3},
    {"(", "a", "){1,255}", 2},
    {"(", "a", "){0,999}", 1},
    {"(", "", "){32767}", 0},
    {"(", "a", "){0}", 0},
    {"(a|", "b", ")+", 0},
    {"(a*|", "b", ")*", 0},
    {"((a*)*|", "", ")*", 0},
    {"((a?){30}", "b", ")?", 3},
    {"a?", "b", "", 0},
    {"a*", "b", "", 0},
    {"|", "b", "", 0},
    {"a{99}{0}", "b", "", 0},
    {"[[:alpha:]]*", "-", "", 0},
    {"[a-z]", "", "", 0},
    {".*", "-", "", 0},
    {"(a*", "", ")*\\1", 0},
    {"(((a*)*|a)*){180}", "b", "", 1},
    {"(a?a?a?a?a?a?a?a?a?a?){95}", "b", "", 1},
    {"(a|b|c|d){199}", "e", "", 1},
    {"\\b*", "", "", 0},
    {"(", "", "", 0},
    {"a", "", "", 300},
};

static void make_hostile(const struct hostile *parts, struct text *pattern)
{
    size_t length = strlen(parts->opening) + strlen(parts->closing);
    int deepest = (int)((REGEX_MAX_LENGTH - 1 - strlen(parts->inner)) / length);
    int depth = parts->depth > 0 ? parts->depth : deepest;
    text_add(pattern, "^");
    for (int i = 0; i < depth; i++)
        text_add(pattern, parts->opening);
    text_add(pattern, parts->inner);
    for (int i = 0; i < depth; i++)
        text_add(pattern, parts->closing);
}

static double cpu_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* CPU time with a margin of a hundred for sanitizers: the C library takes 150 ms for the first, 10
 * s for the second. */
static void whatever_is_repeated_costs_little(void **state)
{
    (void)state;
    enum { COMPILE_MS = 10, MATCH_MS = 100, TOPIC_LENGTH = 249 };
    double worst_compile_ms = 0;
    double worst_match_ms = 0;
    char topic[TOPIC_LENGTH + 1] = {0};
    memset(topic, 'a', TOPIC_LENGTH);
    for (size_t i = 0; i < ARRAY_LENGTH(hostile); i++) {
        _cleanup_(text_done) struct text pattern = {0};
        _cleanup_(error_done) struct error error = {0};
        struct regex *regex = NULL;
        make_hostile(&hostile[i], &pattern);
        double began_ms = cpu_ms();
        bool is_good = regex_compile(pattern.bytes, &regex, &error);
        double compiled_ms = cpu_ms();
        if (is_good)
            regex_matches(regex, topic);
        double matched_ms = cpu_ms();
        worst_compile_ms = fmax(worst_compile_ms, compiled_ms - began_ms);
        worst_match_ms = fmax(worst_match_ms, matched_ms - compiled_ms);
        if (compiled_ms - began_ms > COMPILE_MS || matched_ms - compiled_ms > MATCH_MS)
            fail_msg("%s: %g ms, %g ms", pattern.bytes, compiled_ms - began_ms,
                     matched_ms - compiled_ms);
        regex_free(&regex);
    }
    print_message("the most: %.3f ms to compile, %.3f ms to match %d bytes\n", worst_compile_ms,
                  worst_match_ms, TOPIC_LENGTH);
}

static void what_takes_too_many_steps_is_refused(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct regex *regex = NULL;
    assert_true(regex_compile("^a{1998}", &regex, &error));
    regex_free(&regex);
    assert_false(regex_compile("^a{1999}", &regex, &error));
    assert_string_equal(error_text(&error), "must have at most 1999 steps with its repetitions "
                                            "written out: repeat less");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_expression_means_what_it_means_to_the_c_library),
        cmocka_unit_test(assertions_hold_in_what_is_repeated),
        cmocka_unit_test(whatever_is_repeated_costs_little),
        cmocka_unit_test(what_takes_too_many_steps_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
