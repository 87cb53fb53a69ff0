#include "base/log.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warning", "error"};

static struct {
    _Atomic enum log_level min_level;
    enum log_format format;
} settings = {LOG_LEVEL_INFO, LOG_PLAIN};

void log_init(enum log_level min_level, enum log_format format)
{
    log_set_level(min_level);
    settings.format = format;
}

void log_set_level(enum log_level min_level)
{
    atomic_store_explicit(&settings.min_level, min_level, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

enum log_level log_level_now(void)
{
    return atomic_load_explicit(&settings.min_level, memory_order_relaxed);
}

enum log_format log_format_now(void)
{
    return settings.format;
}

/* The longest line is what a pipe takes in one go where it says that it has room; of that, an
 * escaped character, the sign of omission and what ends a line take less than END_BYTES. */
enum { LINE_BYTES = PIPE_BUF, END_BYTES = 16 };

/* As JSON has it: its bytes are those of text_control(). */
static void add_control(struct text *line, const char *bytes, size_t length)
{
    unsigned code = (unsigned char)bytes[0] & (length == 1 ? 0x7f : length == 2 ? 0x1f : 0x0f);
    for (size_t i = 1; i < length; i++)
        code = code << 6 | ((unsigned char)bytes[i] & 0x3f);
    text_addf(line, code > 0xff || settings.format == LOG_JSON ? "\\u%04x" : "\\x%02x", code);
}

/* A broker's or a user's text must not forge a second line, break the JSON or change what a
 * terminal shows. Up to so many bytes of the line. */
static void add_escaped(struct text *line, const char *message, size_t max_bytes)
{
    static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
    bool json = settings.format == LOG_JSON;
    for (const char *at = message; *at != '\0';) {
        unsigned char c = (unsigned char)*at;
        size_t length = text_character(at, strnlen(at, 4));
        if (line->length > max_bytes) {
            text_add(line, " ...");
            return;
        }
        if (json && (c == '"' || c == '\\'))
            text_addf(line, "\\%c", c);
        else if (text_control(at) > 0)
            add_control(line, at, length);
        else if (length == 0)
            text_add(line, replacement);
        else
            text_add_bytes(line, at, length);
        at += length == 0 ? 1 : length;
    }
}

/* To a pipe that other processes write to as well: without waiting, and all of it or nothing.
 * False: the system cannot. */
static bool write_at_once(const struct text *line)
{
    struct iovec bytes = {line->bytes, line->length};
    if (pwritev2(STDERR_FILENO, &bytes, 1, -1, RWF_NOWAIT) >= 0 || errno == EAGAIN)
        return true;
    /* Older kernels: by a description of our own, as O_NONBLOCK would be everybody's who shares
     * this one. */
    int own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (own < 0)
        return false;
    ssize_t written = write(own, line->bytes, line->length);
    (void)written;
    close(own);
    return true;
}

/* One write a line, so that the lines of several threads and processes never mix. Locks may be
 * held: a pipe that nobody reads must not stop the answers, so a line for which it has no room is
 * lost. One thread at a time, or another would take the room. */
static void write_out(const struct text *line)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct pollfd output = {.fd = STDERR_FILENO, .events = POLLOUT};
    struct stat stat;
    if (fstat(STDERR_FILENO, &stat) == 0 && S_ISFIFO(stat.st_mode) && write_at_once(line))
        return;
    pthread_mutex_lock(&lock);
    if (poll(&output, 1, 0) == 1) {
        ssize_t written = write(STDERR_FILENO, line->bytes, line->length);
        (void)written;
    }
    pthread_mutex_unlock(&lock);
}

/* The names are short, and before what may be long. */
static void add_names(struct text *line, const struct log_fields *fields)
{
    enum { MAX_NAME_BYTES = 64 };
    const struct {
        const char *key;
        const char *value;
    } names[] = {{"connection", fields->connection},
                 {"scaler", fields->scaler},
                 {"namespace", fields->namespace},
                 {"name", fields->name}};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (names[i].value == NULL)
            continue;
        _cleanup_(memory_free) char *value =
            text_copy_bytes(names[i].value, text_cut(names[i].value, MAX_NAME_BYTES));
        text_addf(line, "\"%s\":\"", names[i].key);
        add_escaped(line, value, LINE_BYTES - END_BYTES);
        text_add(line, "\",");
    }
}

static void add_json(struct text *line, const struct log_fields *fields, const char *message)
{
    enum { ERROR_BYTES = 1024 }; /* are left for it; the message ends with it, too */
    size_t max_bytes = LINE_BYTES - END_BYTES;
    add_names(line, fields);
    text_add(line, "\"message\":\"");
    add_escaped(line, message, fields->error == NULL ? max_bytes : max_bytes - ERROR_BYTES);
    if (fields->error != NULL) {
        text_add(line, "\",\"error\":\"");
        add_escaped(line, fields->error, max_bytes);
    }
    text_add(line, "\"}\n");
}

static void write_line(const struct log_fields *fields, enum log_level level, const char *format,
                       va_list arguments)
{
    if (level < log_level_now())
        return;

    _cleanup_(text_done) struct text message = {0};
    _cleanup_(text_done) struct text line = {0};
    char date[32];
    clock_date(date, sizeof(date));
    text_addv(&message, format, arguments);
    if (fields->error != NULL)
        text_addf(&message, ": %s", fields->error);
    const char *words = message.bytes == NULL ? "" : message.bytes;
    recent_log_add(level, words);

    if (settings.format == LOG_JSON) {
        text_addf(&line, "{\"time\":\"%s\",\"level\":\"%s\",", date, level_names[level]);
        add_json(&line, fields, words);
    } else {
        text_addf(&line, "%s %-7s ", date, level_names[level]);
        add_escaped(&line, words, LINE_BYTES - END_BYTES);
        text_add(&line, "\n");
    }
    write_out(&line);
}

void log_about(const struct log_fields *fields, enum log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(fields, level, format, arguments);
    va_end(arguments);
}

#define LOG_FUNCTION(name, level)                                                                  \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        write_line(&(struct log_fields){0}, level, format, arguments);                             \
        va_end(arguments);                                                                         \
    }

LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
