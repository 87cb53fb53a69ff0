/*
 * How many partitions may be requested at a time, and how many tasks the server may give therefore.
 *
 * While the commits of a group are requested, each of its partitions takes memory
 * (KAFKA_MEMORY_PER_COMMIT), and the request itself as much as some partitions
 * (KAFKA_MEMORY_REQUEST). All groups may be due at once, as after a reconnect: 500 groups of 200
 * partitions needed more memory than an agent process has. So a group takes space for its
 * partitions as soon as its topics are known. It releases the space when its commits are taken, or
 * when its last task has ended.
 *
 * The space has two sides with the same limit. A group that has more partitions than the limit may
 * take a side where nothing is taken or reserved, and has it to itself. The second side is for
 * silent groups: a coordinator that hangs fills only that one.
 *
 *     a group is   its partitions count   its next tasks               until
 *
 *     usual        on the first side      wait for its request         its commits are taken
 *     silent       on the second side     wait in measure.c while      its coordinator answers
 *                                         that side is full
 *     refused      nowhere                go back to the server        it finds space
 *     reserved     nowhere, but are       wait in measure.c            it takes the space, is
 *                  kept free on the                                    silent, or its tasks have
 *                  first side                                          ended
 *
 * Silent: a usual group becomes silent once it has waited four times as long as answers take on
 * average, but at least 0.25 s and at most 1 s. Its next requests are on the second side at once,
 * until its coordinator answers. Where the second side is full and others need space, the group
 * that has been silent for longest releases its space: its tasks go back to be isolated.
 *
 * Refused: the group finds no space on the first side. The first group that is refused is the
 * reserved one, or it would be refused for ever while small groups come and go. The tasks of the
 * others go back to the server, where namespaces have their turns and it shows that the source
 * cannot keep up. From then on the server gives only as many tasks at a time as there were. Twice
 * as many may come each time that half of the first side has been free for a second. Tasks that
 * come meanwhile gather until half of the first side is free, or as much as is reserved.
 *
 * The limit follows the memory that is free (kafka_memory_max_commits()). With less, what is taken
 * stays, and nothing is taken until there is space.
 *
 * For example, with a limit of 10,000 partitions and 100 groups of 192 partitions, each with one
 * task: 50 groups take 50 * (192 + 8) = 10,000. The 51st is reserved, and 49 tasks go back. The
 * server may give 51 at a time; when 25 groups have been answered, the 51st takes its space.
 *
 * Threads: the measuring thread. Owner: the session.
 */
#ifndef BACKLOG_SCALERS_KAFKA_SPACE_H
#define BACKLOG_SCALERS_KAFKA_SPACE_H

#include "kafka/known_groups.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The sides of the space. */
enum kafka_space_side { KAFKA_SPACE_USUAL, KAFKA_SPACE_SILENT, KAFKA_SPACE_SIDES };

/* The space of a group: a member of whoever requests its commits. */
struct kafka_share {
    /* The owner sets these once: */
    void *owner;
    const char *group;
    bool isolate;
    const size_t *tasks; /* the number of tasks that wait for the group */

    /* space.c: */
    size_t partitions; /* that the group has taken space for; 0: it has no space */
    enum kafka_space_side side;
    size_t asked;     /* partitions that it asked for; kafka_space_correct() leaves that */
    int64_t from_ms;  /* when it took the space */
    bool is_answered; /* the coordinator has answered: the group waits for metadata */
    struct kafka_share *prev, *next;
};

struct kafka_space {
    size_t limit; /* partitions, on each side: see kafka_space_set_limit() */
    struct space_side {
        struct kafka_share *shares; /* utlist: the share that took space first is the first */
        size_t partitions;          /* of all shares */
    } sides[KAFKA_SPACE_SIDES];
    struct kafka_known_groups groups;
    char *reserved_for;    /* a group; NULL: nothing is reserved */
    size_t reserved;       /* partitions */
    size_t max_answering;  /* tasks of usual groups; SIZE_MAX: any number */
    int64_t roomy_from_ms; /* since when half of the first side has been free, or when the number of
                              tasks last changed */
    int64_t usual_ms;      /* how long answers take: the average of the last ones */
};

void kafka_space_init(struct kafka_space *space, size_t limit);
void kafka_space_done(struct kafka_space *space);

/* The memory that is free has changed. What is taken stays, also where that is more. */
void kafka_space_set_limit(struct kafka_space *space, size_t limit);

/* Whether the group may come now. False: it is silent, and the second side has no space for what it
 * last asked for. */
bool kafka_space_is_free(const struct kafka_space *space, const char *group);

enum kafka_space_outcome {
    KAFKA_SPACE_TAKEN,
    KAFKA_SPACE_REFUSED,   /* space is reserved for the group now, if none was for another one */
    KAFKA_SPACE_MUST_WAIT, /* the second side is full: kafka_space_is_free() is false now */
};

/* Takes space for the partitions, at least 1, of a group that has none. */
enum kafka_space_outcome kafka_space_take(struct kafka_space *space, struct kafka_share *share,
                                          size_t partitions, int64_t now_ms);

/* Corrects how many partitions, at least 1, the group has space for. Harmless where it has none. */
void kafka_space_correct(struct kafka_space *space, struct kafka_share *share, size_t partitions);

/* Releases the space of the group. Harmless where it has none. */
void kafka_space_release(struct kafka_space *space, struct kafka_share *share);

/* The partitions that both sides have. */
size_t kafka_space_partitions(const struct kafka_space *space);

/* The group that space is reserved for. NULL: none. Where all tasks of the group end before it
 * takes the space, the caller ends the reservation. */
const char *kafka_space_reserved_for(const struct kafka_space *space);
void kafka_space_end_reservation(struct kafka_space *space);

/* Notes that the group's coordinator has answered: the group's next request is a usual one. */
void kafka_space_note_answer(struct kafka_space *space, struct kafka_share *share, int64_t now_ms);

/* ---- once per turn of the loop ---- */

/* Moves groups that have become silent to the second side. Returns a silent group whose space
 * others need: the caller releases it before the next call. NULL: there is none. */
struct kafka_share *kafka_space_maintain(struct kafka_space *space, int64_t now_ms);

/* Whether the tasks that come are to gather until there is more space. Tasks that are sent one by
 * one request the offsets of their common topics once each; together they request them once. */
bool kafka_space_must_gather(const struct kafka_space *space);

/* Limits the tasks to the `tasks` that there are beside those that were just refused. */
void kafka_space_narrow(struct kafka_space *space, size_t tasks, int64_t now_ms);

/* Allows more tasks where half of the first side has been free for long. */
void kafka_space_widen(struct kafka_space *space, int64_t now_ms);

/* How many tasks there may be now, with those of silent groups. SIZE_MAX: any number. */
size_t kafka_space_max_tasks(const struct kafka_space *space);

/* When these functions may find something new, if nothing else happens. */
int64_t kafka_space_next_ms(const struct kafka_space *space, int64_t now_ms);

#endif
