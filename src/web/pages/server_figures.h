/*
 * Figures of the server as a whole, and the trend: some of them in the last hour.
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
 * no other figure is older, except the rates. Rates are averages since they were taken last. They
 * are taken again after 0.9 s: rates that are taken at 10.0 s are also those of totals of 10.8 s. */
json_t *server_figures_json(struct server_figures *figures, const struct trigger_totals *totals);

/* Whether the trend has no point of the last 15 s, and how it gets one: now_ms is when that was
 * due. A point that is skipped is missing, and the next one is due after 15 s, too. The time of a
 * point is that of its totals. Where these are the totals of the last point, none is added, and one
 * stays due: with readers of 100,000 triggers, totals are renewed more rarely than every 15 s. */
bool server_figures_is_point_due(const struct server_figures *figures, int64_t now_ms);
void server_figures_add_point(struct server_figures *figures, const struct trigger_totals *totals,
                              int64_t now_ms);
void server_figures_skip_point(struct server_figures *figures, int64_t now_ms);

/* Makes {"columns": [names], "rows": [points, the oldest first]}; the caller owns it. */
json_t *server_figures_trend_json(const struct server_figures *figures);

#endif
