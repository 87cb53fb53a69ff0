/*
 * The client over the management API from within: management.c connects, takes tasks and answers,
 * and management_requests.c chooses and sends the requests.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_MANAGEMENT_INTERNAL_H
#define BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_MANAGEMENT_INTERNAL_H

#include "rabbitmq/management/http.h"
#include "rabbitmq/management/listing.h"
#include "rabbitmq/management/lookup.h"
#include "rabbitmq/management/preference.h"

struct rabbitmq_management {
    struct rabbitmq_http *http;
    struct rabbitmq_vhost vhost;
    int64_t timeout_ms;
    size_t queues; /* that the user saw in all virtual hosts when it logged in; 0: not known */
    struct rabbitmq_preference preference;
    int64_t isolated_ms; /* the last time that a slow request gave way to others; 0: never */

    /* Of a measurement. Each lookup is in one of these lists. */
    struct rabbitmq_lookup *waiting;   /* to be requested alone: the others wait in `listings` */
    struct rabbitmq_lookup *requested; /* one by one, and pages */
    struct rabbitmq_listing listings[RABBITMQ_SOURCES];
};

/* Lets a lookup wait for its next request. */
void rabbitmq_management_wait(struct rabbitmq_management *client, struct rabbitmq_lookup *lookup);

/* Begins as many requests for the lookups that wait as there is capacity for. */
void rabbitmq_management_request(struct rabbitmq_management *client);

/* Of a lookup that has been requested. */
int64_t rabbitmq_management_deadline_ms(const struct rabbitmq_management *client,
                                        const struct rabbitmq_lookup *lookup);

#endif
