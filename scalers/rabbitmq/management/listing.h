/*
 * A listing of a virtual host's queues: one request that answers many lookups.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_LISTING_H
#define BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_LISTING_H

#include "base/json_text.h"
#include "rabbitmq/management/lookup.h"
#include "rabbitmq/management/preference.h"

#include <stdbool.h>

struct rabbitmq_listing {
    enum rabbitmq_source source;
    bool is_in_flight;
    int64_t sent_ms;
    int64_t next_ms; /* the first deadline of its lookups */
    struct rabbitmq_lookup *lookups;
    struct rabbitmq_lookup *waiting; /* for the next one */
    size_t waiting_count;
    size_t waiting_patterns; /* of them */
};

/* Takes the text of the array of queues that was listed. Lookups are ended by it, one that is not
 * in it as missing, unless the list may have been cut short, or a queue of it cannot be read; those
 * that are left are to use statistics. False: it is no such array, and nothing was done. */
bool rabbitmq_listing_take(struct rabbitmq_listing *listing, struct json_text queues,
                           const struct rabbitmq_vhost *vhost,
                           struct rabbitmq_preference *preference);

#endif
