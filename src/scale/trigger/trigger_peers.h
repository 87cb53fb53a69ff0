/*
 * What a trigger gives other replicas that start, and takes from them (peer_values.h), and from the
 * other triggers of its object; and what it keeps for itself while it has no connection.
 *
 * Threads: one at a time, as the trigger.
 */
#ifndef BACKLOG_SCALE_TRIGGER_TRIGGER_PEERS_H
#define BACKLOG_SCALE_TRIGGER_TRIGGER_PEERS_H

#include "scale/answer/peer_values.h"
#include "scale/trigger/trigger.h"

/* A value that others had for the trigger is what it holds until it is measured, and a part of what
 * it holds later. `values` may be NULL: other replicas are not asked. */
void trigger_peers_take(struct trigger *trigger, struct peer_values *values, int64_t now_ms);

/* The trigger is new. KEDA does not report that metadata was changed: the object's replicas are
 * those that its other triggers asked for, which scaleDownWhenIdle keeps, as those of peers. */
void trigger_peers_take_from_object(struct trigger *trigger, int64_t now_ms);

/* What would be held if measuring failed from now on. False: nothing. */
bool trigger_peers_give(struct trigger *trigger, int64_t now_ms, struct peer_value *ret_value);

/* The same for itself: it may lose its query, and the next one knows nothing yet
 * (trigger_answers_adopt()). The caller frees it. NULL: nothing. */
struct peer_value *trigger_peers_keep(struct trigger *trigger, int64_t now_ms);

#endif
