/*
 * The query of a trigger: acquired, released, exchanged. A trigger that has one counts for the
 * limit of inline connections, and is one of the query's users, which logs and metrics name.
 *
 * Threads: one at a time (the server's turn lock).
 */
#ifndef BACKLOG_SCALE_TRIGGER_QUERY_H
#define BACKLOG_SCALE_TRIGGER_QUERY_H

#include "scale/connections/inline.h"
#include "scale/trigger.h"

struct trigger_query_settings {
    struct engine *engine;
    struct inline_connections *inlines;
};

/* Sets trigger->query, where it is not set yet. The trigger has no mistakes. Fails where a limit is
 * reached. */
bool trigger_query_acquire(const struct trigger_query_settings *settings, struct trigger *trigger,
                           struct error *error);

/* `why`, for the log. A trigger without a query is left as it is. */
void trigger_query_release(const struct trigger_query_settings *settings, struct trigger *trigger,
                           const char *why);

/* The trigger was parsed again, with another connection: it and its watchers move to a query of
 * that, or to none where it has mistakes now or a limit is reached. What was known is kept if both
 * lead to the same place. */
void trigger_query_exchange(const struct trigger_query_settings *settings, struct trigger *trigger,
                            const struct option_values *former_connection);

#endif
