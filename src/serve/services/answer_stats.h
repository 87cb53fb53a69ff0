/*
 * Counters of answers: how many were fresh, held or refused; what was sent on streams, and how
 * soon.
 *
 * Threads: the server's, under its turn lock.
 */
#ifndef BACKLOG_SERVE_SERVICES_ANSWER_STATS_H
#define BACKLOG_SERVE_SERVICES_ANSWER_STATS_H

#include "base/metric.h"
#include "scale/answer/answer.h"

struct answer_stats {
    uint64_t fresh_answers;
    uint64_t held_answers;
    uint64_t refused_answers;
    struct histogram ages;
    uint64_t pushes;
    uint64_t heartbeats;
    struct histogram activations;
};

/* What a unary call was answered. */
void answer_stats_add(struct answer_stats *stats, const struct answer *answer);

void answer_stats_write(const struct answer_stats *stats, struct text *page);

#endif
