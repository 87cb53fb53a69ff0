#include "base/memory.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void a_text_grows_and_moves_out(void **state)
{
    (void)state;
    struct text text = {0};
    for (int i = 0; i < 100; i++)
        text_addf(&text, "%d,", i);
    assert_int_equal(text.length, 290);
    char *taken = text_take(&text);
    assert_null(text.bytes);
    assert_true(text_starts_with(taken, "0,1,2,"));
    assert_true(text_ends_with(taken, "98,99,"));
    free(taken);

    char *nothing = text_take(&text);
    assert_string_equal(nothing, "");
    free(nothing);
}

static void trimming_takes_white_space_at_the_ends(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *trimmed = text_trimmed(" \t a b\r\n");
    _cleanup_(memory_free) char *blank = text_trimmed(" \n");
    _cleanup_(memory_free) char *wide = text_trimmed("\u00a0 \u3000a\u00a0b\u2009\t\xc2\x85");
    _cleanup_(memory_free) char *others =
        text_trimmed("\u00e9\u200b"); /* of width 0: no white space */
    assert_string_equal(trimmed, "a b");
    assert_string_equal(wide, "a\u00a0b");
    assert_string_equal(others, "\u00e9\u200b");
    assert_string_equal(blank, "");
    assert_true(text_is_blank("") && text_is_blank(" \v\u00a0\n"));
    assert_false(text_is_blank("\u00a0a") || text_is_blank("\u200b"));
}

/* RFC 3629: what is too long, a surrogate, too high or cut off is no UTF-8; NUL is not text. */
static void only_valid_utf8_is_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        bool valid;
    } cases[] = {
        {"plain", 5, true},
        {"", 0, true},
        {"gr\xc3\xbc\xc3\x9f", 6, true},
        {"\xe2\x82\xac", 3, true},
        {"\xf0\x9f\x98\x80", 4, true},
        {"\xf4\x8f\xbf\xbf", 4, true},
        {"a\0b", 3, false},
        {"plain and longer", 16, true},
        {"longer, with \xc3\xbc", 15, true},
        {"NUL at\0the end", 14, false},
        {"\0 at the front", 14, false},
        {"longer, cut \xc3", 13, false},
        {"eight...\x80", 9, false},
        {"\x01\x01\x01\x01\x01\x01\x01\x7f", 8, true},
        {"\x80", 1, false},
        {"\xc3", 1, false},
        {"\xc0\xaf", 2, false},
        {"\xe0\x80\xaf", 3, false},
        {"\xed\xa0\x80", 3, false},
        {"\xf0\x80\x80\xaf", 4, false},
        {"\xf4\x90\x80\x80", 4, false},
        {"\xf8\x88\x80\x80\x80", 5, false},
        {"\xe2\x82", 2, false},
        {"\xc3(", 2, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        if (text_is_utf8(cases[i].bytes, cases[i].length) != cases[i].valid)
            fail_msg("case %zu", i);
}

static void invalid_utf8_becomes_question_marks(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"},
        {"caf\xe9", "caf?"},
        {"\xe9t\xe9", "?t?"},
        {"cut \xf0\x9f", "cut ??"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char *text = text_copy(cases[i][0]);
        text_make_utf8(text);
        assert_string_equal(text, cases[i][1]);
        free(text);
    }
}

static void a_cut_never_splits_a_character(void **state)
{
    (void)state;
    assert_int_equal(text_cut("abc", 5), 3);
    assert_int_equal(text_cut("abc", 2), 2);
    assert_int_equal(text_cut("a\xe2\x82\xac", 4), 4);
    assert_int_equal(text_cut("a\xe2\x82\xac", 3), 1);
    assert_int_equal(text_cut("a\xe2\x82\xac", 2), 1);
}

static void a_part_of_a_character_is_left_out_at_both_ends(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"abc", "abc"},
        {"\xe2\x82\xac", "\xe2\x82\xac"},
        {"\x82\xac"
         "a\xe2\x82",
         "a"},
        {"a\xc3", "a"},
        {"a\xc3\xa9", "a\xc3\xa9"},
        {"\x9f\x98\x80\xf0\x9f\x98", ""},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
        {"\x80\x80\x80\x80", "\x80"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const char *bytes = cases[i][0];
        size_t length = strlen(bytes);
        text_whole_characters(&bytes, &length);
        assert_int_equal(length, strlen(cases[i][1]));
        assert_memory_equal(bytes, cases[i][1], length);
    }
}

/* The distance from the word to the nearest of these; SIZE_MAX: none is near enough. */
static size_t nearest_of(const char *word, const char *one, const char *other, const char *expected)
{
    struct text_nearest nearest;
    text_nearest_begin(word, &nearest);
    text_nearest_offer(&nearest, one);
    text_nearest_offer(&nearest, other);
    if (!text_equal(nearest.nearest, expected))
        fail_msg("%s: %s", word, nearest.nearest);
    return nearest.nearest == NULL ? SIZE_MAX : nearest.distance;
}

static void the_nearest_word_is_meant_where_few_edits_lead_to_it(void **state)
{
    (void)state;
    assert_int_equal(nearest_of("queueName", "queue", "queueName", "queueName"), 0);
    assert_int_equal(nearest_of("queuename", "queueName", "queueNames", "queueName"), 0);
    assert_int_equal(nearest_of("queueNmae", "host", "queueName", "queueName"), 1);
    assert_int_equal(nearest_of("queuName", "queueName", "host", "queueName"), 1);
    assert_int_equal(nearest_of("cat", "bat", "rat", "bat"), 1);
    assert_int_equal(nearest_of("simu", "migrate", "simulate", "simulate"), 0);
    assert_true(nearest_of("s", "simulate", "serve", NULL) == SIZE_MAX);
    assert_true(nearest_of("", "abc", "abcd", NULL) == SIZE_MAX);
    char long_word[100];
    memset(long_word, 'a', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    assert_true(nearest_of(long_word, "a", long_word + 1, NULL) == SIZE_MAX);
}

static void assert_piece(const char **rest, const char *separators, const char *expected)
{
    size_t length = 0;
    const char *piece = text_next_piece(rest, separators, &length);
    assert_non_null(piece);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(piece, expected, length);
}

static void pieces_stand_between_separators(void **state)
{
    (void)state;
    size_t length = 0;
    const char *list = "a,  b , ,";
    assert_piece(&list, ",", "a");
    assert_piece(&list, ",", "b ");
    assert_piece(&list, ",", "");
    assert_piece(&list, ",", "");
    assert_null(text_next_piece(&list, ",", &length));
    const char *whole = "a,b";
    assert_piece(&whole, "", "a,b");
    assert_null(text_next_piece(&whole, "", &length));
}

static void a_piece_is_taken_without_white_space_around_it(void **state)
{
    (void)state;
    static const char text[] = "a, \tb c\n,,";
    static const char *const pieces[] = {"a", "b c", "", ""};
    const char *rest = text;
    assert_int_equal(text_count_pieces(text, ","), ARRAY_LENGTH(pieces));
    for (size_t i = 0; i < ARRAY_LENGTH(pieces); i++) {
        _cleanup_(memory_free) char *piece = text_take_piece(&rest, ",");
        assert_string_equal(piece, pieces[i]);
    }
    assert_null(text_take_piece(&rest, ","));
    assert_int_equal(text_count_pieces("", ","), 1);
    assert_int_equal(text_count_pieces("a,b", ""), 1);
}

static void percent_encoding_has_two_digits(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        int byte;
    } table[] = {{"%41", 3, 'A'}, {"%fF9", 4, 255}, {"%00", 3, 0},  {"%4", 2, -1},  {"%412", 2, -1},
                 {"%g1", 3, -1},  {"%1G", 3, -1},   {"a41", 3, -1}, {"%%4", 3, -1}, {"", 0, -1}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        assert_int_equal(text_percent_byte(table[i].bytes, table[i].length), table[i].byte);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_grows_and_moves_out),
        cmocka_unit_test(trimming_takes_white_space_at_the_ends),
        cmocka_unit_test(only_valid_utf8_is_utf8),
        cmocka_unit_test(invalid_utf8_becomes_question_marks),
        cmocka_unit_test(a_cut_never_splits_a_character),
        cmocka_unit_test(a_part_of_a_character_is_left_out_at_both_ends),
        cmocka_unit_test(percent_encoding_has_two_digits),
        cmocka_unit_test(a_piece_is_taken_without_white_space_around_it),
        cmocka_unit_test(the_nearest_word_is_meant_where_few_edits_lead_to_it),
        cmocka_unit_test(pieces_stand_between_separators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
