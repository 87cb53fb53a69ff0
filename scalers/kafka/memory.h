/*
 * What takes memory in the process of a connection, in figures that were measured, and what follows
 * from them: librdkafka aborts the process where it gets no memory.
 *
 *     the main handle   is there when the bytes are measured that the process may still map. From
 *                       then on only these figures count (kafka_client_free_bytes())
 *     brokers that      take memory in every handle, of what is left free: the library makes a
 *     join later        thread for each of them. With 4 MiB free, beside no other handle, about 20
 *                       may join. Topics and handles that come then find less
 *     its topics        leave 4 MiB of these free, or what other handles take, fetchers among them,
 *                       if that is more. With 11 brokers or more they leave what one of these
 *                       would take, and 1 MiB: kafka_client_room(). In 28 MiB they have about
 *                       9,000 partitions
 *     fetchers          leave 4 MiB and what one of the other handles takes free. Each has all
 *                       partitions of its topics, too: requests/subscriptions.c
 *     other handles     leave 1 MiB free: kafka_client_new_side_handle()
 *     renewals          need memory for a second main handle with all topics in use, and leave
 *                       4 MiB free: kafka_client_has_for_main_handle(). The old one counts until
 *                       it is gone
 *     commits           of so many partitions are requested at a time: measure/space.h
 *     threads of ours   are in no figure: background.c starts up to one per broker while latest
 *                       offsets are requested, 128 KiB each. Where one finds no memory its call is
 *                       refused; what they have taken the library may lack
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEMORY_H
#define BACKLOG_SCALERS_KAFKA_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* The bytes that the process of a connection may map beside the program: of a connection in the
 * connections file, and of any other. */
enum { KAFKA_MEMORY_NAMED = 96 << 20, KAFKA_MEMORY_OTHERS = 28 << 20 };

enum {
    /* Bytes of the library for a partition of a topic in a handle, as long as the handle lives
     * (workaround 6 of client.h). */
    KAFKA_MEMORY_PER_PARTITION = 2400,

    /* Bytes for a partition of a group while its commits are requested: our list, the library's
     * list, and the answer. */
    KAFKA_MEMORY_PER_COMMIT = 500,

    /* A request for commits takes as much as so many partitions, for our structs and the library's:
     * 8,000 groups of one partition, whose coordinator hung, ended an agent process. */
    KAFKA_MEMORY_REQUEST = 8,

    /* Bytes for each broker in each handle, most of them for the stack of its thread. */
    KAFKA_MEMORY_PER_BROKER = 200 << 10,

    /* Bytes for a handle beside the main one, without its brokers, and without the topics of a
     * fetcher (requests/subscriptions.h) and the messages that it queues. */
    KAFKA_MEMORY_PER_HANDLE = 1 << 20,

    /* Bytes that topics leave free for answers and other handles: the second one and the serial
     * ones. They are enough for one of these with up to 10 brokers. */
    KAFKA_MEMORY_FREE = 4 << 20,

    /* Bytes that other handles leave free, for answers. */
    KAFKA_MEMORY_ANSWERS = 1 << 20,
};

/* `mappable_bytes` is what the process may map beside what it has mapped, its main handle included
 * (process_mappable_bytes()). INFINITY: the process is no agent. NAN: the bytes are not known, so
 * that topics and handles may have what any agent has. */

/* The bytes, or, where they are not known, what any agent has. */
double kafka_memory_known(double mappable_bytes);

/* How many partitions the topics of a trigger may have. */
size_t kafka_memory_max_partitions(double mappable_bytes);

/* The number of partitions of which commits may be requested at a time. */
size_t kafka_memory_max_commits(double mappable_bytes);

/* Whether so many bytes, which are free, are enough for another main handle with so many
 * partitions. */
bool kafka_memory_has_for_handle(double free_bytes, size_t partitions, size_t brokers);

/* The bytes of a handle beside the main one. */
double kafka_memory_of_handle(size_t brokers);

/* What a user can do where these bytes, which were free when the connection began, are not enough.
 * `first_brokers` says what the main handle had taken before. */
const char *kafka_memory_advice(double mappable_bytes, size_t first_brokers);

#endif
