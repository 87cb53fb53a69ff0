/*
 * A broker of its own for tests of Kafka, which answers what librdkafka's mock cluster cannot: it
 * logs in by SASL PLAIN, or refuses to, and answers requests for metadata, offsets, commits and
 * members. It has the topics a and b; a listing names a again, and another topic that is requested
 * by name does not exist. Each has one partition with KAFKA_PEER_MESSAGES, of which none is
 * consumed.
 * Each group has three members: one has partition 0 of a, one that of b, and one none.
 *
 * Threads: the test's, and one of its own.
 */
#ifndef BACKLOG_TEST_SCALERS_KAFKA_PEER_H
#define BACKLOG_TEST_SCALERS_KAFKA_PEER_H

#include "kafka/session.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { KAFKA_PEER_MESSAGES = 4 };

/* Kinds of requests. */
enum {
    KAFKA_PEER_LIST_OFFSETS = 2,
    KAFKA_PEER_METADATA = 3,
    KAFKA_PEER_OFFSET_FETCH = 9,
    KAFKA_PEER_FIND_COORDINATOR = 10,
    KAFKA_PEER_DESCRIBE_GROUPS = 15,
    KAFKA_PEER_KINDS,
};

struct kafka_peer {
    int delay_ms;   /* of each answer */
    bool refuses;   /* each login */
    bool has_no_id; /* its cluster */
    int port;       /* of 127.0.0.1 */
    /* The groups of whose reply only the length is sent, which is too long, with a comma between
     * them; NULL: none. */
    const char *_Atomic too_long_members;
    const char *_Atomic too_long_commits;
    atomic_int too_long_left[KAFKA_PEER_KINDS]; /* so many replies of this kind will be, too */
    atomic_int closed_left[KAFKA_PEER_KINDS];   /* so many requests close their connections */
    atomic_int silent_left[KAFKA_PEER_KINDS];   /* so many others have no reply */
    int committed_topics; /* by a group, where its commits are requested without names */
    int more_members;     /* of each group, with partition 0 of a each */
    bool denies_commits;  /* then there is one instead, of a, and it is refused */

    atomic_int too_long_count;             /* replies that were, until now */
    atomic_int requests[KAFKA_PEER_KINDS]; /* that came, until now */
    char *brokers;
    struct kafka_connection_options options; /* for a connection to it */
    int listener;
    int stop_fd;
    pthread_t thread;
};

/* The caller has set what is not zero. */
void kafka_peer_start(struct kafka_peer *peer);
void kafka_peer_stop(struct kafka_peer *peer);

/* The caller ends the session with kafka_session_disconnect(). */
struct kafka_session *kafka_peer_connect(const struct kafka_peer *peer);

#endif
