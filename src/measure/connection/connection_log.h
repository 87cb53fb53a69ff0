/*
 * What is logged of a connection that fails and is back, and of answers that are held meanwhile.
 *
 * A source may fail and be back each second, for days. So each kind of line is logged at most once
 * per minute:
 *
 *     a failure begins   it is logged, and so is its end. If a line of this kind was logged in the
 *                        last minute, both are left out; the next line says how many failures were
 *     it goes on         if it was left out, it is logged when the minute is over
 *     it has ended       a LOG_LINE_FAILURE that was left out is logged with the next reply, if no
 *                        other one came for a minute
 *
 * Example: the source fails for a second at 0, 10, 20 and 30 s. The first failure and its end are
 * logged and, with the first reply after 90 s, "connection failed, and is back (3 more times ...)".
 *
 * Threads: as connection.h has it; time is passed in. Owner: its connection, which it is a part of.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_CONNECTION_LOG_H
#define BACKLOG_MEASURE_CONNECTION_CONNECTION_LOG_H

#include "measure/naming.h"

#include <stdbool.h>
#include <stdint.h>

enum log_line {
    /* Of the client, the mildest first: after one of these lines no milder one is logged until the
     * source has answered. */
    LOG_LINE_PAUSE,   /* it may have died while nothing was measured */
    LOG_LINE_LOSS,    /* it hung up, or it is replaced because nothing is answered */
    LOG_LINE_FAILURE, /* the connection failed */
    CLIENT_LOG_LINES,

    LOG_LINE_HOLD = CLIENT_LOG_LINES,
    LOG_LINES,
};

/* One kind of line. Both bools are false while nothing fails. */
struct log_line_limit {
    bool is_logged;      /* something fails, and its line is logged */
    bool is_left_out;    /* something fails, and its line was left out so far */
    unsigned left_out;   /* how many failures were left out since the last line */
    int64_t left_out_ms; /* when the last of those began */
    int64_t from_ms;     /* from then on a line may be logged */
};

struct connection_log {
    const struct naming *naming; /* of the connection */
    struct log_line_limit limits[LOG_LINES];
};

/* Something happened to the client. To be called at each retry, too, until the source has answered.
 */
void connection_log_client(struct connection_log *log, enum log_line line,
                           const struct error *error, const char *what, int64_t now_ms);

/* The source has answered: all failures of the client are over. */
void connection_log_answered(struct connection_log *log, int64_t now_ms);

/* Answers of triggers are held. To be called at each failure of one of their queries, too. */
void connection_log_held(struct connection_log *log, const struct error *error, int64_t now_ms);
/* No answer is held any more. */
void connection_log_hold_over(struct connection_log *log, const char *why);

#endif
