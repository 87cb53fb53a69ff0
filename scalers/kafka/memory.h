/*
 * What takes memory in the process of a connection, in figures that were measured, and whether
 * there is some for more: librdkafka aborts the process where it gets no memory.
 *
 * All comes out of the bytes that the process could still map once its main handle was there
 * (`mappable_bytes`). Things that come and go have an account each (enum kafka_memory_account), and
 * the rest is noted as it is (kafka_memory_note_tasks(), for one):
 *
 *                     takes                          and leaves
 *
 *     topics          1,900 bytes for a partition,   500 bytes for each of their partitions, for a
 *                     and 2 partitions more each     request for commits; and 5 MiB, or what
 *                                                    fetchers and another handle need, if that is
 *                                                    more
 *     clocks          32 bytes for a partition of    what topics leave
 *                     a group
 *     patterns        8 to 16 bytes for a topic      the same
 *                     that matches
 *     queries         feed_query_bytes(), about
 *                     1,200 bytes each
 *     tasks and       what measure/batch.c counts,   what is kept, holes, another handle, and 1,000
 *     batches         about 1,400 bytes a task       commits: kafka_memory_for_tasks()
 *     brokers that    200 KiB in each handle: the
 *     join later      library makes a thread for
 *                     each of them
 *     fetchers        a handle, and their topics     5 MiB, or another handle and what that leaves,
 *                                                    if it is more
 *     subscriptions   32 bytes for a partition       the same
 *     other handles   1 MiB, and 200 KiB for each    what is kept beside the commits under way: 1
 *                     broker                         MiB for answers, and the stacks of the threads
 *                                                    that request offsets
 *     renewals        a second main handle, until    5 MiB beside the commits under way
 *                     the former one is gone
 *     commits         500 bytes for a partition,     what is kept, holes, and another handle:
 *                     and 8 partitions more for a    kafka_memory_max_commits()
 *                     request
 *     members         50 bytes for a group; 100      what topics leave, and 1 MiB for more of them;
 *                     bytes and its topic's name     or what is kept beside the commits under way,
 *                     for each partition that a      holes, and another handle, if that is more
 *                     member has; until the tasks
 *                     of its group have ended
 *     abandoned       300 bytes for a partition of   nothing: a handle with 5,000 such partitions
 *     requests        a request for commits that     takes no request (requests/commits.h)
 *                     nobody waits for
 *
 * For example, 28 MiB with 3 brokers, of which the main handle took 1.6 MiB. Topics leave 5 MiB:
 * there may be 41 of 225 partitions. 40 of these count as 9,080 and take 16.5 MiB, so that 9.9 MiB
 * are free. 1.4 MiB of them are kept, 2 MiB may be holes, and 1.6 MiB are for the second handle.
 * Requests for commits may take the other 4.9 MiB: 5,000 partitions at a time on each of the two
 * sides of space.h. With 1,000 triggers of these topics it is 4,000 partitions, and with
 * 4,000 or more triggers 1,000 partitions, and 500 tasks at a time.
 *
 * The figures are of librdkafka 2.8.0, beside 2.0.2: mallinfo2() before and after, in a program
 * with one handle. That they are enough shows in test/protocol/test_replies.py, which fills agents
 * of a release build: with another version of the library run `./dev test attacks`.
 *
 * Threads: the measuring thread. Owner: the client.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEMORY_H
#define BACKLOG_SCALERS_KAFKA_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes that the process of a connection may map beside the program: of a connection in the
 * connections file, and of any other. */
enum { KAFKA_MEMORY_NAMED = 96 << 20, KAFKA_MEMORY_OTHERS = 28 << 20 };

enum {
    /* Bytes of the library for a partition of a topic in a handle, as long as the handle lives
     * (workaround 6 of client.h). 2.0.2 takes 1,500 of them, and 2.8.0 1,700; log_start.h 48. */
    KAFKA_MEMORY_PER_PARTITION = 1900,

    /* A topic takes as much as so many partitions more: 4,400 bytes of 2.8.0, and some of ours.
     * 9,000 topics of one partition ended an agent process. */
    KAFKA_MEMORY_TOPIC = 2,

    /* Bytes for a partition of a group while its commits are requested: our list, the library's
     * list, and the answer. */
    KAFKA_MEMORY_PER_COMMIT = 500,

    /* A request for commits takes as much as so many partitions, for our structs and the library's:
     * 8,000 groups of one partition, whose coordinator hung, ended an agent process. */
    KAFKA_MEMORY_REQUEST = 8,

    /* Bytes for a partition of a request for commits that nobody waits for any more: the library's
     * list. With KAFKA_MEMORY_REQUEST: 2,400 bytes for a request, as were measured. */
    KAFKA_MEMORY_PER_ABANDONED = 300,

    /* Bytes for a task; and for one that begins, with a partition, without its selection. */
    KAFKA_MEMORY_PER_TASK = 300,
    KAFKA_MEMORY_PER_BEGUN_TASK = 1400,

    /* Bytes for a partition that a member of a group has, without its topic's name: an element of
     * the library's list, and what malloc() adds to both. */
    KAFKA_MEMORY_PER_ASSIGNED = 100,

    /* The partitions that a group's members have take so many bytes more: the library's list. */
    KAFKA_MEMORY_MEMBERS = 50,

    /* Bytes that members leave to more topics, such as 145 of one partition: without its members a
     * group is measured, but a task fails whose topic has no memory. */
    KAFKA_MEMORY_MORE_TOPICS = 1 << 20,

    /* Bytes for each broker in each handle, most of them for the stack of its thread. */
    KAFKA_MEMORY_PER_BROKER = 200 << 10,

    /* Bytes for a handle beside the main one, without its brokers, and without the topics of a
     * fetcher (requests/subscriptions.h) and the messages that it queues. */
    KAFKA_MEMORY_PER_HANDLE = 1 << 20,

    /* Bytes that topics leave free for what is kept, for another handle with up to 9 brokers, and
     * for more requests. */
    KAFKA_MEMORY_FREE = 5 << 20,

    /* Bytes that are kept for answers, and for a thread (client/background.h) of each broker, of 32
     * at most, while offsets are requested: the stack of an agent's thread, and its guard. */
    KAFKA_MEMORY_ANSWERS = 1 << 20,
    KAFKA_MEMORY_PER_THREAD = 132 << 10,
    KAFKA_MEMORY_THREADS = 32,

    /* Bytes that requests for commits and tasks leave beside what is kept: they come and go in all
     * sizes, and what is free between them is in pieces that are too small for others. */
    KAFKA_MEMORY_HOLES = 2 << 20,
};

/* Each account has the bytes of things that come and go, and one module that adds and removes them:
 * kafka_memory_add(). It is empty when all of them are freed. */
enum kafka_memory_account {
    KAFKA_ACCOUNT_HANDLES,  /* client/handles.c: that are not gone, but the main one and fetchers */
    KAFKA_ACCOUNT_FETCHERS, /* client/handles.c */
    KAFKA_ACCOUNT_SUBSCRIPTIONS, /* requests/subscriptions.c */

    /* requests/commits_call.c: requests for commits that nobody waits for, on the main and the
     * second handle. The serial handle, and handles that have ended, count theirs with handles. */
    KAFKA_ACCOUNT_ABANDONED,

    KAFKA_ACCOUNT_CLOCKS,   /* persistence.c: for excludePersistentLag */
    KAFKA_ACCOUNT_PATTERNS, /* requests/patterns.c: which topics match */
    KAFKA_ACCOUNT_BATCHES,  /* measure/batch.c: with their tasks */
    KAFKA_ACCOUNT_MEMBERS,  /* requests/members.c: the partitions that groups' members have */
    KAFKA_ACCOUNTS,
};

/* Others read the fields; memory.c writes them. Bytes are double, so that some are INFINITY. */
struct kafka_memory {
    /* What the process could map when there was no topic yet, beside its main handle
     * (process_mappable_bytes()). INFINITY: the process is no agent. */
    double mappable_bytes;

    double bytes[KAFKA_ACCOUNTS];
    double queries_bytes; /* feed_query_bytes() */
    size_t waiting;       /* tasks in no batch */

    /* The most that tasks and batches took, as they will take it again. It fades: a third of it is
     * left after a minute. */
    double most_tasks_bytes;

    /* The most brokers that an answer with metadata named; and how many the first one named, whose
     * threads the main handle had when `mappable_bytes` was measured. */
    size_t brokers, first_brokers;

    size_t partitions; /* of all topics of the main handle, with KAFKA_MEMORY_TOPIC for each */
    size_t commits;    /* partitions that both sides of space.h have */
};

/* `mappable_bytes`: NAN where the process does not know it, so that it counts as any agent. */
void kafka_memory_init(struct kafka_memory *memory, double mappable_bytes);

/* The account has so many bytes more, or fewer where they are negative. */
void kafka_memory_add(struct kafka_memory *memory, enum kafka_memory_account account, double bytes);

/* These note a figure as it is now. `query_bytes` is what queries take, and `waiting` the tasks in
 * no batch: those in batches count there. */
void kafka_memory_note_tasks(struct kafka_memory *memory, size_t query_bytes, size_t waiting);
void kafka_memory_note_brokers(struct kafka_memory *memory, size_t brokers);
void kafka_memory_note_partitions(struct kafka_memory *memory, size_t partitions);
void kafka_memory_note_commits(struct kafka_memory *memory, size_t partitions);

/* So much time has passed: what many tasks took is left to others again. */
void kafka_memory_fade_tasks(struct kafka_memory *memory, int64_t passed_ms);

/* What is left. The header has it for tests. */
double kafka_memory_free_bytes(const struct kafka_memory *memory);

/* The bytes of a handle beside the main one. */
double kafka_memory_of_handle(const struct kafka_memory *memory);

/* The bytes that are kept for answers and threads. The header has it for tests. */
double kafka_memory_kept(const struct kafka_memory *memory);

/* How many partitions the topics of one trigger may have. */
size_t kafka_memory_max_partitions(const struct kafka_memory *memory);

/* How many more partitions the main handle may have. INFINITY: any number. */
double kafka_memory_room(const struct kafka_memory *memory);

/* Whether there is memory for clocks, or the topics of a pattern, that take so many bytes. */
bool kafka_memory_has_beside_topics(const struct kafka_memory *memory, double bytes);

/* Whether there is memory for another main handle with so many partitions, beside this one. */
bool kafka_memory_has_for_main_handle(const struct kafka_memory *memory, size_t partitions);

/* Whether there is memory for another handle, which is no main one and no fetcher. */
bool kafka_memory_has_for_side_handle(const struct kafka_memory *memory);

/* Whether there is memory for fetchers and subscriptions that take so many bytes. */
bool kafka_memory_has_for_fetchers(const struct kafka_memory *memory, double bytes);

/* Whether there is memory for the partitions of a group's members that take so many bytes. */
bool kafka_memory_has_for_members(const struct kafka_memory *memory, double bytes);

/* The bytes that more tasks may take now, in a batch. */
double kafka_memory_for_tasks(const struct kafka_memory *memory);

/* The number of partitions of which commits may be requested at a time, on each side of
 * space.h, and the most that there ever may be. At least 1,000, for which there is memory
 * in any case. */
size_t kafka_memory_max_commits(const struct kafka_memory *memory, bool has_second_handle);
size_t kafka_memory_most_commits(const struct kafka_memory *memory);

/* What a user can do where memory is not enough. */
const char *kafka_memory_advice(const struct kafka_memory *memory);

#endif
