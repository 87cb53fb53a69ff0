/*
 * Figures of the server as a whole, and the trend: some of the figures in the last hour.
 *
 * Threads: the HTTP server's.
 */
#ifndef BACKLOG_WEB_PAGES_SERVER_FIGURES_H
#define BACKLOG_WEB_PAGES_SERVER_FIGURES_H

#include "web/pages/trigger_rows.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct engine;
struct server_figures;

/* Makes the figures of an engine, which is borrowed. count_calls() returns how many calls have
 * ended, and UINT64_MAX where that is not known now. */
struct server_figures *server_figures_new(struct engine *engine,
                                          uint64_t (*count_calls)(void *context), void *context);
void server_figures_free(struct server_figures *figures);

/* Makes an object of all figures, by name; the caller owns it. Its time is that of the totals, and
 * no other figure is older, except the rates. Rates are averages since they were taken last, and
 * are taken again after 0.9 s: those of 10.0 s are also shown with totals of 10.8 s. */
json_t *server_figures_json(struct server_figures *figures, const struct trigger_totals *totals);

/* Whether a point of the trend is due, 15 s after the last one was added or skipped. now_ms is when
 * it was due. The time of a point is that of its totals. Where the totals are still those of the
 * last point, nothing is added, and a point stays due: with many triggers, totals are renewed more
 * rarely than every 15 s. A point that is skipped is missing. */
bool server_figures_is_point_due(const struct server_figures *figures, int64_t now_ms);
void server_figures_add_point(struct server_figures *figures, const struct trigger_totals *totals,
                              int64_t now_ms);
void server_figures_skip_point(struct server_figures *figures, int64_t now_ms);

/* Makes {"columns": [names], "rows": [points, the oldest first]}; the caller owns it. */
json_t *server_figures_trend_json(const struct server_figures *figures);

#endif
