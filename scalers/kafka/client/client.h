/*
 * A cluster: how to log in, librdkafka's last error, the main handle, and what there is memory for.
 *
 * Threads: the measuring thread, but for the library's own callbacks. Owner: the session. Other
 * files read the fields of the client; only client.c writes them, handles.c those of `handles`, and
 * those of `memory` the files that memory.h names.
 *
 * What librdkafka does, in 2.0.2 (Debian 12) and 2.8.0 (Debian 13) where nothing else is said, and
 * what works around it. A comment at each place names the number: "workaround 3" is the third one
 * here. The reports are those of confluentinc/librdkafka, and were open in April 2026.
 *
 *  1  If a call to a group's coordinator times out while the coordinator is down, the library
 *     aborts the process when the coordinator is back (#3663, #4605). Our calls have an hour, the
 *     longest time-out that the library takes: client.c. Ending a handle with such a call does no
 *     harm. So a handle is renewed before a call on it is an hour old, or when it has too much of
 *     calls that nobody waits for any more: requests/commits_call.h, session.h. Where there is no
 *     memory for another handle the process may be aborted: so the scaler runs in an agent process
 *     (kafka.c). The library also aborts if the coordinator does not know a request (#5397). Every
 *     Kafka knows ours; the mock cluster of the tests does not know the one for members.
 *  2  NOT_COORDINATOR as the answer to a request for commits follows a null pointer in a handle
 *     without a group.id (#5040, also seen with 2.4). Our handles have one, and never join the
 *     group: settings.c.
 *  3  A call waits for the coordinator that was known when it began, and a handle goes on sending
 *     to a former coordinator that refuses its requests (#3847). A second handle finds the new
 *     coordinator: requests/second.h. Later the main handle is renewed: session.h.
 *  4  A handle that is destroyed may never end: it loses count of the users of a broker that goes
 *     and comes back while a request for commits is under way. Handles are destroyed in the
 *     background: handles.c. When several do not end the process is replaced: measure/measure.c.
 *  5  2.8: destroying a handle takes a second now and then, as one of its threads sleeps so long.
 *     Closing waits longer: handles.c.
 *  6  A topic is never freed, and is in each request for metadata, even after it was destroyed, and
 *     if it does not exist: requests/handle_topics.h. A pattern, or a group without `topic`, gives
 *     only topics that can be measured to the library: requests/patterns.c, measure/progress.c. A
 *     handle with many more topics than are used is renewed: session.h.
 *  7  A request for the metadata of no topic is one for all topics of the cluster. It is not sent:
 *     requests/metadata.c.
 *  8  A request for metadata blocks, and goes to one broker at random, which may hang. It runs in
 *     the background, and is tried again soon: requests/metadata.c.
 *  9  A call for offsets is answered once all brokers have answered, its work grows with the square
 *     of the partitions, and 2.0 takes at most 1,000 partitions. Each broker has its own calls, of
 *     a limited size: requests/offsets.c.
 * 10  Before 2.3: the error of one partition is that of the whole call for offsets. The call is
 *     sent again in halves: requests/offsets.c.
 * 11  The library tries one of bootstrapServers per second, at random. Without sparse connections
 *     it tries all at once: settings.c.
 * 12  Up to 2.8: a group of Kafka 4's protocol (group.protocol=consumer) looks dead. Its members
 *     are unknown, with a warning: requests/members.c.
 * 13  The library checks little of what others write: addresses that brokers name
 *     (destinations.h), replies of 100 MB and private keys (settings.c), a topic that is named
 *     twice (requests/patterns.c), a principal in the shell command that starts kinit
 *     (login/kerberos.h).
 * 14  A reply that is longer than KAFKA_MAX_REPLY_BYTES (settings.h) closes its connection. All
 *     requests that are under way to that broker, or wait for it, fail with the same error
 *     (kafka_client_is_unreadable()). They are sent again: requests about groups by
 *     requests/serial.h, so that the one with the long reply fails alone; offsets by
 *     requests/offsets.c; metadata by requests/metadata.c.
 * 15  From 2.3: a call for offsets whose broker does not answer, or not in time, may have no error.
 *     The answer leaves out that broker's offsets. They count as not answered:
 *     requests/offsets.c.
 * 16  Before 2.8: a certificate that is set as a text is sent without its chain (#3225). It is read
 *     from a file in memory: shared/tls_file.h.
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

/* A handle is renewed when a call on it to a group's coordinator is so old, long before the call
 * times out (workaround 1). */
enum { KAFKA_MAX_CALL_MS = 30 * 60 * 1000 };

/* After an attempt of the library to make a side handle that failed: each takes time, and few
 * reasons, such as a lack of threads, pass soon. */
enum { KAFKA_SIDE_RETRY_MS = 500 };

struct kafka_client {
    const struct kafka_connection_options *options;
    struct kafka_handles handles;    /* all handles */
    rd_kafka_conf_t *settings;       /* of each handle */
    int tls_file;                    /* with `cert` and `key` (workaround 16); -1: none */
    struct kafka_kerberos *kerberos; /* NULL: another way to log in */
    rd_kafka_t *rk;                  /* the main handle */
    size_t queues;                   /* of the main handle, that are not ended */
    int64_t opened_ms;               /* when the main handle was made */
    int event_fd;                    /* readable when something has come, on any handle or thread */
    size_t max_partitions;           /* of a trigger's topics (memory.h) */
    struct kafka_memory memory;
    int64_t answered_ms;       /* see kafka_client_note_answer(); 0: never */
    int64_t side_retry_ms;     /* until then no side handle is tried; 0: none has failed */
    struct error side_failure; /* the last one */

    /* The library's last error, for failures that nothing else explains. A refusal is not replaced
     * by other errors. */
    struct error last_error;
    bool is_refused;          /* a broker refuses our login, or it failed for want of a token */
    atomic_bool has_no_token; /* for any broker; written by a thread of the library */
    int64_t open_deadline_ms; /* of kafka_client_open() */
    /* Since when all brokers are down, as the library reports; 0: they are not. */
    int64_t all_down_since_ms;
};

/* Opens a client, which the caller has zeroed. False: the cluster was not reached by the deadline,
 * or something else failed. The caller ends the client with kafka_client_close() in any case. */
bool kafka_client_open(struct kafka_client *client, const struct kafka_connection_options *options,
                       int64_t deadline_ms, struct error *error);

/* Ends the client. False: a handle has not ended within some seconds. Its threads may still log in,
 * and ask for a token: the client must not be freed before the process ends, as an agent does now.
 */
bool kafka_client_close(struct kafka_client *client);

/* Makes a queue of the handle, on which only answers to calls come. An answer makes the client's
 * event_fd readable. The caller ends a queue of the main handle with kafka_client_end_queue(), and
 * that of another handle with the handle. */
rd_kafka_queue_t *kafka_client_new_queue(struct kafka_client *client, rd_kafka_t *rk);

/* Ends a queue of the main handle. */
void kafka_client_end_queue(struct kafka_client *client, rd_kafka_queue_t *queue);

/* Makes the options of a call to a group's coordinator, with a time-out of an hour (workaround 1).
 * `opaque` comes back with the answer. The caller destroys the options. */
rd_kafka_AdminOptions_t *kafka_client_new_call_options(rd_kafka_t *rk,
                                                       rd_kafka_admin_op_t operation, void *opaque);

/* Makes a main handle for kafka_client_renew(), and waits for no broker. NULL with an error. */
rd_kafka_t *kafka_client_new_main_handle(struct kafka_client *client, struct error *error);

/* Makes a handle beside the main one, with the same settings. NULL with an error, as where there is
 * no memory for it. Where the library makes none, that is the error for KAFKA_SIDE_RETRY_MS, or
 * until a former handle ends in place of it (second.c). */
rd_kafka_t *kafka_client_new_side_handle(struct kafka_client *client, int64_t now_ms,
                                         struct error *error);

/* When a side handle may be tried again, after the library has made none. CLOCK_NEVER: at any time.
 */
int64_t kafka_client_side_retry_ms(const struct kafka_client *client, int64_t now_ms);

/* Notes how many brokers an answer has named, for the memory that they take. Each handle in use has
 * a thread for each broker that joins. The library keeps that of one that leaves (until 2.10.0), so
 * the number does not fall. Example: a node pool is replaced, and metadata names 30 brokers, then
 * 60, then 30. What it does not see: brokers that are replaced one by one under new ids. */
void kafka_client_note_brokers(struct kafka_client *client, size_t brokers);

/* Puts the new main handle in the place of the old one, which is destroyed as soon as nobody holds
 * it (handles.h). The caller counts the partitions of the new one afterwards. */
void kafka_client_renew(struct kafka_client *client, rd_kafka_t *rk, int64_t now_ms);

/* Takes the library's errors, without waiting. */
void kafka_client_poll(struct kafka_client *client);

/* Forgets the errors: what went wrong until now explains no later failure. */
void kafka_client_clear_errors(struct kafka_client *client);

/* Notes that a broker has just answered something, be it an error of its own. */
void kafka_client_note_answer(struct kafka_client *client, int64_t now_ms);

/* Whether this is the error of a reply that is too long or malformed, and of all that was under way
 * to its broker (workaround 14). */
bool kafka_client_is_unreadable(rd_kafka_resp_err_t error);

/* Sets the error "Kafka at HOSTS: WHAT: the library's last error". Returns false. */
bool kafka_client_fail(const struct kafka_client *client, struct error *error, const char *what);

#endif
