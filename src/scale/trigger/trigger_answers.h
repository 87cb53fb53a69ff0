/*
 * What KEDA was answered about a trigger (trigger->answers), and what follows from it later.
 *
 * Threads: one at a time, as the trigger.
 */
#ifndef BACKLOG_SCALE_TRIGGER_TRIGGER_ANSWERS_H
#define BACKLOG_SCALE_TRIGGER_TRIGGER_ANSWERS_H

#include "scale/trigger/trigger.h"

/* Notes what any call was answered, for the hold, for the page that explains answers, for metrics
 * and for the log. */
void trigger_answers_record(struct trigger *trigger, const char *call, const struct answer *answer,
                            int64_t now_ms);

/* Notes that a call was refused for what it asked or for what its trigger lacks. No measurement is
 * the reason, so this says nothing about a hold. */
void trigger_answers_refuse(struct trigger *trigger, const char *call, const struct error *error,
                            int64_t now_ms);

/*
 * A round of KEDA: GetMetrics and, at most TRIGGER_ROUND_MS later, IsActive, which repeats what
 * that was answered, whatever was measured meanwhile.
 */
enum { TRIGGER_ROUND_MS = 2000 };
/* After trigger_answers_record(). */
void trigger_answers_begin_round(struct trigger *trigger, const struct answer *answer,
                                 int64_t now_ms);
const struct answer *trigger_answers_round(const struct trigger *trigger,
                                           int64_t now_ms); /* NULL: none */

/* The trigger leaves its query, which is not released yet: in its metrics and, with `why`, in the
 * log the hold ends. */
void trigger_answers_leave_query(struct trigger *trigger, const char *why);

/* ... and goes on, with another query of the same source. */
void trigger_answers_resume_hold(struct trigger *trigger, enum trigger_hold former);

/* What was answered says nothing about its source: it has another one now. */
void trigger_answers_forget(struct trigger *trigger);

void trigger_answers_done(struct trigger *trigger);

#endif
