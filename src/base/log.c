#include "base/log.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static const char *const format_names[] = {"plain", "json"};

static struct {
    enum log_level min_level;
    enum log_format format;
} settings = {LOG_INFO, LOG_PLAIN};

void log_init(enum log_level min_level, enum log_format format)
{
    settings.min_level = min_level;
    settings.format = format;
}

static bool find(const char *name, const char *const *names, size_t count, size_t *ret_index)
{
    for (size_t i = 0; i < count; i++)
        if (text_equal(name, names[i])) {
            *ret_index = i;
            return true;
        }
    return false;
}

bool log_level_parse(const char *name, enum log_level *ret_level)
{
    size_t index;
    if (!find(name, level_names, ARRAY_LENGTH(level_names), &index))
        return false;
    *ret_level = (enum log_level)index;
    return true;
}

bool log_format_parse(const char *name, enum log_format *ret_format)
{
    size_t index;
    if (!find(name, format_names, ARRAY_LENGTH(format_names), &index))
        return false;
    *ret_format = (enum log_format)index;
    return true;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

const char *log_format_name(enum log_format format)
{
    return format_names[format];
}

enum log_level log_level_now(void)
{
    return settings.min_level;
}

enum log_format log_format_now(void)
{
    return settings.format;
}

/* The longest line is what a pipe takes in one go where it says that it has room; of that, an escaped character,
 * the sign of omission and what ends a line take less than END_BYTES. */
enum { LINE_BYTES = PIPE_BUF, END_BYTES = 16 };

/* A broker's or a user's text must not forge a second line or break the JSON. */
static void add_escaped(struct text *line, const char *message)
{
    static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
    bool json = settings.format == LOG_JSON;
    for (const char *at = message; *at != '\0';) {
        unsigned char c = (unsigned char)*at;
        size_t length = text_character(at, strnlen(at, 4));
        if (line->length > LINE_BYTES - END_BYTES) {
            text_add(line, " ...");
            return;
        }
        if (json && (c == '"' || c == '\\'))
            text_addf(line, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            text_addf(line, json ? "\\u%04x" : "\\x%02x", c);
        else if (length == 0)
            text_add(line, replacement);
        else
            text_add_bytes(line, at, length);
        at += length == 0 ? 1 : length;
    }
}

/* One write a line, so that the lines of several threads and of a child never mix. Locks may be held:
 * a pipe that nobody reads must not stop the answers, so a line for which it has no room is lost. One thread at a
 * time, or another would take the room. */
static void write_out(const struct text *line)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct pollfd output = {.fd = STDERR_FILENO, .events = POLLOUT};
    pthread_mutex_lock(&lock);
    if (poll(&output, 1, 0) == 1) {
        ssize_t written = write(STDERR_FILENO, line->bytes, line->length);
        (void)written;
    }
    pthread_mutex_unlock(&lock);
}

static void write_line(enum log_level level, const char *format, va_list arguments)
{
    if (level < settings.min_level)
        return;

    _cleanup_(text_done) struct text message = {0};
    _cleanup_(text_done) struct text line = {0};
    char date[32];
    clock_date(date, sizeof(date));
    text_addv(&message, format, arguments);
    const char *words = message.bytes == NULL ? "" : message.bytes;

    if (settings.format == LOG_JSON) {
        text_addf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":\"", date,
                  level_names[level]);
        add_escaped(&line, words);
        text_add(&line, "\"}\n");
    } else {
        text_addf(&line, "%s %-7s ", date, level_names[level]);
        add_escaped(&line, words);
        text_add(&line, "\n");
    }
    write_out(&line);
}

#define LOG_FUNCTION(name, level)                                                                  \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        write_line(level, format, arguments);                                                      \
        va_end(arguments);                                                                         \
    }

LOG_FUNCTION(log_debug, LOG_DEBUG)
LOG_FUNCTION(log_info, LOG_INFO)
LOG_FUNCTION(log_warning, LOG_WARNING)
LOG_FUNCTION(log_error, LOG_ERROR)
