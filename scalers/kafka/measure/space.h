/*
 * How much may be under way at a time: consumer groups take space for their partitions, and how
 * many tasks the server may give follows from that.
 *
 * While the commits of a group are requested each of its partitions takes memory, and so does the
 * request, which counts as some (KAFKA_MEMORY_PER_COMMIT, KAFKA_MEMORY_REQUEST). All groups may be
 * due at once, as after a reconnect: with 500 groups of 200 partitions an agent process needed more
 * than it may have each time. So a group
 *
 *     takes space      once its topics are known, before anything is made of their partitions
 *     releases it      when its commits are taken, or nobody waits for them any more
 *
 * The space has two sides, each with the same limit; a group with more partitions than that has its
 * side to itself. A coordinator that hangs fills only the second side:
 *
 *     group is    its partitions             its next tasks                until
 *
 *     usual       count on the first side    wait for its request          its commits are taken
 *     refused     count nowhere              come again from the server    it finds space
 *     reserved    are kept free there        wait in measure.c             it has its space, or
 *                                                                          its tasks have ended
 *     silent      count on the second side   wait in measure.c while       it is answered
 *                                            that is full
 *
 * Refused: it finds no space on the first side. The first group that finds none is the reserved
 * one, or it would be refused for ever while small ones come and go. The server gets the tasks of
 * the others back, and from then on gives only as many tasks at a time as there were: namespaces
 * have their turns there, and it shows that the source cannot keep up. What comes meanwhile gathers
 * until half of the first side is free, or as much as is reserved. There may be twice as many tasks
 * each time that half of it has been free for a second.
 *
 * Silent: it has waited for its answer several times as long as others did. Where the second side
 * is full, and others need space, the group that has been silent for longest leaves it: its tasks
 * go back to be isolated.
 *
 * Threads: the measuring thread. Owner: the session.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_SPACE_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct known_group;

/* The space of a group: a member of whoever requests its commits. */
struct kafka_share {
    void *owner; /* these are set once */
    const char *group;
    bool isolate;
    const size_t *tasks; /* how many wait for the group */

    /* space.c: */
    size_t partitions; /* so many that it has taken space for; 0: it has none */
    int64_t from_ms;
    bool is_answered; /* it waits for something else than its coordinator */
    bool is_silent;   /* it is on the second side */
    struct kafka_share *prev, *next;
};

struct kafka_space {
    size_t limit; /* partitions, on each side */
    struct space_side {
        struct kafka_share *shares; /* utlist, those that took space first are first */
        size_t partitions;          /* of all of them */
    } sides[2];                     /* by whether they are silent */
    struct known_group *known;
    char *reserved_for;    /* a group; NULL: nothing is reserved */
    size_t reserved;       /* partitions */
    size_t max_answering;  /* tasks of groups that are not silent; SIZE_MAX: any number */
    int64_t roomy_from_ms; /* since then half of the space has been free, or it was widened */
    int64_t usual_ms;      /* that answers take, the average of the last ones */
    size_t guess;          /* twice what groups had committed, the average of the last ones */
};

void kafka_space_init(struct kafka_space *space, size_t limit);
void kafka_space_done(struct kafka_space *space);

/* Whether the group may come now: false where it is silent, and there is no space for it among
 * those that are. */
bool kafka_space_is_free(const struct kafka_space *space, const char *group);

/* Takes space for the partitions, at least 1, for a group that may come now. False: there is none;
 * if none was reserved yet, it is for this group now. */
bool kafka_space_take(struct kafka_space *space, struct kafka_share *share, size_t partitions,
                      int64_t now_ms);

/* The group has space for so many, at least 1, from now on; harmless where it has none. */
void kafka_space_correct(struct kafka_space *space, struct kafka_share *share, size_t partitions);

/* Harmless where the group has none. */
void kafka_space_release(struct kafka_space *space, struct kafka_share *share);

/* The group that space is reserved for, until it takes some, or its tasks end without it, which the
 * caller notices. NULL: none. */
const char *kafka_space_reserved_for(const struct kafka_space *space);
void kafka_space_end_reservation(struct kafka_space *space);

/* ---- what is remembered of groups ---- */

/* How many partitions the group had committed when all were requested last, or a guess. */
size_t kafka_space_committed(const struct kafka_space *space, const char *group);
void kafka_space_note_committed(struct kafka_space *space, const char *group, size_t partitions,
                                int64_t now_ms);

/* The group's coordinator has answered: it is not silent. */
void kafka_space_note_answer(struct kafka_space *space, struct kafka_share *share, int64_t now_ms);

/* Forgets what has not been of use for KAFKA_FORGET_MS. */
void kafka_space_forget_old(struct kafka_space *space, int64_t now_ms);

/* ---- once per turn of the loop ---- */

/* Finds those that are silent. Returns one whose space others need, to be released before the next
 * call; NULL: none. */
struct kafka_share *kafka_space_maintain(struct kafka_space *space, int64_t now_ms);

/* Whether tasks are to wait for space, as others wait at the server: each that is sent alone
 * requests the offsets again that it has in common with others. */
bool kafka_space_must_gather(const struct kafka_space *space);

/* Tasks were refused, beside the `tasks` that there are: there may be no more than these. */
void kafka_space_narrow(struct kafka_space *space, size_t tasks, int64_t now_ms);

/* Allows more tasks where there has been space for long. */
void kafka_space_widen(struct kafka_space *space, int64_t now_ms);

/* How many tasks there may be now, those of silent groups included; SIZE_MAX: any number. */
size_t kafka_space_max_tasks(const struct kafka_space *space);

/* When these may find something new, if nothing else happens. */
int64_t kafka_space_next_ms(const struct kafka_space *space, int64_t now_ms);

#endif
