/*
 * The second handle for the commits of groups: a new handle finds a new coordinator at once, and
 * the main one does not (workaround 3 of client.h). commits.h shows how a request comes here.
 *
 * The handle is made for the first call, and ends a minute after the last one. It is renewed, every
 * two seconds at most, when an abandoned call keeps its group from the next one, when abandoned
 * calls have too many partitions, or when one may be half an hour old. It is renewed after half a
 * second for a call that a former coordinator has answered. Calls with a request are sent again on
 * the new handle, and abandoned ones end. commits_call.h has the states of a call.
 *
 * Threads: the measuring thread. Owner: commits.c.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_SECOND_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_SECOND_H

#include "kafka/requests/commits_call.h"

struct kafka_second;

/* Requests whose replies cannot be read go on with `serial`, which the caller frees later. */
struct kafka_second *kafka_second_new(struct kafka_client *client, struct kafka_serial *serial);
void kafka_second_free(struct kafka_second *second);

/* Whether a request may be sent now: the group has no call here, and there is not too much of
 * abandoned ones; or these end, as the handle may be renewed. */
bool kafka_second_is_free(const struct kafka_second *second, const char *group, int64_t now_ms);

/* Whether requests that are under way on the main handle may be sent here, too. At most 16 are, so
 * that a cluster that stalls as a whole is not sent everything twice. */
bool kafka_second_has_room(const struct kafka_second *second);

/* Sends a request that kafka_second_is_free() allows. False with an error: no handle can be made
 * that it needs, as where memory is short. A former handle ends then, if no call is waiting on it.
 */
bool kafka_second_send(struct kafka_second *second, struct kafka_commits_request *request,
                       const rd_kafka_topic_partition_list_t *partitions, int64_t now_ms,
                       struct error *error);

/* Nobody waits for the request here any more. */
void kafka_second_cancel(struct kafka_second *second, const struct kafka_commits_request *request);

/* Takes the next answer, which the caller destroys, and its call, which the caller gives to one of
 * the functions below. NULL: there is none. */
rd_kafka_event_t *kafka_second_receive(struct kafka_second *second,
                                       struct kafka_commits_call **ret_call);

/* Ends the call, and frees it. */
void kafka_second_end(struct kafka_second *second, struct kafka_commits_call *call);

/* The call's answer could not be read: see kafka_commits_call_retry(). */
enum kafka_serial_outcome kafka_second_retry(struct kafka_second *second,
                                             struct kafka_commits_call *call);

/* The call's connection was closed: see kafka_commits_call_send_again(). */
bool kafka_second_send_again(struct kafka_second *second, struct kafka_commits_call *call);

/* A former coordinator answered the call. True: the call waits for the next handle. False: it has
 * done so before, or is abandoned. */
bool kafka_second_misdirected(struct kafka_second *second, struct kafka_commits_call *call);

/* Whether there is a handle now. */
bool kafka_second_is_open(const struct kafka_second *second);

/* Renews the handle where that is needed, or ends it where no call is waiting and it is idle, or
 * would be renewed. */
void kafka_second_maintain(struct kafka_second *second, int64_t now_ms);

/* When the handle may be renewed for a call or a group that waits for that, if no answer comes. An
 * idle handle ends in the next turn of the loop that there is. */
int64_t kafka_second_next_ms(const struct kafka_second *second, int64_t now_ms);

#endif
