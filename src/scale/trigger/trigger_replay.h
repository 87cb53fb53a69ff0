/*
 * The answers of the past: what KEDA would have been answered at each of the readings that a
 * trigger's query keeps (HISTORY_SPAN_MS). They are computed from the oldest on, since an answer
 * follows from those before it.
 *
 * Threads: as the trigger's: under the turn lock.
 */
#ifndef BACKLOG_SCALE_TRIGGER_TRIGGER_REPLAY_H
#define BACKLOG_SCALE_TRIGGER_TRIGGER_REPLAY_H

#include "scale/trigger/trigger_report.h"

/*
 * Writes the figures of the newest `max` samples at most, and returns how many there are. However
 * few they are, all samples are gone through. The trigger has a query. `now` is its report of now,
 * from trigger_report_with_changes(). The caller frees `*ret_rows`; `*ret_has_more`: there are
 * older samples.
 */
size_t trigger_replay(const struct trigger *trigger, const struct trigger_report *now, size_t max,
                      struct trigger_figures **ret_rows, bool *ret_has_more);

#endif
