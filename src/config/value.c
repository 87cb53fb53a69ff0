#include "config/value.h"

#include "base/memory.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How many pieces a value may have. Each of a list is an allocation and, behind it, a header or a
 * host; a topic may have a thousand partitions. */
enum { MAX_RANGES = 1024 };

/* The end of a JSON integer at `text`, or NULL: no plus sign, no leading zero (RFC 8259, section
 * 6). */
static const char *json_integer_end(const char *text)
{
    if (*text == '-')
        text++;
    if (*text == '0')
        return text + 1;
    if (!isdigit((unsigned char)*text))
        return NULL;
    while (isdigit((unsigned char)*text))
        text++;
    return text;
}

static const char *digits_end(const char *text)
{
    const char *start = text;
    while (isdigit((unsigned char)*text))
        text++;
    return text == start ? NULL : text;
}

static bool is_json_number(const char *text)
{
    const char *at = json_integer_end(text);
    if (at != NULL && *at == '.')
        at = digits_end(at + 1);
    if (at != NULL && (*at == 'e' || *at == 'E')) {
        at++;
        if (*at == '+' || *at == '-')
            at++;
        at = digits_end(at);
    }
    return at != NULL && *at == '\0';
}

static bool parse_integer(const char *text, int64_t *ret_number)
{
    const char *end = json_integer_end(text);
    if (end == NULL || *end != '\0')
        return false;
    errno = 0;
    long long number = strtoll(text, NULL, 10);
    if (errno != 0)
        return false;
    *ret_number = number;
    return true;
}

static bool has_limits(const struct option *row)
{
    return row->limits.min != 0 || row->limits.max != 0;
}

static bool within_limits(const struct option *row, double number)
{
    return !has_limits(row) || (number >= row->limits.min && number <= row->limits.max);
}

static const char duration_words[] = "a duration such as 30s, 1m30s or 500ms";
static const char bare_duration_words[] =
    "a duration such as 30s, 1m30s or 500ms (a bare number is milliseconds)";

/* A limit as the user would write it: 1h and not 3600000ms. */
static void add_limit(struct text *text, const struct option *row, double limit)
{
    static const struct {
        const char *name;
        double ms;
    } wholes[] = {{"h", 3600e3}, {"m", 60e3}, {"s", 1e3}, {"ms", 1}};
    size_t i = 0;
    while (row->type == OPTION_DURATION && wholes[i].ms > 1 &&
           (limit < wholes[i].ms || fmod(limit, wholes[i].ms) != 0))
        i++;
    if (row->type == OPTION_DURATION)
        text_addf(text, "%.15g%s", limit / wholes[i].ms, wholes[i].name);
    else
        text_addf(text, "%.15g", limit);
}

static void add_limits(struct text *text, const struct option *row)
{
    if (!has_limits(row))
        return;
    bool open = isinf(row->limits.max);
    text_add(text, open ? ", at least " : " from ");
    add_limit(text, row, row->limits.min);
    if (open)
        return;
    text_add(text, " to ");
    add_limit(text, row, row->limits.max);
}

static void add_choices(struct text *text, const struct option *row)
{
    for (size_t i = 0; row->choices[i] != NULL; i++)
        text_addf(text, "%s%s",
                  i == 0                        ? ""
                  : row->choices[i + 1] == NULL ? " or "
                                                : ", ",
                  row->choices[i]);
}

char *value_allowed(const struct option *row)
{
    static const char *const words[] = {
        [OPTION_STRING] = "text",
        [OPTION_BOOL] = "true or false",
        [OPTION_INT] = "a whole number such as 10",
        [OPTION_FLOAT] = "a number such as 2.5",
        [OPTION_DURATION] = duration_words,
        [OPTION_CHOICE] = "",
        [OPTION_LIST] = "texts between commas",
        [OPTION_RANGES] = "numbers and ranges such as 1,2,10-20",
        [OPTION_UNSUPPORTED] = "not supported here",
    };
    struct text text = {0};
    bool is_bare = row->type == OPTION_DURATION && row->flags & OPTION_BARE_MS;
    text_add(&text, is_bare ? bare_duration_words : words[row->type]);
    if (row->type == OPTION_CHOICE)
        add_choices(&text, row);
    add_limits(&text, row);
    return text_take(&text);
}

static bool not_allowed(const struct option *row, struct error *error)
{
    _cleanup_(memory_free) char *allowed = value_allowed(row);
    return error_invalid(error, "must be %s", allowed);
}

static bool parse_int(const struct option *row, const char *text, int64_t *field,
                      struct error *error)
{
    int64_t number;
    if (!parse_integer(text, &number) || !within_limits(row, (double)number))
        return not_allowed(row, error);
    *field = number;
    return true;
}

static bool parse_float(const struct option *row, const char *text, double *field,
                        struct error *error)
{
    double number = is_json_number(text) ? strtod(text, NULL) : NAN;
    if (!isfinite(number) || !within_limits(row, number))
        return not_allowed(row, error);
    *field = number;
    return true;
}

static bool parse_bool(const struct option *row, const char *text, bool *field, struct error *error)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
    for (size_t i = 0; i < ARRAY_LENGTH(yes); i++)
        if (text_equal(text, yes[i]) || text_equal(text, no[i])) {
            *field = text_equal(text, yes[i]);
            return true;
        }
    return not_allowed(row, error);
}

static bool parse_choice(const struct option *row, const char *text, int *field,
                         struct error *error)
{
    for (int i = 0; row->choices[i] != NULL; i++)
        if (text_equal(text, row->choices[i])) {
            *field = i;
            return true;
        }

    return not_allowed(row, error);
}

/* Go's time.ParseDuration: the units, in nanoseconds. */
static const struct unit {
    const char *name;
    double nanoseconds;
} units[] = {
    {"ns", 1},   {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"\xce\xbcs", 1e3}, /* both micro signs */
    {"ms", 1e6}, {"s", 1e9},  {"m", 60e9},        {"h", 3600e9},
};

static const struct unit *find_unit(const char *text, size_t length)
{
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++)
        if (strlen(units[i].name) == length && memcmp(units[i].name, text, length) == 0)
            return &units[i];
    return NULL;
}

/* The milliseconds of a sequence such as 1m30.5s; negative where it is none. */
static double go_duration_ms(const char *text)
{
    double total = 0;
    if (*text == '\0')
        return -1;
    while (*text != '\0') {
        size_t number = strspn(text, "0123456789.");
        bool digits = strcspn(text, "0123456789") < number;
        size_t unit = strcspn(text + number, "0123456789.");
        const struct unit *found = find_unit(text + number, unit);
        const char *point = memchr(text, '.', number);
        bool two_points =
            point != NULL && strcspn(point + 1, ".") < number - (size_t)(point + 1 - text);
        if (!digits || two_points || found == NULL)
            return -1;
        _cleanup_(memory_free) char *amount = text_copy_bytes(text, number);
        total += strtod(amount, NULL) * found->nanoseconds / 1e6;
        text += number + unit;
    }
    return total;
}

/* As Go writes it ("1m30s"). A bare number may mean seconds to one and milliseconds to the other:
 * only where KEDA has decided it is one. */
static bool parse_duration(const struct option *row, const char *text, int64_t *field,
                           struct error *error)
{
    /* Ten years: beyond it somebody mistook the unit, and sums of times stay far from overflow. */
    const double longest_ms = 3650.0 * 24 * 3600 * 1000;
    int64_t bare = 0;
    bool is_bare = parse_integer(text, &bare);
    if (is_bare && bare >= 0 && !(row->flags & OPTION_BARE_MS))
        return error_invalid(error, "must have a unit, as in 30s, 5m or 500ms");
    bool sign = *text == '-' || *text == '+';
    double ms = is_bare ? (double)bare : go_duration_ms(text + sign);
    bool below_0 = ms < 0 || (*text == '-' && ms > 0);
    if (below_0)
        return not_allowed(row, error);
    if (ms > longest_ms)
        return error_invalid(error, "must be at most 87600h (ten years)");
    if (!within_limits(row, ms))
        return not_allowed(row, error);
    *field = (int64_t)ms;
    return true;
}

static bool check_pieces(size_t count, size_t max, struct error *error)
{
    return count <= max || error_invalid(error, "must have at most %zu pieces", max);
}

static bool parse_list(const struct option *row, const char *text, struct option_list *field,
                       struct error *error)
{
    const char *separator = row->flags & OPTION_REPEATED ? "\n" : ",";
    size_t count = text_count_pieces(text, separator);
    if (!check_pieces(count, OPTION_MAX_PIECES, error))
        return false;

    *field = (struct option_list){memory_array(count, sizeof(*field->items)), count};
    for (size_t i = 0; i < count; i++)
        field->items[i] = text_take_piece(&text, separator);
    return true;
}

static bool parse_range(const char *piece, struct option_range *ret_range)
{
    const char *dash = strchr(piece, '-');
    if (dash == NULL) {
        bool single = parse_integer(piece, &ret_range->first);
        ret_range->last = ret_range->first;
        return single;
    }
    _cleanup_(memory_free) char *first_raw = text_copy_bytes(piece, (size_t)(dash - piece));
    _cleanup_(memory_free) char *first = text_trimmed(first_raw);
    _cleanup_(memory_free) char *last = text_trimmed(dash + 1);
    return parse_integer(first, &ret_range->first) && parse_integer(last, &ret_range->last) &&
           ret_range->first <= ret_range->last;
}

static bool parse_ranges(const struct option *row, const char *text, struct option_ranges *field,
                         struct error *error)
{
    size_t count = text_count_pieces(text, ",");
    if (!check_pieces(count, MAX_RANGES, error))
        return false;

    struct option_range *items = memory_array(count, sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        _cleanup_(memory_free) char *piece = text_take_piece(&text, ",");
        if (!parse_range(piece, &items[i])) {
            free(items);
            return not_allowed(row, error);
        }
    }
    *field = (struct option_ranges){items, count};
    return true;
}

bool value_parse(const struct option *row, const char *text, void *field, struct error *error)
{
    switch (row->type) {
    case OPTION_STRING:
        *(const char **)field = text;
        return true;
    case OPTION_BOOL:
        return parse_bool(row, text, field, error);
    case OPTION_INT:
        return parse_int(row, text, field, error);
    case OPTION_FLOAT:
        return parse_float(row, text, field, error);
    case OPTION_DURATION:
        return parse_duration(row, text, field, error);
    case OPTION_CHOICE:
        return parse_choice(row, text, field, error);
    case OPTION_LIST:
        return parse_list(row, text, field, error);
    case OPTION_RANGES:
        return parse_ranges(row, text, field, error);
    case OPTION_UNSUPPORTED:
        return error_invalid(error, "is not supported here: %s", row->doc);
    }
    return error_set(error, ERROR_INTERNAL, "has no type");
}

size_t value_bytes(const struct option *row, const void *field)
{
    size_t bytes = 0;
    if (row->type == OPTION_RANGES)
        bytes = ((const struct option_ranges *)field)->count * sizeof(struct option_range);
    if (row->type == OPTION_LIST) {
        const struct option_list *list = field;
        for (size_t i = 0; i < list->count; i++)
            bytes += sizeof(*list->items) + text_heap_bytes(list->items[i]);
    }
    return bytes;
}

static void list_free(struct option_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free((char *)list->items[i]);
    free(list->items);
    *list = (struct option_list){0};
}

void value_free(const struct option *row, void *field)
{
    if (row->type == OPTION_LIST)
        list_free(field);
    if (row->type == OPTION_RANGES) {
        struct option_ranges *ranges = field;
        free(ranges->items);
        *ranges = (struct option_ranges){0};
    }
}
