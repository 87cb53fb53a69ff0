/*
 * What the readings of the last hour, which the trigger's query keeps, mean for the trigger. What
 * KEDA was answered then, or a policy decided, is not kept.
 *
 * Threads: as the trigger's: under the turn lock.
 */
#ifndef BACKLOG_SCALE_TRIGGER_TRIGGER_HISTORY_H
#define BACKLOG_SCALE_TRIGGER_TRIGGER_HISTORY_H

#include "scale/trigger/trigger_report.h"

/* Writes the figures of the newest `max` samples at most, the oldest first, and returns how many
 * there are. The trigger has a query. The caller frees `*ret_rows`; `*ret_has_more`: there are
 * older samples. */
size_t trigger_history(const struct trigger *trigger, int64_t now_ms, size_t max,
                       struct trigger_figures **ret_rows, bool *ret_has_more);

#endif
