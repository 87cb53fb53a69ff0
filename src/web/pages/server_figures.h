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

/* A point of the trend is due 15 s after the last one was added or skipped. Then the owner looks
 * for totals (dashboard_tick()):
 *
 *     it has newer ones than those of the last point   add_point() adds a point, with their time
 *     it has only those of the last point              add_point() adds nothing: a point stays due.
 *                                                      With many triggers an update, and with it
 *                                                      the totals, may come every 20 s only
 *     it could not count in time                       skip_point(): this point will be missing
 *
 * now_ms is when the point was due, and of a point that is skipped when the owner gave up. */
bool server_figures_is_point_due(const struct server_figures *figures, int64_t now_ms);
void server_figures_add_point(struct server_figures *figures, const struct trigger_totals *totals,
                              int64_t now_ms);
void server_figures_skip_point(struct server_figures *figures, int64_t now_ms);

/* Makes {"columns": [names], "rows": [points, the oldest first]}; the caller owns it. */
json_t *server_figures_trend_json(const struct server_figures *figures);

#endif
