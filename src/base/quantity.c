#include "base/quantity.h"

#include "base/memory.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "0123456789";

/* What it multiplies the number with is a power of ten, or of two; false: it is no suffix. */
static bool parse_suffix(const char *suffix, int *ret_ten, int *ret_two)
{
    static const struct {
        const char *suffix;
        int ten, two;
    } suffixes[] = {{"", 0, 0},    {"n", -9, 0},  {"u", -6, 0},  {"m", -3, 0},
                    {"k", 3, 0},   {"M", 6, 0},   {"G", 9, 0},   {"T", 12, 0},
                    {"P", 15, 0},  {"E", 18, 0},  {"Ki", 0, 10}, {"Mi", 0, 20},
                    {"Gi", 0, 30}, {"Ti", 0, 40}, {"Pi", 0, 50}, {"Ei", 0, 60}};
    enum { MOST_DIGITS = 4 }; /* of an exponent: 10^9999 is too large for a double */
    for (size_t i = 0; i < ARRAY_LENGTH(suffixes); i++)
        if (text_equal(suffix, suffixes[i].suffix)) {
            *ret_ten = suffixes[i].ten;
            *ret_two = suffixes[i].two;
            return true;
        }
    if (suffix[0] != 'e' && suffix[0] != 'E')
        return false;
    const char *exponent = suffix + 1 + (suffix[1] == '+' || suffix[1] == '-');
    size_t length = strspn(exponent, digits);
    if (length == 0 || length > MOST_DIGITS || exponent[length] != '\0')
        return false;
    *ret_ten = (int)strtol(suffix + 1, NULL, 10);
    *ret_two = 0;
    return true;
}

bool quantity_parse(const char *text, double *ret_number)
{
    int ten = 0, two = 0;
    const char *whole = text + (text[0] == '+' || text[0] == '-');
    size_t whole_length = strspn(whole, digits);
    bool has_point = whole[whole_length] == '.';
    const char *fraction = whole + whole_length + has_point;
    size_t fraction_length = has_point ? strspn(fraction, digits) : 0;
    const char *suffix = fraction + fraction_length;
    if (whole_length + fraction_length == 0 || !parse_suffix(suffix, &ten, &two))
        return false;
    /* One conversion rounds once: 0.3k is 300. */
    _cleanup_(memory_free) char *number = text_format("%.*se%d", (int)(suffix - text), text, ten);
    double value = ldexp(strtod(number, NULL), two);
    if (!isfinite(value))
        return false;
    *ret_number = value;
    return true;
}
