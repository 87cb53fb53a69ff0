/*
 * Parsing: from the metadata of one ScaledObjectRef to what a trigger asks, and how it is judged.
 * For triggers.c, which keeps the triggers.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALE_PARSE_H
#define BACKLOG_SCALE_PARSE_H

#include "scale/connections/namespace_secrets.h"
#include "scale/connections/own_credentials.h"
#include "scale/trigger.h"

/* All borrowed. */
struct parse_settings {
    const struct scaler *const *scalers;
    struct connections *connections; /* may be NULL */
    bool has_secret; /* the trigger's namespace may have a Secret with connections */
    const struct namespace_secret *secret; /* ... which this is; NULL: it is not known yet */
    struct answer_rules rules;             /* of triggers that set none */
    bool deny_inline;
    const struct own_credentials_settings *own; /* of triggers without a connectionName */
};

/* Fills in what follows from the metadata; the trigger's name and namespace are there. Every
 * mistake goes to its mistakes, and the rest is complete in any case. */
void trigger_parse(struct trigger *trigger, const struct trigger_ref *ref,
                   const struct parse_settings *settings);
void trigger_parse_done(struct trigger *trigger);

#endif
