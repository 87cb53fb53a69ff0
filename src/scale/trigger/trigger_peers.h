/*
 * What a trigger gives other replicas that start, and takes from them (peer_values.h), and from the
 * other triggers of its object. KEDA does not report that metadata was changed: an edited trigger
 * is a new one beside the former one.
 *
 * Threads: one at a time, as the trigger.
 */
#ifndef BACKLOG_SCALE_TRIGGER_TRIGGER_PEERS_H
#define BACKLOG_SCALE_TRIGGER_TRIGGER_PEERS_H

#include "scale/answer/peer_values.h"
#include "scale/trigger/trigger.h"

/* What others hold for the trigger. `values` may be NULL: other replicas are not asked. */
void trigger_peers_take(struct trigger *trigger, struct peer_values *values, int64_t now_ms);

/* The trigger is new: the object's replicas are those that its other triggers asked for, which
 * scaleDownWhenIdle keeps, as those of peers. */
void trigger_peers_take_peaks(struct trigger *trigger, int64_t now_ms);

/* The trigger has a query now, and may be an edit of one that counts the same at the same source:
 * it holds what that would. It is in the table. */
void trigger_peers_take_hold(struct trigger *trigger, int64_t now_ms);

/* What would be held if measuring failed from now on. False: nothing. */
bool trigger_peers_give(struct trigger *trigger, int64_t now_ms, struct peer_value *ret_value);

#endif
