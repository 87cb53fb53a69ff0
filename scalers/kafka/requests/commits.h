/*
 * The commits of consumer groups: one request per group, to its coordinator. Groups of the same
 * coordinator cannot share one: the library takes one group per call
 * (rd_kafka_ListConsumerGroupOffsets(): the count must be 1).
 *
 * A request is a call (commits_call.h) on one of three handles, or on the first two at once:
 *
 *     MAIN ---(a)---> SECOND ---(b)---> the next SECOND
 *       |               |
 *       `-----(c)-------+-------------> SERIAL, where one call is under way at a time
 *
 *     (a) There is no answer for a second: the call on the main handle stays, the first answer of
 *         the two counts, and the other call is abandoned. Or a former coordinator answers: the
 *         request fails if the second handle cannot take it. Requests of isolated tasks begin on
 *         the second handle; without memory for it on the main one, where they wait for a call of
 *         their group that may be answered. Those of groups without a call on the main handle begin
 *         on the second one, too, while the main one has too much of abandoned calls
 *         (KAFKA_COMMITS_MAX_ABANDONED).
 *     (b) A former coordinator answers. The second time the call fails.
 *         On either handle a call whose connection is closed is sent again there, once.
 *     (c) The reply is longer than 4 MiB, or that of another group at the same broker is: serial.h
 *         says which calls move, and which are sent again. Of a request on both handles only the
 *         call on the second one can move, and the one on the main handle is abandoned then. Groups
 *         with such a reply begin on the serial handle from then on.
 *
 * Any other answer of a broker ends the request, and so does each answer on the serial handle. A
 * request on both handles of which one fails, as its connection was closed twice, goes on with the
 * call on the other one alone.
 *
 * A group has one call at most on the main handle, and one on the second. On the serial handle it
 * has two if it had requests of two batches, a usual and an isolated one, and neither reply could
 * be read. Each has its turn, as the reply to other partitions may be short.
 *
 * A call on the main or the second handle is abandoned if its task ends before it is answered. The
 * library cannot cancel it, and keeps a copy of its partitions until the answer comes, or the
 * handle ends. It does not time out in practice: that would be after an hour (workaround 1 of
 * client.h). Until then the next tasks of the group wait, or use the other handle.
 *
 * The main handle is renewed (session.h) when a group was answered on the second handle while its
 * call on the main one hangs. A group uses the main handle again once its call there is answered,
 * or has ended with the former main handle. second.h says when the second handle is renewed.
 *
 * Threads: the measuring thread. Owner: the session.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_COMMITS_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_COMMITS_H

#include "kafka/requests/commits_call.h"

struct kafka_commits;

struct kafka_commits *kafka_commits_new(struct kafka_client *client);
void kafka_commits_free(struct kafka_commits *commits);

/* Whether a request may be sent now: no call of the group is under way where it would go. */
bool kafka_commits_is_free(const struct kafka_commits *commits, const char *group, bool isolate,
                           int64_t now_ms);

/* Sends the request, which lives until kafka_commits_receive() or kafka_commits_cancel().
 * `partitions` says which commits; NULL: all of the group. False: no handle can be had, and nothing
 * was sent. */
bool kafka_commits_send(struct kafka_commits *commits, struct kafka_commits_request *request,
                        const rd_kafka_topic_partition_list_t *partitions, int64_t now_ms,
                        struct error *error);
void kafka_commits_cancel(struct kafka_commits *commits, struct kafka_commits_request *request);

/* Why no request for the group is to be sent now (kafka_serial_reason_suspended()). NULL: it may
 * be. */
const char *kafka_commits_reason_suspended(const struct kafka_commits *commits, const char *group,
                                           int64_t now_ms);

/* Whether the group's request waits on the serial handle for requests of other groups. If it has
 * two requests there, the first one counts. */
bool kafka_commits_is_waiting(const struct kafka_commits *commits, const char *group);

/* Why there is no serial handle for what waits for it. No error is set if there is one. */
const struct error *kafka_commits_failure(const struct kafka_commits *commits);

/* Takes the next answer: its event, which the caller destroys, and its request. NULL: there is
 * none. */
struct kafka_commits_request *kafka_commits_receive(struct kafka_commits *commits,
                                                    rd_kafka_event_t **ret_event, int64_t now_ms);

/* The commits in an answer. NULL with a reason: it is an error. NULL without: there are none. The
 * list and the reason live as long as the event. */
const rd_kafka_topic_partition_list_t *kafka_commits_result(const struct kafka_commits *commits,
                                                            const char *group,
                                                            rd_kafka_event_t *event,
                                                            const char **ret_reason,
                                                            rd_kafka_resp_err_t *ret_error);

/* Once per turn of the loop: sends requests on the second and the serial handle whose time has
 * come, and ends these handles when they are idle. */
void kafka_commits_maintain(struct kafka_commits *commits, int64_t now_ms);

/* When kafka_commits_maintain() or kafka_commits_is_free() may find something new, if no answer
 * comes. */
int64_t kafka_commits_next_ms(const struct kafka_commits *commits, int64_t now_ms);

/* ---- the main handle is renewed: see session.h ---- */

/* Whether a new main handle would help: this one uses a former coordinator, has too much of
 * abandoned calls (KAFKA_COMMITS_MAX_ABANDONED), or has an old one (KAFKA_MAX_CALL_MS). Calls that
 * are only on the main handle are sent again on the new one. */
bool kafka_commits_needs_renewal(const struct kafka_commits *commits, int64_t now_ms);

/* Whether the main handle uses a former coordinator, or has too much of abandoned calls, and there
 * is no second handle, nor memory for one: only another main handle can request commits of some
 * groups, or of any. */
bool kafka_commits_has_no_handle(const struct kafka_commits *commits);

/* Whether there is a second handle now. */
bool kafka_commits_has_second_handle(const struct kafka_commits *commits);

void kafka_commits_close_handle(struct kafka_commits *commits);
void kafka_commits_open_handle(struct kafka_commits *commits);

#endif
