/*
 * What takes memory in the process of a client, in figures that were measured, and how much there
 * may be of it: librdkafka aborts the process where it gets none.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEMORY_H
#define BACKLOG_SCALERS_KAFKA_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* What the process of a connection may map beside the program: of one in the connections file, and
 * of any other. */
enum { KAFKA_MEMORY_NAMED = 96 << 20, KAFKA_MEMORY_OTHERS = 28 << 20 };

enum {
    /* The library's, of a partition of a topic that is measured, as long as the handle lives
     * (workaround 6 of client.h). */
    KAFKA_MEMORY_PER_PARTITION = 2400,

    /* Of a partition of a group, while its commits are requested: our list, the library's, and the
     * answer. */
    KAFKA_MEMORY_PER_COMMIT = 500,

    /* So many partitions take as much as the request itself, our structs and the library's: 8,000
     * groups of one partition, whose coordinator hung, ended an agent process. */
    KAFKA_MEMORY_REQUEST = 8,

    /* Of a broker in each handle, most of it the stack of its thread. */
    KAFKA_MEMORY_PER_BROKER = 200 << 10,

    /* Of a handle beside the main one, without its brokers, and without the messages that a fetcher
     * (requests/subscriptions.h) queues. */
    KAFKA_MEMORY_PER_HANDLE = 1 << 20,

    /* What topics leave free for another handle, as the main one is renewed and requests/commits.h
     * has a second one, and for answers. */
    KAFKA_MEMORY_FREE = 4 << 20,

    /* What other handles leave of that for answers. */
    KAFKA_MEMORY_ANSWERS = 1 << 20,
};

/* All of these take the bytes that the process may map beside what it has already, with its main
 * handle. INFINITY: it is no agent. NAN: they are not known; there is what any agent has, and no
 * memory for another main handle. */

/* NAN is replaced by what any agent has. */
double kafka_memory_known(double mappable_bytes);

/* How many partitions the topics of a trigger may have. */
size_t kafka_memory_max_partitions(double mappable_bytes);

/* Of how many partitions of groups commits may be requested at a time. */
size_t kafka_memory_max_commits(double mappable_bytes);

/* Whether another handle may have so many partitions, too, and a thread for each broker: when the
 * main one is renewed. */
bool kafka_memory_has_for_handle(double mappable_bytes, size_t partitions, size_t brokers);

/* What a handle takes that has no partitions. */
double kafka_memory_of_handle(size_t brokers);

/* What to do where the bytes, all of which were free once, are not enough. */
const char *kafka_memory_advice(double mappable_bytes);

#endif
