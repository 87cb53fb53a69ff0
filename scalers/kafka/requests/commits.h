/*
 * The commits of consumer groups: one request per group, to its coordinator.
 *
 * A call of ours times out after an hour, the longest time there is (workaround 1 of client.h): our
 * deadline is outside of it, and a group has at most one call on a handle.
 *
 * A new handle finds a new coordinator at once, and the old one does not (workaround 3). So there
 * is a second handle (second.h) for silent groups: those of isolated tasks, and those whose call on
 * the main handle is a second old or met the wrong broker. A group returns to the main handle when
 * its call there has ended, or when the main handle was renewed. That is done (session.h) once a
 * group whose call on the main handle hangs was answered on the second one.
 *
 * What is to be sent alone, as a reply on either could not be read, is on a third one (serial.h).
 *
 * Threads: the measuring thread. Owner: the session.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_COMMITS_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_COMMITS_H

#include "kafka/requests/commits_call.h"

struct kafka_commits;

struct kafka_commits *kafka_commits_new(struct kafka_client *client);
void kafka_commits_free(struct kafka_commits *commits);

/* Whether a request may be sent now: no other one for the group is under way where it would go. */
bool kafka_commits_is_free(const struct kafka_commits *commits, const char *group, bool isolate,
                           int64_t now_ms);

/* Sends the request, which lives until kafka_commits_receive() or kafka_commits_cancel().
 * `partitions` is what it is for; NULL: all that have a commit. False: no handle can be had, and
 * the request is not under way. */
bool kafka_commits_send(struct kafka_commits *commits, struct kafka_commits_request *request,
                        const rd_kafka_topic_partition_list_t *partitions, int64_t now_ms,
                        struct error *error);
void kafka_commits_cancel(struct kafka_commits *commits, struct kafka_commits_request *request);

/* Why no request for the group is to be sent for some minutes. NULL: it may be. */
const char *kafka_commits_reason_suspended(const struct kafka_commits *commits, const char *group,
                                           int64_t now_ms);

/* Whether the group's request waits for others on the serial handle, and nothing was sent there. */
bool kafka_commits_is_waiting(const struct kafka_commits *commits, const char *group);

/* Why there is no serial handle for what waits for it. No error: there is. */
const struct error *kafka_commits_failure(const struct kafka_commits *commits);

/* Takes the next answer, whose event the caller destroys. NULL: there is none. */
struct kafka_commits_request *kafka_commits_receive(struct kafka_commits *commits,
                                                    rd_kafka_event_t **ret_event, int64_t now_ms);

/* The commits of the group that the answer has. NULL: it is an error, with its reason. The list and
 * the reason live as long as the event. */
const rd_kafka_topic_partition_list_t *kafka_commits_result(const struct kafka_commits *commits,
                                                            const char *group,
                                                            rd_kafka_event_t *event,
                                                            const char **ret_reason,
                                                            rd_kafka_resp_err_t *ret_error);

/* Sends what has been unanswered for a second on the second handle, too, and what waits for the
 * third one; and ends these where they have been idle. */
void kafka_commits_maintain(struct kafka_commits *commits, int64_t now_ms);

/* When kafka_commits_maintain() or kafka_commits_is_free() may find something new, if no answer
 * comes. */
int64_t kafka_commits_next_ms(const struct kafka_commits *commits, int64_t now_ms);

/* ---- the main handle is renewed: see session.h ---- */

/* Whether a new main handle would help, as this one waits for a coordinator that is none any more,
 * has too much of calls that nobody waits for, or one that is old. What somebody waits for there
 * alone is sent on the new one. */
bool kafka_commits_needs_renewal(const struct kafka_commits *commits, int64_t now_ms);
void kafka_commits_close_handle(struct kafka_commits *commits);
void kafka_commits_open_handle(struct kafka_commits *commits);

#endif
