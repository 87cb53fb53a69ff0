#include "model/trace.h"

#include "base/memory.h"
#include "base/system/input.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LARGEST_FILE = 64 << 20 };

/* One line that is being read, and the state behind it. */
struct trace_parser {
    const char *path;
    size_t line;
    size_t rows;
    bool has_header;
    bool has_more_columns; /* than time and arrivals */
    double first_s;
    double last_s; /* since the first */
    double rate;   /* from the last row on */
    size_t capacity;
    struct trace *trace;
};

void trace_free(struct trace *trace)
{
    if (trace == NULL)
        return;
    free(trace->arrivals);
    free(trace);
}

/* strptime() takes 30 February, which timegm() makes 2 March. */
static bool has_day(const struct tm *date)
{
    struct tm day = {.tm_year = date->tm_year, .tm_mon = date->tm_mon, .tm_mday = date->tm_mday};
    timegm(&day);
    return day.tm_mday == date->tm_mday;
}

/* Seconds, or an RFC 3339 date in UTC. Returns what stands behind it, or NULL. */
static const char *read_time(const char *text, double *ret_seconds)
{
    struct tm date = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &date);
    char *number_end = NULL;
    if (end != NULL) {
        bool exists = has_day(&date);
        double fraction = *end == '.' ? strtod(end, &number_end) : 0;
        end = number_end == NULL ? end : number_end;
        *ret_seconds = (double)timegm(&date) + fraction;
        return *end == 'Z' && exists ? end + 1 : NULL;
    }
    *ret_seconds = strtod(text, &number_end);
    return number_end == text ? NULL : number_end;
}

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t\r");
}

/* An empty rate leaves `*ret_rate` as it is. */
static bool read_row(const char *line, bool has_more_columns, double *ret_seconds, double *ret_rate)
{
    const char *end = read_time(skip_blanks(line), ret_seconds);
    char *rate_end = NULL;
    if (end == NULL || *(end = skip_blanks(end)) != ',' || !isfinite(*ret_seconds))
        return false;
    if (has_more_columns && end[1] == ',')
        return true;
    *ret_rate = strtod(end + 1, &rate_end);
    char behind = *skip_blanks(rate_end);
    return rate_end != end + 1 && (behind == '\0' || (has_more_columns && behind == ',')) &&
           isfinite(*ret_rate) && *ret_rate >= 0;
}

/* The rate that was has lasted until `until_s`: a second that it shares with the next gets its
 * part. */
static void add_until(struct trace_parser *parser, double until_s)
{
    struct trace *trace = parser->trace;
    double at_s = parser->last_s;
    while (at_s < until_s) {
        size_t second = (size_t)at_s;
        double end_s = fmin((double)second + 1, until_s);
        if (second >= trace->seconds) {
            trace->arrivals = memory_grow(trace->arrivals, &parser->capacity, second + 1,
                                          sizeof(*trace->arrivals));
            while (trace->seconds <= second)
                trace->arrivals[trace->seconds++] = 0;
        }
        trace->arrivals[second] += parser->rate * (end_s - at_s);
        at_s = end_s;
    }
    parser->last_s = until_s;
}

/* Names, before the first row. What begins as a number does is a row, and may have a mistake. */
static bool read_header(struct trace_parser *parser, const char *line)
{
    if (parser->has_header || parser->rows > 0 || strchr("+-.0123456789", *line) != NULL)
        return false;
    parser->has_header = true;
    parser->has_more_columns = text_starts_with(line, "time,arrivals,");
    return true;
}

static bool add_row(struct trace_parser *parser, const char *line, struct error *error)
{
    double at_s = 0, rate = parser->rate;
    if (!read_row(line, parser->has_more_columns, &at_s, &rate)) {
        if (read_header(parser, line))
            return true;
        return error_invalid(error,
                             "%s:%zu: a line must be TIME,ARRIVALS, such as 600,12.5: a time in "
                             "seconds, or a date that exists (2026-01-31T12:00:00Z), and how much "
                             "arrives per second from then on",
                             parser->path, parser->line);
    }
    if (rate > TRACE_MAX_RATE)
        return error_invalid(error, "%s:%zu: %g arrivals per second: at most %g are allowed",
                             parser->path, parser->line, rate, TRACE_MAX_RATE);
    if (parser->rows++ == 0)
        parser->first_s = at_s;
    at_s -= parser->first_s;
    if (at_s < parser->last_s || at_s > TRACE_MAX_SECONDS)
        return error_invalid(error, "%s:%zu: times must ascend, and span at most 31 days",
                             parser->path, parser->line);
    add_until(parser, at_s);
    parser->rate = rate;
    return true;
}

static bool read_lines(struct trace_parser *parser, const char *text, struct error *error)
{
    static const char mark[] = "\xef\xbb\xbf"; /* a spreadsheet's, before UTF-8 */
    const char *line = text_starts_with(text, mark) ? text + strlen(mark) : text;
    while (*line != '\0') {
        size_t length = strcspn(line, "\n");
        _cleanup_(memory_free) char *copy = text_copy_bytes(line, length);
        const char *content = skip_blanks(copy);
        parser->line++;
        if (*content != '\0' && *content != '#' && !add_row(parser, content, error))
            return false;
        line += length + (line[length] == '\n');
    }
    return parser->trace->seconds > 0 ||
           error_invalid(error, "%s: a trace must have at least two lines: the last is its end",
                         parser->path);
}

bool trace_parse(const char *text, const char *path, struct trace **ret_trace, struct error *error)
{
    struct trace_parser parser = {.path = path, .trace = memory_new(sizeof(struct trace))};
    if (!read_lines(&parser, text, error)) {
        trace_free(parser.trace);
        return false;
    }
    *ret_trace = parser.trace;
    return true;
}

bool trace_load(const char *path, struct trace **ret_trace, struct error *error)
{
    _cleanup_(text_done) struct text text = {0};
    if (!input_read(path, LARGEST_FILE, &text, error))
        return false;
    const char *bytes = text.bytes == NULL ? "" : text.bytes;
    if (strlen(bytes) < text.length)
        return error_invalid(error, "%s:%zu: a NUL byte: a trace must be text in UTF-8", path,
                             text_count_pieces(bytes, "\n"));
    return trace_parse(bytes, path, ret_trace, error);
}
