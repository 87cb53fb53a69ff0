/*
 * Parsing: from the metadata of one ScaledObjectRef to what a trigger measures, and how it is
 * evaluated.
 *
 * Threads: one at a time (the server's turn lock), as it fills the cache of parsed credentials
 * (own_credentials.h). It changes nothing else.
 */
#ifndef BACKLOG_SCALE_TABLE_PARSE_H
#define BACKLOG_SCALE_TABLE_PARSE_H

#include "scale/connections/own_credentials.h"
#include "scale/trigger/trigger.h"

/* What all triggers are parsed with. All of it is borrowed. */
struct parse_settings {
    const struct scaler *const *scalers;
    struct connections *connections; /* may be NULL */
    /* `check` does not always know which connections there are, or the trigger's namespace. Then it
     * is no mistake that a connection is missing, or not for the namespace. */
    bool has_unknown_connections;
    bool has_unknown_namespace;
    bool has_unknown_values;   /* of the connection: rules that need one are not applied */
    struct answer_rules rules; /* of triggers that set none */
    bool deny_inline;
    const struct own_credentials_settings *own; /* of triggers without a connectionName */
};

/* What the Kubernetes API says about one trigger at the moment. Start from {0}: nothing is known.
 * All borrowed. */
struct parse_known {
    const struct credentials *credentials; /* as far as they are known; NULL: not yet */
    const struct hpa_facts *hpa;           /* NULL: nothing is known */
};

/* Every mistake goes to the mistakes, and the rest is complete in any case. The caller ends the
 * result. */
enum trigger_phase parse_trigger(const struct trigger_ref *ref,
                                 const struct parse_settings *settings,
                                 const struct parse_known *known,
                                 struct trigger_parsed *ret_parsed);

#endif
