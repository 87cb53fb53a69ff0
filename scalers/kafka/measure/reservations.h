/*
 * How many commits may be under way at a time: consumer groups reserve their partitions.
 *
 * While the commits of a group are requested each of its partitions takes some 500 bytes: our list,
 * the library's, and the answer. All groups may be due at once, as after a reconnect: with 500
 * groups of 200 partitions an agent process needed more than its 28 MiB each time. So the tasks of
 * a group are put into a batch only once its partitions are reserved:
 *
 *     reserve    before anything is made for the group: by the number that it had last, or a guess
 *     confirm    its request is sent, for this number
 *     release    it was answered, or nobody waits for it any more
 *     cancel     nothing is sent for it after all
 *
 * A reservation ends by itself after a second, so that a coordinator that hangs does not keep
 * others waiting for longer. Isolated groups, which are likely to hang, have a limit of their own.
 * A group with more partitions than the limit is alone. Where a listing of topics is awaited
 * nothing is reserved before the request itself.
 *
 * The price, where the groups of a connection have more partitions than the limit: they are
 * measured in rounds, whoever their namespaces are, and when a coordinator begins to hang, all wait
 * for a second per so many partitions of its groups. Connections of the connections file may have
 * more memory, and so more partitions.
 *
 * Threads: the measuring thread. Owner: whoever has the struct, zeroed at first.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_RESERVATIONS_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_RESERVATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reserving_group;
struct reservation;

struct kafka_reservations {
    struct reserving_group *groups;
    uint64_t last_number;
    size_t extra; /* partitions beyond the smallest limit */
    struct reservations_of_kind {
        struct reservation *held; /* utlist, the oldest first */
        size_t partitions;        /* of all of them */
        size_t refused;           /* of the group that waits first; 0: none does */
    } kinds[2];                   /* by whether they are isolated */
};

void kafka_reservations_done(struct kafka_reservations *reservations);

/* Raises the limit where the process may map more than the least that an agent has; INFINITY (not
 * in an agent) does not. */
void kafka_reservations_allow(struct kafka_reservations *reservations, double mappable_bytes);

/* Reserves the group's partitions until the deadline at most; a group that has them already keeps
 * them. False: there is no space for it, and from now on for no other group, until there is. */
bool kafka_reservations_reserve(struct kafka_reservations *reservations, const char *group,
                                bool isolate, int64_t deadline_ms, int64_t now_ms);

/* Whether no group was refused, or there is space for the first one that was. */
bool kafka_reservations_have_space(const struct kafka_reservations *reservations, bool isolate);

/* The group's request is sent now, for so many partitions; 0: that is not known. Returns the number
 * to release them with; 0: they are more than were reserved, and there is no space for them. */
uint64_t kafka_reservations_confirm(struct kafka_reservations *reservations, const char *group,
                                    bool isolate, size_t partitions, int64_t deadline_ms,
                                    int64_t now_ms);

/* Ends the reservation with this number, if it has not ended yet; 0 is none. */
void kafka_reservations_release(struct kafka_reservations *reservations, const char *group,
                                bool isolate, uint64_t number);

/* Ends a reservation of the group that was not confirmed. */
void kafka_reservations_cancel(struct kafka_reservations *reservations, const char *group,
                               bool isolate);

/* Notes how many partitions the group has, for its next reservation. */
void kafka_reservations_note(struct kafka_reservations *reservations, const char *group,
                             size_t partitions, int64_t now_ms);

/* Ends the reservations whose time is over; forgets groups that have had none for KAFKA_FORGET_MS.
 */
void kafka_reservations_maintain(struct kafka_reservations *reservations, int64_t now_ms);
void kafka_reservations_forget_old(struct kafka_reservations *reservations, int64_t now_ms);

/* When kafka_reservations_maintain() ends the next one. */
int64_t kafka_reservations_next_ms(const struct kafka_reservations *reservations, bool isolate);

#endif
