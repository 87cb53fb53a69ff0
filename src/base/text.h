/*
 * Text: a growing string, and a few functions on strings that libc does not have.
 *
 * Threads: none are involved; a text belongs to whoever declared it.
 */
#ifndef BACKLOG_BASE_TEXT_H
#define BACKLOG_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* `struct text text = {0};` is an empty one. `bytes` is NUL-terminated, or NULL while empty. */
struct text {
    char *bytes;
    size_t length;
    size_t capacity;
};

void text_done(struct text *text);
void text_clear(struct text *text);
void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const void *bytes, size_t length);
void text_addf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_addv(struct text *text, const char *format, va_list arguments);

/* Moves the string out ("" for an empty text); the caller frees it. */
char *text_take(struct text *text);

/* What printf would print; the caller frees it. */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A copy of the first `length` bytes, NUL-terminated; the caller frees it. */
char *text_copy_bytes(const char *bytes, size_t length);

/* A copy; NULL stays NULL. The caller frees it. */
char *text_copy(const char *string);

/* A copy without white space at its ends (as Go's strings.TrimSpace does); the caller frees it. */
char *text_trimmed(const char *string);

/* text_trimmed() leaves nothing of it. */
bool text_is_blank(const char *string);

bool text_equal(const char *left, const char *right);
bool text_starts_with(const char *string, const char *prefix);
bool text_ends_with(const char *string, const char *suffix);

/* The length of the UTF-8 character that `bytes` begin with, 0 where they begin with none or with
 * NUL. */
size_t text_character(const char *bytes, size_t length);

/* The length of a character that a terminal obeys, and does not show: a control character, also of
 * C1, or one that ends a line or has text shown in another order (U+061C, U+200E, U+200F, U+2028 to
 * U+202E, U+2066 to U+2069). 0: it is none. */
size_t text_control(const char *text);

/* Valid UTF-8 without NUL, as protobuf demands of a string field. */
bool text_is_utf8(const char *bytes, size_t length);

/* Puts ? in the place of each byte that belongs to no UTF-8 character. */
void text_make_utf8(char *string);

/* What "%41" at the beginning of so many bytes stands for (RFC 3986, section 2.1); -1: there is no
 * such thing. */
int text_percent_byte(const char *bytes, size_t length);

/* The longest length <= limit at which `string` can be cut without splitting a UTF-8 character. */
size_t text_cut(const char *string, size_t limit);

/* Leaves out the part of a UTF-8 character that the bytes begin or end with: they are a part of
 * something longer, which was cut anywhere. */
void text_whole_characters(const char **bytes, size_t *length);

/* "s", or "" for one. */
const char *text_plural(size_t count);

/* What a copy of the string takes of the heap (base/memory.h), for limits; NULL: nothing. */
size_t text_heap_bytes(const char *string);

/* The next of the pieces between these characters, without blanks before it; without characters
 * ("") all of the text is one piece. `*rest` goes on behind it. NULL: there is none left. */
const char *text_next_piece(const char **rest, const char *separators, size_t *ret_length);

/* The same as a copy, without white space at both ends (text_trimmed()), which the caller frees. */
char *text_take_piece(const char **rest, const char *separators);

/* How many of them there are: one at least. */
size_t text_count_pieces(const char *text, const char *separators);

/* For "did you mean": of the known words the one that an unknown word is nearest to, upper and
 * lower case being equal. */
struct text_nearest {
    const char *word;    /* the unknown one */
    size_t distance;     /* in edits of one character; a swap of neighbours is one */
    const char *nearest; /* NULL: none is near enough to be meant */
};

void text_nearest_begin(const char *word, struct text_nearest *ret_nearest);
/* Of equally near ones the first is kept. A word that is the beginning of one is nearest to it. */
void text_nearest_offer(struct text_nearest *nearest, const char *known);

#endif
