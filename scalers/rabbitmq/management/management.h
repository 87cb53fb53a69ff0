/*
 * A client over the management API, which reports ready and unacknowledged messages, and rates.
 *
 * Two sources, and what they cost a broker of one machine:
 *   totals      a listing of the vhost, counts taken from the queues themselves: at most 0.3 s old,
 *               35 us for every queue of the vhost, wanted or not; hangs where one queue hangs;
 *   statistics  one GET per queue (0.4 ms), or a listing (50 us per queue of the vhost), counts and
 *               rates as each queue last reported them: up to 5 s old; never hangs.
 * Totals are preferred; statistics are used where totals hang, are refused, lack the counts, or
 * cost too much for the few queues wanted.
 *
 * Zeros that are not believed. lookup.c decides of each (conclude()), by what another file knows:
 *   which                       why it may be false                          known by    then
 *   no such queue in totals     a list that took a second may be cut short   preference  statistics
 *   a pattern's sum of totals   ... and its sum lacks messages               preference  statistics
 *   a pattern's totals, all 0   they lack quorum queues without a leader     lookup      (1)
 *   a pattern's statistics      they list fewer queues than they count      lookup      an error
 *   a 0 of a quorum queue       its leader has changed, or has not reported  leaders     (2)
 *   a 0 of statistics           they begin with 0 when the broker starts     preference  an error
 *   a count that is not there   it is no 0                                   counts      (2)
 *   (1) Statistics say which queues match: were these all, they are empty.
 *   (2) Of totals: statistics. Of statistics: an error; of a pattern first a GET of the queue.
 *
 * Patterns. A page of totals counts all queues of the vhost (50 us each), one of statistics sorts
 * them (11 us each). So only a pattern that comes alone, and all of whose queues are on one page,
 * has a page. All others are matched on one listing (pattern.h), which has all queues at one
 * moment: several pages would miss a queue that moves between two of them, or count it twice. Where
 * the listing is too large or refused, a pattern with more than a page fails.
 * These zeros last for longer than zero_settles_ms, or until somebody repairs the broker.
 *
 * Read the folder in this order: http.h (GETs), counts.h (numbers of a queue), leaders.h (which
 * zeros of it are believed), rates.h (which rates), lookup.h (what a task waits for), pattern.h
 * (which names match), listing.h (many lookups by one GET), preference.h (which source),
 * management_requests.c (what is sent), this.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_MANAGEMENT_H
#define BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_MANAGEMENT_H

#include "base/error.h"
#include "measure/task.h"
#include "rabbitmq/options.h"
#include "rabbitmq/url.h"

struct rabbitmq_management;

/* The options must outlive the client. */
bool rabbitmq_management_connect(const struct rabbitmq_connection_options *options,
                                 const struct rabbitmq_url *url, int64_t deadline_ms,
                                 struct rabbitmq_management **ret_client, struct error *error);
void rabbitmq_management_disconnect(struct rabbitmq_management *client);

/* The scaler's measure. */
bool rabbitmq_management_measure(struct rabbitmq_management *client, struct feed *feed,
                                 struct error *error);

#endif
