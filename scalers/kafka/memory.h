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

    /* Of a fetcher (requests/subscriptions.h) without its brokers, and without the messages that it
     * queues. */
    KAFKA_MEMORY_PER_FETCHER = 1 << 20,

    /* What stays free for another handle, as the main one is renewed and requests/commits.h has a
     * second one, and for answers. */
    KAFKA_MEMORY_FREE = 4 << 20,
};

/* All of these take the bytes that the process may map beside what it has already, with its main
 * handle. INFINITY: it is no agent. NAN: they are not known; there is what any agent has, and no
 * memory for another handle. */

/* How many partitions the topics of a trigger may have. */
size_t kafka_memory_max_partitions(double mappable_bytes);

/* Of how many partitions of groups commits may be requested at a time. */
size_t kafka_memory_max_commits(double mappable_bytes);

/* Whether another handle may have so many partitions, too: when the main one is renewed. */
bool kafka_memory_has_for_handle(double mappable_bytes, size_t partitions);

#endif
