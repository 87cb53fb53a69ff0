#include "measure/connection/bundle.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "measure/connection/query_plan.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { BUNDLE_MIN_MS = 500 }; /* from one bundle_take_along() of a bundle to the next */

void bundle_join(struct query *query, const void *connection_options)
{
    struct connection *connection = query->connection;
    const struct scaler *scaler = connection->scaler;
    char *text =
        scaler->bundle == NULL ? NULL : scaler->bundle(connection_options, query->values->data);
    if (text == NULL)
        return;
    struct bundle *bundle = NULL;
    HASH_FIND_STR(connection->bundles, text, bundle);
    if (bundle == NULL) {
        bundle = memory_new(sizeof(*bundle));
        bundle->text = TAKE(text);
        bundle->taken_along_ms = INT64_MIN;
        HASH_ADD_KEYPTR(hh, connection->bundles, bundle->text, strlen(bundle->text), bundle);
    }
    free(text);
    query->bundle = bundle;
    query->job.shares_request = scaler->bundle_costs_the_same;
    DL_APPEND2(bundle->queries, query, prev_bundled, next_bundled);
}

void bundle_leave(struct query *query)
{
    struct bundle *bundle = query->bundle;
    if (bundle == NULL)
        return;
    if (query->connection->next_along == query)
        query->connection->next_along = query->next_bundled;
    DL_DELETE2(bundle->queries, query, prev_bundled, next_bundled);
    if (bundle->queries != NULL)
        return;
    HASH_DELETE(hh, query->connection->bundles, bundle);
    free(bundle->text);
    free(bundle);
}

/* For how long the query's reading is good enough for this request. Others of the bundle cost more
 * work at the source: so only those come along that are due soon anyway, and none for calls, which
 * may not come. */
static int64_t fresh_ms(const struct query *query)
{
    int64_t interval_ms = query_interval_ms(query);
    if (query->connection->scaler->bundle_costs_the_same)
        return BUNDLE_MIN_MS;
    return interval_ms == 0 ? INT64_MAX : interval_ms / 2;
}

void bundle_take_along(const struct query *first, int64_t now_ms)
{
    struct bundle *bundle = first->bundle;
    if (bundle == NULL ||
        (bundle->taken_along_ms != INT64_MIN && now_ms - bundle->taken_along_ms < BUNDLE_MIN_MS))
        return;
    bundle->taken_along_ms = now_ms;
    first->connection->next_along = bundle->queries;
}

/* With bundle_costs_the_same fresh queries are due, too: then the next request is due later. All
 * count as due since the first one was taken, however long the pauses of the walk are. */
bool bundle_advance(struct connection *connection)
{
    struct query *query = connection->next_along;
    if (query == NULL)
        return false;
    connection->next_along = query->next_bundled;
    int64_t due_ms = query->bundle->taken_along_ms;
    int64_t sent_ms = query->job.sent_ms;
    bool is_fresh = sent_ms != INT64_MIN && due_ms - sent_ms < fresh_ms(query);
    if (!is_fresh && query->uses > 0)
        schedule_set_due(&connection->schedule, &query->job, due_ms);
    return true;
}
