/*
 * Parsing: from the metadata of one ScaledObjectRef to what a trigger asks, and how it is judged. For
 * trigger.c, which keeps the triggers.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALE_PARSE_H
#define BACKLOG_SCALE_PARSE_H

#include "scale/trigger.h"

/* Fills in what follows from the metadata; the trigger's name and namespace are there. Every mistake goes
 * to its mistakes, and the rest is complete in any case. */
void trigger_parse(struct trigger *trigger, const struct trigger_ref *ref,
                   const struct triggers_settings *settings);
void trigger_parse_done(struct trigger *trigger);

/* As the scaler's hooks want them; only where it has a scaler. */
struct options trigger_options(const struct trigger *trigger);

#endif
