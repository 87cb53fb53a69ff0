#include "measure/connection/follower.h"

#include "base/memory.h"
#include "measure/connection/connection_state.h"

#include <utlist.h>

static bool is_newer(const struct history *history, const struct follower *follower)
{
    if (history->sent_ms != follower->last_sent_ms)
        return history->sent_ms > follower->last_sent_ms;
    return history->last.at_ms > follower->last_reading_ms;
}

static void give_reading(const struct query *query, struct follower *follower)
{
    const struct history *history = query->history;
    struct recent_samples recent;
    bool lacks_wanted = (follower->wants & ~history->wants) != 0;
    if (history->last.at_ms == INT64_MIN || lacks_wanted || !is_newer(history, follower))
        return;
    follower->last_reading_ms = history->last.at_ms;
    follower->last_sent_ms = history->sent_ms;
    history_recent(history, &recent);
    follower->on_reading(follower, &recent);
}

/* With pauses: a policy takes some microseconds, and there may be thousands of triggers with a
 * policy on one query. */
void follower_hand_out(struct query *query)
{
    enum { FOLLOWERS_AT_A_TIME = 50 };
    struct connection *connection = query->connection;
    size_t done = 0;
    struct follower *follower;
    query->next_followed = query->followers;
    while ((follower = query->next_followed) != NULL) {
        query->next_followed = follower->next;
        give_reading(query, follower);
        connection_pause_after(connection, ++done, FOLLOWERS_AT_A_TIME);
    }
}

/* If the last reading came before any use kept a history, it becomes the first sample. */
void follower_start(struct query *query, struct follower *follower)
{
    _cleanup_(connection_unlock) struct connection *guard = connection_locked(query);
    struct history *history = query->history;
    follower->query = query;
    DL_APPEND(query->followers, follower);
    if (query->known.is_measured && query->known.sent_ms > history->sent_ms) {
        history->waited_ms = 0;
        history->wants = query->known.wants;
        history_add(history, query->known.sent_ms, &query->known.reading);
    }
    give_reading(query, follower);
}

void follower_stop(struct follower *follower)
{
    if (follower->query == NULL)
        return;
    _cleanup_(connection_unlock) struct connection *guard = connection_locked(follower->query);
    struct query *query = TAKE(follower->query);
    if (query->next_followed == follower)
        query->next_followed = follower->next;
    DL_DELETE(query->followers, follower);
}
