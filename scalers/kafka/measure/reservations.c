#include "kafka/measure/reservations.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/client/client.h"

#include <math.h>
#include <string.h>
#include <sys/param.h>
#include <utlist.h>

enum {
    GUESS = 200,      /* partitions of a group of which nothing is known */
    SILENT_MS = 1000, /* a coordinator that takes longer may hang */
};

enum {
    LIMIT = 10000,              /* some 5 MB */
    LEAST_BYTES = 28 << 20,     /* that an agent may map, which is enough for LIMIT */
    BYTES_PER_PARTITION = 1500, /* more than it needs: other things grow, too */
};

struct reservation {
    size_t partitions;
    uint64_t number; /* 0: it is not held */
    bool is_confirmed;
    int64_t until_ms;
    struct reservation *prev, *next;
};

struct reserving_group {
    char *name;
    size_t partitions[2]; /* by whether all that there are were requested; 0: not known */
    int64_t used_ms;
    struct reservation kinds[2]; /* by whether they are isolated */
    UT_hash_handle hh;
};

static struct reserving_group *find(const struct kafka_reservations *reservations, const char *name)
{
    struct reserving_group *group;
    HASH_FIND_STR(reservations->groups, name, group);
    return group;
}

static struct reserving_group *group_for(struct kafka_reservations *reservations, const char *name,
                                         int64_t now_ms)
{
    struct reserving_group *group = find(reservations, name);
    if (group == NULL) {
        group = memory_new(sizeof(*group));
        group->name = text_copy(name);
        HASH_ADD_KEYPTR(hh, reservations->groups, group->name, strlen(group->name), group);
    }
    group->used_ms = now_ms;
    return group;
}

/* ---- one reservation ---- */

void kafka_reservations_allow(struct kafka_reservations *reservations, double mappable_bytes)
{
    if (isfinite(mappable_bytes) && mappable_bytes > LEAST_BYTES)
        reservations->extra = (size_t)((mappable_bytes - LEAST_BYTES) / BYTES_PER_PARTITION);
}

static size_t limit_of(const struct kafka_reservations *reservations, bool isolate)
{
    size_t limit = LIMIT + reservations->extra;
    return isolate ? limit / 2 : limit;
}

static bool fits(const struct kafka_reservations *reservations, bool isolate, size_t partitions)
{
    size_t held = reservations->kinds[isolate].partitions;
    return held == 0 || held + partitions <= limit_of(reservations, isolate);
}

static void hold(struct kafka_reservations *reservations, struct reserving_group *group,
                 bool isolate, size_t partitions, int64_t deadline_ms, int64_t now_ms)
{
    struct reservation *reservation = &group->kinds[isolate];
    *reservation = (struct reservation){
        .partitions = partitions,
        .number = ++reservations->last_number,
        .until_ms = MIN(deadline_ms, now_ms + SILENT_MS),
    };
    reservations->kinds[isolate].partitions += partitions;
    DL_APPEND(reservations->kinds[isolate].held, reservation);
}

/* Whoever waits may go on once half of the space is free: or each answer would make a small batch
 * of its own. */
static void end(struct kafka_reservations *reservations, struct reservation *reservation,
                bool isolate)
{
    struct reservations_of_kind *kind = &reservations->kinds[isolate];
    DL_DELETE(kind->held, reservation);
    kind->partitions -= reservation->partitions;
    reservation->number = 0;
    if (kind->partitions <= limit_of(reservations, isolate) / 2 &&
        fits(reservations, isolate, kind->refused))
        kind->refused = 0;
}

/* ---- reserve, confirm, release ---- */

bool kafka_reservations_reserve(struct kafka_reservations *reservations, const char *name,
                                bool isolate, int64_t deadline_ms, int64_t now_ms)
{
    struct reserving_group *group = group_for(reservations, name, now_ms);
    struct reservations_of_kind *kind = &reservations->kinds[isolate];
    size_t known = MAX(group->partitions[false], group->partitions[true]);
    size_t partitions = known == 0 ? GUESS : known;
    if (group->kinds[isolate].number != 0)
        return true;
    if (kind->refused > 0)
        return false;
    if (!fits(reservations, isolate, partitions)) {
        kind->refused = partitions;
        return false;
    }
    hold(reservations, group, isolate, partitions, deadline_ms, now_ms);
    return true;
}

bool kafka_reservations_have_space(const struct kafka_reservations *reservations, bool isolate)
{
    return reservations->kinds[isolate].refused == 0;
}

uint64_t kafka_reservations_confirm(struct kafka_reservations *reservations, const char *name,
                                    bool isolate, size_t partitions, int64_t deadline_ms,
                                    int64_t now_ms)
{
    struct reserving_group *group = group_for(reservations, name, now_ms);
    struct reservation *reservation = &group->kinds[isolate];
    if (partitions > 0)
        group->partitions[false] = partitions;
    else
        partitions = group->partitions[true] == 0 ? GUESS : group->partitions[true];
    if (reservation->number != 0)
        end(reservations, reservation, isolate);
    if (!fits(reservations, isolate, partitions))
        return 0;
    hold(reservations, group, isolate, partitions, deadline_ms, now_ms);
    reservation->is_confirmed = true;
    return reservation->number;
}

void kafka_reservations_release(struct kafka_reservations *reservations, const char *name,
                                bool isolate, uint64_t number)
{
    struct reserving_group *group = number == 0 ? NULL : find(reservations, name);
    if (group != NULL && group->kinds[isolate].number == number)
        end(reservations, &group->kinds[isolate], isolate);
}

void kafka_reservations_cancel(struct kafka_reservations *reservations, const char *name,
                               bool isolate)
{
    struct reserving_group *group = find(reservations, name);
    if (group != NULL && group->kinds[isolate].number != 0 && !group->kinds[isolate].is_confirmed)
        end(reservations, &group->kinds[isolate], isolate);
}

void kafka_reservations_note(struct kafka_reservations *reservations, const char *name,
                             size_t partitions, int64_t now_ms)
{
    group_for(reservations, name, now_ms)->partitions[true] = MAX(partitions, 1);
}

/* ---- time passes ---- */

void kafka_reservations_maintain(struct kafka_reservations *reservations, int64_t now_ms)
{
    for (int isolate = 0; isolate < 2; isolate++)
        while (reservations->kinds[isolate].held != NULL &&
               reservations->kinds[isolate].held->until_ms <= now_ms)
            end(reservations, reservations->kinds[isolate].held, isolate);
}

int64_t kafka_reservations_next_ms(const struct kafka_reservations *reservations, bool isolate)
{
    const struct reservation *oldest = reservations->kinds[isolate].held;
    return oldest == NULL ? CLOCK_NEVER : oldest->until_ms;
}

void kafka_reservations_forget_old(struct kafka_reservations *reservations, int64_t now_ms)
{
    struct reserving_group *group;
    struct reserving_group *next;
    HASH_ITER(hh, reservations->groups, group, next) {
        bool is_held = group->kinds[false].number != 0 || group->kinds[true].number != 0;
        if (is_held || now_ms - group->used_ms < KAFKA_FORGET_MS)
            continue;
        /* The analyzer takes two elements of the table for the same.
         * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        HASH_DEL(reservations->groups, group);
        free(group->name);
        free(group);
    }
}

void kafka_reservations_done(struct kafka_reservations *reservations)
{
    kafka_reservations_maintain(reservations, CLOCK_NEVER);
    kafka_reservations_forget_old(reservations, CLOCK_NEVER);
}
