/*
 * What is logged of a connection that fails and is back, and of answers that are held meanwhile.
 *
 * A source may fail and be back each second, for days. So a failure is logged when it begins, and
 * its end then, too; but if it begins within a minute of the last such line it is left out, and the
 * next line says how many were. One that is left out and goes on is logged when the minute is over.
 * A failure of the connection that has ended by then is logged when none came for a minute.
 *
 * Threads: as connection.h has it; time is passed in. Owner: its connection, which it is a part of.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_CONNECTION_LOG_H
#define BACKLOG_MEASURE_CONNECTION_CONNECTION_LOG_H

#include "measure/naming.h"

#include <stdbool.h>
#include <stdint.h>

enum log_line {
    /* Of the client, the worst last: after one of these no milder one is logged until the source
     * has answered. */
    LOG_LINE_PAUSE,   /* it may have died while it was silent */
    LOG_LINE_LOSS,    /* it hung up, or is replaced as nothing is answered */
    LOG_LINE_FAILURE, /* the connection failed */
    CLIENT_LOG_LINES,

    LOG_LINE_HOLD = CLIENT_LOG_LINES,
    LOG_LINES,
};

struct log_line_limit {
    bool is_logged;      /* this failure; false: there is none */
    bool is_left_out;    /* this failure is not logged so far */
    unsigned left_out;   /* failures since the last line, this one included */
    int64_t left_out_ms; /* when the last of them began */
    int64_t from_ms;     /* the next line may be logged */
};

struct connection_log {
    const struct naming *naming; /* of the connection */
    struct log_line_limit limits[LOG_LINES];
};

/* Something happened to the client. The same for each retry until the source has answered. */
void connection_log_client(struct connection_log *log, enum log_line line,
                           const struct error *error, const char *what, int64_t now_ms);

/* The source has answered: what happened to the client is over. */
void connection_log_answered(struct connection_log *log, int64_t now_ms);

/* Answers of triggers are held. The same for each failure meanwhile. */
void connection_log_held(struct connection_log *log, const struct error *error, int64_t now_ms);
/* None is any more. */
void connection_log_hold_over(struct connection_log *log, const char *why);

#endif
