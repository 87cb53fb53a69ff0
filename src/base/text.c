#include "base/text.h"

#include "base/memory.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

void text_done(struct text *text)
{
    free(text->bytes);
    *text = (struct text){0};
}

void text_clear(struct text *text)
{
    text->length = 0;
    if (text->bytes != NULL)
        text->bytes[0] = '\0';
}

/* Room for so many bytes more, and the NUL. */
static void reserve(struct text *text, size_t length)
{
    enum { FIRST_CAPACITY = 128 };
    size_t needed = text->length + length + 1;
    if (text->capacity == 0 && needed < FIRST_CAPACITY)
        needed = FIRST_CAPACITY;
    text->bytes = memory_grow(text->bytes, &text->capacity, needed, 1);
}

void text_add_bytes(struct text *text, const void *bytes, size_t length)
{
    reserve(text, length);
    if (length > 0)
        memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_addv(struct text *text, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length > 0) {
        reserve(text, (size_t)length);
        vsnprintf(text->bytes + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}

void text_addf(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_addv(text, format, arguments);
    va_end(arguments);
}

/* It may be kept for long, and counts by its length (text_heap_bytes()). glibc would keep what is
 * cut off a short text for requests of that very size. So a short text is copied, and only a long
 * one is cut. */
static char *without_unused(char *bytes, size_t length, size_t capacity)
{
    enum { SHORT = 4096 };
    if (memory_heap_bytes(length + 1) == memory_heap_bytes(capacity))
        return bytes;
    if (capacity > SHORT)
        return memory_resize(bytes, length + 1);
    char *copy = text_copy_bytes(bytes, length);
    free(bytes);
    return copy;
}

char *text_take(struct text *text)
{
    struct text taken = *text;
    *text = (struct text){0};
    return taken.bytes == NULL ? text_copy("")
                               : without_unused(taken.bytes, taken.length, taken.capacity);
}

char *text_format(const char *format, ...)
{
    struct text text = {0};
    va_list arguments;
    va_start(arguments, format);
    text_addv(&text, format, arguments);
    va_end(arguments);
    return text_take(&text);
}

size_t text_heap_bytes(const char *string)
{
    return string == NULL ? 0 : memory_heap_bytes(strlen(string) + 1);
}

char *text_copy_bytes(const char *bytes, size_t length)
{
    char *copy = memory_new(length + 1);
    if (length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

char *text_copy(const char *string)
{
    return string == NULL ? NULL : text_copy_bytes(string, strlen(string));
}

/* The length of the white space character that `at` begins with, 0 where it begins with none. */
static size_t white_space(const char *at)
{
    /* Those of Unicode. The first comes along when text is copied from a page. */
    static const char *const wide[] = {
        "\u00a0", "\xc2\x85", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
        "\u2004", "\u2005",   "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
        "\u2028", "\u2029",   "\u202f", "\u205f", "\u3000",
    };
    if ((unsigned char)*at < 0x80)
        return isspace((unsigned char)*at) ? 1 : 0;
    for (size_t i = 0; i < ARRAY_LENGTH(wide); i++)
        if (text_starts_with(at, wide[i]))
            return strlen(wide[i]);
    return 0;
}

static const char *past_white_space(const char *string)
{
    for (size_t space; (space = white_space(string)) > 0;)
        string += space;
    return string;
}

char *text_trimmed(const char *string)
{
    string = past_white_space(string);
    size_t length = 0;
    for (size_t at = 0; string[at] != '\0';) {
        size_t space = white_space(string + at);
        at += space > 0 ? space : 1;
        length = space > 0 ? length : at;
    }
    return text_copy_bytes(string, length);
}

bool text_is_blank(const char *string)
{
    return *past_white_space(string) == '\0';
}

bool text_equal(const char *left, const char *right)
{
    return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

int text_percent_byte(const char *bytes, size_t length)
{
    int high = length < 3 || bytes[0] != '%' ? -1 : hex_digit(bytes[1]);
    int low = high < 0 ? -1 : hex_digit(bytes[2]);
    return low < 0 ? -1 : high * 16 + low;
}

bool text_starts_with(const char *string, const char *prefix)
{
    return strncmp(string, prefix, strlen(prefix)) == 0;
}

bool text_ends_with(const char *string, const char *suffix)
{
    size_t length = strlen(string);
    size_t end = strlen(suffix);
    return length >= end && memcmp(string + length - end, suffix, end) == 0;
}

/* A byte of a UTF-8 character that is not its first. */
static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* How many bytes a UTF-8 character has that begins with this one. */
static size_t character_size(unsigned char first)
{
    return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
}

/* RFC 3629, table in section 4. */
size_t text_character(const char *string, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)string;
    unsigned char first = length == 0 ? 0 : bytes[0];
    if (first < 0x80)
        return first == 0 ? 0 : 1;

    size_t size = character_size(first);
    if (first < 0xc2 || first > 0xf4 || size > length)
        return 0;
    for (size_t i = 1; i < size; i++)
        if (!is_continuation(string[i]))
            return 0;

    bool overlong = (first == 0xe0 && bytes[1] < 0xa0) || (first == 0xf0 && bytes[1] < 0x90);
    bool surrogate = first == 0xed && bytes[1] > 0x9f;
    bool too_high = first == 0xf4 && bytes[1] > 0x8f;
    return overlong || surrogate || too_high ? 0 : size;
}

/* How far the text is plain ASCII, eight bytes at a time: what nearly all of it is. */
static size_t ascii_length(const char *bytes, size_t length)
{
    const uint64_t high_bits = UINT64_C(0x8080808080808080);
    const uint64_t ones = UINT64_C(0x0101010101010101);
    size_t at = 0;
    for (uint64_t word; at + sizeof(word) <= length; at += sizeof(word)) {
        memcpy(&word, bytes + at, sizeof(word));
        /* A byte of 0 borrows from its high bit when 1 is taken off. */
        if (((word | (word - ones)) & high_bits) != 0)
            break;
    }
    return at;
}

size_t text_control(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    if ((at[0] > 0 && at[0] < ' ') || at[0] == 0x7F)
        return 1;
    if ((at[0] == 0xC2 && at[1] >= 0x80 && at[1] < 0xA0) || (at[0] == 0xD8 && at[1] == 0x9C))
        return 2;
    bool is_three =
        at[0] == 0xE2 &&
        ((at[1] == 0x80 && (at[2] == 0x8E || at[2] == 0x8F || (at[2] >= 0xA8 && at[2] <= 0xAE))) ||
         (at[1] == 0x81 && at[2] >= 0xA6 && at[2] <= 0xA9));
    return is_three ? 3 : 0;
}

bool text_is_utf8(const char *bytes, size_t length)
{
    for (size_t at = ascii_length(bytes, length); at < length;) {
        size_t size = text_character(bytes + at, length - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

void text_make_utf8(char *string)
{
    size_t length = strlen(string);
    for (size_t at = ascii_length(string, length); at < length;) {
        size_t size = text_character(string + at, length - at);
        if (size == 0)
            string[at] = '?';
        at += size == 0 ? 1 : size;
    }
}

size_t text_cut(const char *string, size_t limit)
{
    size_t length = strnlen(string, limit + 1);
    if (length <= limit)
        return length;
    while (limit > 0 && is_continuation(string[limit]))
        limit--;
    return limit;
}

void text_whole_characters(const char **bytes, size_t *length)
{
    enum { LONGEST_PART = 3 };
    for (int i = 0; i < LONGEST_PART && *length > 0 && is_continuation(**bytes); i++) {
        (*bytes)++;
        (*length)--;
    }
    for (size_t part = 1; part <= LONGEST_PART && part <= *length; part++) {
        char first = (*bytes)[*length - part];
        if (is_continuation(first))
            continue;
        *length -= character_size((unsigned char)first) > part ? part : 0;
        return;
    }
}

const char *text_next_piece(const char **rest, const char *separators, size_t *ret_length)
{
    const char *begin = *rest;
    if (begin == NULL)
        return NULL;
    size_t length = strcspn(begin, separators);
    size_t blanks = strspn(begin, " ");
    *rest = begin[length] == '\0' ? NULL : begin + length + 1;
    blanks = MIN(blanks, length);
    *ret_length = length - blanks;
    return begin + blanks;
}

char *text_take_piece(const char **rest, const char *separators)
{
    size_t length = 0;
    const char *piece = text_next_piece(rest, separators, &length);
    if (piece == NULL)
        return NULL;
    _cleanup_(memory_free) char *raw = text_copy_bytes(piece, length);
    return text_trimmed(raw);
}

size_t text_count_pieces(const char *text, const char *separators)
{
    size_t count = 1;
    for (; (text = strpbrk(text, separators)) != NULL; text++)
        count++;
    return count;
}

/* How many edits of one character turn one string into the other. */
static size_t distance_of(const char *left, const char *right)
{
    enum { LONGEST = 64 };
    size_t rows[3][LONGEST + 1];
    size_t *before = rows[0];
    size_t *above = rows[1];
    size_t *current = rows[2];
    size_t height = strlen(left);
    size_t width = strlen(right);
    if (height > LONGEST || width > LONGEST)
        return SIZE_MAX;

    for (size_t j = 0; j <= width; j++)
        above[j] = j;
    for (size_t i = 1; i <= height; i++) {
        int a = tolower((unsigned char)left[i - 1]);
        current[0] = i;
        for (size_t j = 1; j <= width; j++) {
            int b = tolower((unsigned char)right[j - 1]);
            current[j] = MIN(MIN(above[j], current[j - 1]) + 1, above[j - 1] + (a != b));
            if (i > 1 && j > 1 && a == tolower((unsigned char)right[j - 2]) &&
                b == tolower((unsigned char)left[i - 2]) && before[j - 2] + 1 < current[j])
                current[j] = before[j - 2] + 1;
        }
        size_t *oldest = before;
        before = above;
        above = current;
        current = oldest;
    }
    return above[width];
}

const char *text_plural(size_t count)
{
    return count == 1 ? "" : "s";
}

void text_nearest_begin(const char *word, struct text_nearest *ret_nearest)
{
    *ret_nearest = (struct text_nearest){.word = word, .distance = strlen(word) / 3 + 2};
}

void text_nearest_offer(struct text_nearest *nearest, const char *known)
{
    size_t length = strlen(nearest->word);
    size_t known_length = strlen(known);
    size_t distance = 0;
    if (length < 2 || !text_starts_with(known, nearest->word)) {
        if (MAX(length, known_length) - MIN(length, known_length) >= nearest->distance)
            return; /* so many edits at least: to count them takes long */
        distance = distance_of(nearest->word, known);
    }
    if (distance < nearest->distance) {
        nearest->distance = distance;
        nearest->nearest = known;
    }
}
