/*
 * A cluster: how to log in, librdkafka's last error, and the main handle.
 *
 * Threads: the measuring thread, but for the library's own callbacks. Owner: the session. Other
 * files read its fields; client.c alone writes them, but for `handles` (handles.h), where all are
 * made and ended.
 *
 * What librdkafka does, in 2.0.2 (Debian 12) and 2.8.0 (Debian 13) where nothing else is said, and
 * what works around it. A comment at each place names the number: "workaround 3" is the third one
 * here. The reports are those of confluentinc/librdkafka, and were open in April 2026.
 *
 *  1  A call to a group's coordinator that times out while that is down aborts the process when it
 *     is back (#3663, #4605). None of ours times out within an hour, the longest time that the
 *     library takes: client.c. That a handle ends while a call is under way is no such failure: it
 *     is renewed before a call is an hour old, or when it has too much of calls that nobody waits
 *     for any more (requests/commits_call.h, session.c). Where there is no memory for another
 *     handle, it may come to that: the scaler runs in an agent process (kafka.c). Nor does the
 *     library survive that the coordinator does not know the request, so that it is not sent
 *     (#5397). Every Kafka knows ours. The mock cluster of the tests does not know the one for
 *     members.
 *  2  NOT_COORDINATOR as the answer to a request for commits follows a null pointer in a handle
 *     without a group.id (#5040, seen with 2.4, too). There is one, never joined: settings.c.
 *  3  A call without a time-out waits for the coordinator that was known when it began, and its
 *     handle goes on sending to a broker that says that it is none any more (#3847). A second
 *     handle finds the new one: requests/second.c. Later the main handle is renewed: session.c.
 *  4  A handle that is destroyed may not end: it loses count of who uses a broker that goes and
 *     comes back while a request for commits is under way. Handles end in the background:
 *     handles.c. With several that do not there is a new process: measure/measure.c.
 *  5  2.8: a handle that is destroyed takes a second now and then, as one of its threads sleeps so
 *     long. Closing waits longer: handles.c.
 *  6  A topic is never freed once it has partitions, destroyed or not, and is requested with all
 *     the others every time. A pattern, or a group without `topic`, names only topics that can be
 *     measured to it: requests/patterns.c, measure/progress.c. A handle with many more topics than
 *     are used is renewed: requests/topics.c, session.c.
 *  7  A request for the metadata of no topic is for all of the cluster. It is not sent:
 *     requests/metadata.c.
 *  8  A request for metadata blocks, and goes to one broker at random, which may hang. It runs in
 *     the background, and is tried again soon: requests/metadata.c.
 *  9  A call for offsets is answered once all brokers have answered, its work grows with the square
 *     of the partitions, and 2.0 takes at most 1,000. Each broker has its own calls, of a limited
 *     size: requests/offsets.c.
 * 10  Before 2.3: one partition's error is that of the whole call for offsets. It is sent again in
 *     halves: requests/offsets.c.
 * 11  One of bootstrapServers per second is tried, at random. Without sparse connections all are at
 *     once: settings.c.
 * 12  Up to 2.8: a group of Kafka 4's protocol (group.protocol=consumer) looks dead. Its members
 *     are unknown, with a warning: requests/members.c.
 * 13  What others write is taken as it comes: addresses that brokers name (destinations.c), replies
 *     of 100 MB and any private key (settings.c), a topic that is named twice
 *     (requests/patterns.c), a principal in the shell command that starts kinit
 *     (login/kerberos.c).
 * 14  A reply that is longer than KAFKA_MAX_REPLY_BYTES (settings.h) closes its connection, and all
 *     that is under way to that broker, or waits for it, fails with its error
 *     (kafka_client_is_unreadable()). All of it is sent again: requests about groups as
 *     requests/serial.h says, so that the one whose reply it was fails alone; offsets,
 *     requests/offsets.c; metadata, requests/metadata.c.
 */
#ifndef BACKLOG_SCALERS_KAFKA_CLIENT_CLIENT_H
#define BACKLOG_SCALERS_KAFKA_CLIENT_CLIENT_H

#include "base/error.h"
#include "kafka/client/handles.h"
#include "kafka/options.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdint.h>

/* What nobody has used for so long is forgotten: topics, members, histories of offsets, and
 * fetchers (requests/subscriptions.h). */
enum { KAFKA_FORGET_MS = 10 * 60 * 1000 };

/* A handle with a call to a group's coordinator that is so old is renewed, before the call times
 * out (workaround 1). */
enum { KAFKA_MAX_CALL_MS = 30 * 60 * 1000 };

struct kafka_client {
    const struct kafka_connection_options *options;
    struct kafka_handles handles;    /* all of them */
    rd_kafka_conf_t *settings;       /* for each handle */
    struct kafka_kerberos *kerberos; /* NULL: another way to log in */
    rd_kafka_t *rk;                  /* the main handle */
    size_t queues;                   /* of it, that somebody has */
    int64_t opened_ms;               /* when the main handle was made */
    int event_fd;                    /* readable when something has come, on any handle or thread */
    size_t max_partitions;           /* of a trigger's topics (memory.h) */
    double mappable_bytes;           /* by the process, when it had this handle and no topic */
    size_t brokers;                  /* that the last answer with metadata named */
    size_t partitions;               /* of all topics that the main handle has */
    int64_t answered_ms;             /* see kafka_client_note_answer(); 0: never */

    /* The library's last error, where nothing else explains a failure; a refusal stays. */
    struct error last_error;
    bool is_refused;          /* a broker refuses our login, or it failed for want of a token */
    atomic_bool has_no_token; /* for any broker; written by a thread of the library */
    /* Since when all brokers are down, as the library reports; 0: they are not. */
    int64_t all_down_since_ms;
};

/* Opens a client, which the caller has zeroed. It fails where the cluster is not reached by the
 * deadline; the caller ends the client with kafka_client_close() then, too. */
bool kafka_client_open(struct kafka_client *client, const struct kafka_connection_options *options,
                       int64_t deadline_ms, struct error *error);

/* Ends the client. False: a handle has not ended within some seconds, and is left to the end of the
 * process. Its threads may still ask for a token, and log in: the client may not be freed before.
 * An agent frees the options, and ends at once. */
bool kafka_client_close(struct kafka_client *client);

/* Makes a queue of the handle, for answers to calls: nothing else comes on it, as the library has
 * queues of its own. An answer makes the client's event_fd readable. The caller ends the queue with
 * kafka_client_end_queue(), or with its handle. */
rd_kafka_queue_t *kafka_client_new_queue(struct kafka_client *client, rd_kafka_t *rk);

/* Ends a queue of the main handle. */
void kafka_client_end_queue(struct kafka_client *client, rd_kafka_queue_t *queue);

/* Makes the options of a call to a group's coordinator, which has an hour (workaround 1). The
 * answer of the call has `opaque`. The caller destroys the options. */
rd_kafka_AdminOptions_t *kafka_client_new_call_options(rd_kafka_t *rk,
                                                       rd_kafka_admin_op_t operation, void *opaque);

/* Makes a main handle for kafka_client_renew(), which remembers nothing of the old one, and waits
 * for no broker. NULL with an error. */
rd_kafka_t *kafka_client_new_main_handle(struct kafka_client *client, struct error *error);

/* What is left of `mappable_bytes` by the figures of memory.h, for topics and further handles. By
 * figures, as the process keeps most of what it frees, for the next ones. */
double kafka_client_free_bytes(const struct kafka_client *client);

/* How many more partitions the main handle may have. INFINITY: any number. */
double kafka_client_room(const struct kafka_client *client);

/* Makes a handle beside the main one, with the same settings, where there is memory for it: the
 * library would abort the process. NULL with an error. */
rd_kafka_t *kafka_client_new_side_handle(struct kafka_client *client, struct error *error);

/* Notes what is known of the cluster, for the memory that it takes. */
void kafka_client_note_brokers(struct kafka_client *client, size_t brokers);
void kafka_client_note_partitions(struct kafka_client *client, size_t partitions);

/* Puts the new main handle in the place of the old one, which only those use any more who hold it
 * (handles.h). */
void kafka_client_renew(struct kafka_client *client, rd_kafka_t *rk, int64_t now_ms);

/* Takes in the library's errors, without waiting. */
void kafka_client_poll(struct kafka_client *client);

/* Forgets the errors: what went wrong until now explains no later failure. */
void kafka_client_clear_errors(struct kafka_client *client);

/* Notes that a broker has just answered something, be it an error of its own. */
void kafka_client_note_answer(struct kafka_client *client, int64_t now_ms);

/* Whether this is the error of a reply that is too long, and of all that was under way to its
 * broker (workaround 14); or of one that is malformed. */
bool kafka_client_is_unreadable(rd_kafka_resp_err_t error);

/* Writes the error "Kafka at ...: what: the last error". Returns false. */
bool kafka_client_fail(const struct kafka_client *client, struct error *error, const char *what);

#endif
