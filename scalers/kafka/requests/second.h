/*
 * The second handle for the commits of groups: a new one finds a new coordinator at once
 * (workaround 3 of client.h).
 *
 * It is made for the first call, and ends once it is idle. It is renewed when a call on it was in
 * vain, or it has too much of calls that nobody waits for, or some that are too old. A group has at
 * most one call on it. A call that met a broker that is no coordinator any more is sent once more
 * on the next second handle, and so is what others still wait for.
 *
 * Threads: the measuring thread. Owner: commits.c.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_SECOND_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_SECOND_H

#include "kafka/requests/commits_call.h"

struct kafka_second;

/* Requests whose replies cannot be read go on with `serial`, which lives longer. */
struct kafka_second *kafka_second_new(struct kafka_client *client, struct kafka_serial *serial);
void kafka_second_free(struct kafka_second *second);

/* Whether a request may be sent now: no call for the group is under way, or one that nobody waits
 * for, and that ends as the handle may be renewed. */
bool kafka_second_is_free(const struct kafka_second *second, const char *group, int64_t now_ms);

/* Whether requests of other handles may be sent here, too: a cluster that stalls as a whole costs
 * few requests more. */
bool kafka_second_has_room(const struct kafka_second *second);

/* Sends a request, which is free to be sent. False with an error: no handle can be had. */
bool kafka_second_send(struct kafka_second *second, struct kafka_commits_request *request,
                       const rd_kafka_topic_partition_list_t *partitions, int64_t now_ms,
                       struct error *error);

/* Nobody waits for the request here any more. */
void kafka_second_cancel(struct kafka_second *second, const struct kafka_commits_request *request);

/* Takes the next answer, which the caller destroys, and the call that it is for. NULL: there is
 * none. The caller has the call go on, or end, with one of the functions below. */
rd_kafka_event_t *kafka_second_receive(struct kafka_second *second,
                                       struct kafka_commits_call **ret_call);

void kafka_second_end(struct kafka_second *second, struct kafka_commits_call *call);

/* The call's answer could not be read. True: it goes on, here or with `serial`, whose caller has it
 * then. False: it has failed, or nobody waits for it. */
bool kafka_second_retry(struct kafka_second *second, struct kafka_commits_call *call);

/* The call met a broker that is not the group's coordinator. True: it waits for the next handle.
 * False: it did so before, or nobody waits for it. */
bool kafka_second_misdirected(struct kafka_second *second, struct kafka_commits_call *call);

/* Renews the handle for the calls that wait for the next one, or where it has too much of calls
 * that nobody waits for, or some that are too old. Ends it where nobody waits for any call, and it
 * has that, or has been idle. */
void kafka_second_maintain(struct kafka_second *second, int64_t now_ms);

/* When kafka_second_maintain() or kafka_second_is_free() may find something new, if no answer
 * comes. */
int64_t kafka_second_next_ms(const struct kafka_second *second, int64_t now_ms);

#endif
