/*
 * What is counted of calls: how many, how they ended, how long they took, and what was answered.
 *
 * Threads: the server's, under its turn lock.
 */
#ifndef BACKLOG_SERVE_CALL_STATS_H
#define BACKLOG_SERVE_CALL_STATS_H

#include "base/metric.h"
#include "scale/answer.h"
#include "serve/transport.h"

enum { CALL_STATS_METHODS = 5, CALL_STATS_CODES = 17 };

struct call_stats {
    const char *methods[CALL_STATS_METHODS]; /* their names */
    uint64_t calls[CALL_STATS_METHODS + 1]
                  [CALL_STATS_CODES]; /* the last: of a method that is none */
    struct histogram waits[CALL_STATS_METHODS];
    size_t streams[CALL_STATS_METHODS];
    uint64_t fresh_answers;
    uint64_t held_answers;
    uint64_t refused_answers;
    struct histogram ages;
    uint64_t pushes;
    uint64_t heartbeats;
    struct histogram pushed_after;
};

/* `wait_ms`: how long it waited for a measurement. The rest of a call is microseconds, and is not timed. */
void call_stats_end(struct call_stats *stats, size_t method, enum status status, int64_t wait_ms);
void call_stats_answer(struct call_stats *stats, const struct answer *answer);
void call_stats_push(struct call_stats *stats, const struct answer *answer, bool is_heartbeat);

void call_stats_write(const struct call_stats *stats, struct text *page);

#endif
