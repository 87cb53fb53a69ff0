/*
 * What a rehearsal prints: a line per second and object, each change when it happens, a summary,
 * and a plot.
 *
 * Threads: one.
 */
#ifndef BACKLOG_LAB_REHEARSAL_OUTPUT_H
#define BACKLOG_LAB_REHEARSAL_OUTPUT_H

#include "lab/rehearsal.h"

void rehearsal_print_head(const struct rehearsal *rehearsal);
void rehearsal_print_change(const struct rehearsal *rehearsal, const struct rehearsal_object *one,
                            const struct model_decision *decision, const char *why, int64_t now_ms);
void rehearsal_print_push(const struct rehearsal *rehearsal, const struct rehearsal_object *one,
                          int64_t now_ms);
void rehearsal_print_line(const struct rehearsal *rehearsal, const struct rehearsal_object *one,
                          int64_t now_ms);
void rehearsal_print_summary(const struct rehearsal *rehearsal, int64_t now_ms);
bool rehearsal_plot(const struct rehearsal *rehearsal, const char *path, struct error *error);

#endif
