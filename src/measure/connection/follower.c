#include "measure/connection/follower.h"

#include "base/memory.h"
#include "measure/connection/connection_state.h"

#include <utlist.h>

static int64_t last_sample_ms(const struct recent_samples *recent)
{
    return recent->count == 0 ? INT64_MIN : recent->samples[recent->count - 1].at_ms;
}

static bool is_newer(const struct recent_samples *recent, const struct follower *follower)
{
    if (recent->last_ms != follower->last_sent_ms)
        return recent->last_ms > follower->last_sent_ms;
    return last_sample_ms(recent) > follower->last_reading_ms;
}

static void give_reading(struct query *query, struct follower *follower)
{
    const struct recent_samples *recent = query->recent;
    bool lacks_wanted = (follower->wants & ~recent->wants) != 0;
    if (recent->count == 0 || lacks_wanted || !is_newer(recent, follower))
        return;
    follower->last_reading_ms = last_sample_ms(recent);
    follower->last_sent_ms = recent->last_ms;
    follower->on_reading(follower, recent);
}

/* With pauses: a policy takes some microseconds, and one namespace may have thousands of triggers
 * with a policy on one query. */
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

/* If the last reading came before any use kept samples, it becomes the first sample. */
void follower_start(struct query *query, struct follower *follower)
{
    _cleanup_(connection_unlock) struct connection *guard = connection_locked(query);
    follower->query = query;
    DL_APPEND(query->followers, follower);
    if (query->known.is_measured && query->known.sent_ms > last_sample_ms(query->recent)) {
        query->recent->waited_ms = 0;
        query->recent->wants = query->known.wants;
        recent_samples_add(query->recent, query->known.sent_ms, &query->known.reading);
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
