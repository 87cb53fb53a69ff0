#include "measure/connection/connection_log.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

enum { LINE_EVERY_MS = 60 * 1000 };

static const char *times(unsigned count)
{
    return count == 1 ? "time" : "times";
}

static void warn(const struct connection_log *log, const struct error *error, const char *what,
                 unsigned left_out)
{
    _cleanup_(memory_free) char *text =
        left_out == 0 ? text_copy(what)
                      : text_format("%s (%u more %s since the last such line)", what, left_out,
                                    times(left_out));
    naming_warn(log->naming, error, text);
}

static void log_info_line(const struct connection_log *log, const char *what, const char *why)
{
    struct log_fields fields = naming_fields(log->naming, NULL);
    log_about(&fields, LOG_LEVEL_INFO, "%s: %s%s", log->naming->label, what, why);
}

static void log_failure(struct connection_log *log, enum log_line line, const struct error *error,
                        const char *what, int64_t now_ms)
{
    struct log_line_limit *limit = &log->limits[line];
    bool may_log = now_ms >= limit->from_ms;
    if (limit->is_logged || (limit->is_left_out && !may_log))
        return;
    if (may_log) {
        warn(log, error, what, limit->left_out - limit->is_left_out);
        *limit = (struct log_line_limit){.is_logged = true, .from_ms = now_ms + LINE_EVERY_MS};
        return;
    }
    limit->is_left_out = true;
    limit->left_out++;
    limit->left_out_ms = now_ms;
}

/* Returns whether the failure was logged: then its end is logged, too. */
static bool end_failure(struct connection_log *log, enum log_line line)
{
    struct log_line_limit *limit = &log->limits[line];
    bool was_logged = limit->is_logged;
    limit->is_logged = limit->is_left_out = false;
    return was_logged;
}

void connection_log_client(struct connection_log *log, enum log_line line,
                           const struct error *error, const char *what, int64_t now_ms)
{
    for (enum log_line worse = line + 1; worse < CLIENT_LOG_LINES; worse++)
        if (log->limits[worse].is_logged)
            return;
    log_failure(log, line, error, what, now_ms);
}

void connection_log_answered(struct connection_log *log, int64_t now_ms)
{
    struct log_line_limit *failure = &log->limits[LOG_LINE_FAILURE];
    bool was_logged = false;
    for (enum log_line line = 0; line < CLIENT_LOG_LINES; line++)
        was_logged = end_failure(log, line) || was_logged;
    if (was_logged)
        log_info_line(log, "reconnected", "");
    if (failure->left_out == 0 || now_ms < failure->left_out_ms + LINE_EVERY_MS)
        return;
    warn(log, NULL, "connection failed, and is back", failure->left_out);
    failure->left_out = 0;
}

void connection_log_held(struct connection_log *log, const struct error *error, int64_t now_ms)
{
    log_failure(log, LOG_LINE_HOLD, error,
                "measuring fails, so the last answers of active triggers are held", now_ms);
}

void connection_log_hold_over(struct connection_log *log, const char *why)
{
    if (end_failure(log, LOG_LINE_HOLD))
        log_info_line(log, "no answers are held any more: ", why);
}
