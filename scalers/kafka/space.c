#include "kafka/space.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <sys/param.h>
#include <utlist.h>

enum {
    FIRST_SHARE = 8,      /* of the limit, for a group as long as nothing is known of any */
    USUAL_MS = 250,       /* as long as nothing was answered: connecting takes time, too */
    LAST_SHARE = 8,       /* of the last answer in an average */
    SILENT_USUALS = 4,    /* a group is silent after so many times the usual time, */
    SILENT_MIN_MS = 250,  /* but not before this time, as a broker may pause, */
    SILENT_MAX_MS = 1000, /* and after this time in any case */
    WIDEN_MS = 1000,      /* a group that was refused has come again by then */
    MANY_TASKS = 1 << 16, /* a limit above this is lifted */
};

void kafka_space_init(struct kafka_space *space, size_t limit)
{
    *space = (struct kafka_space){.limit = limit, .max_answering = SIZE_MAX, .usual_ms = USUAL_MS};
    kafka_known_groups_init(&space->groups, limit / FIRST_SHARE);
}

void kafka_space_done(struct kafka_space *space)
{
    kafka_known_groups_forget_old(&space->groups, CLOCK_NEVER);
    kafka_space_end_reservation(space);
}

void kafka_space_set_limit(struct kafka_space *space, size_t limit)
{
    space->limit = limit;
}

void kafka_space_note_answer(struct kafka_space *space, struct kafka_share *share, int64_t now_ms)
{
    share->is_answered = true;
    space->usual_ms += (now_ms - share->from_ms - space->usual_ms) / LAST_SHARE;
    kafka_known_groups_note_answer(&space->groups, share->group);
}

/* ---- take and release ---- */

const char *kafka_space_reserved_for(const struct kafka_space *space)
{
    return space->reserved_for;
}

void kafka_space_end_reservation(struct kafka_space *space)
{
    free(TAKE(space->reserved_for));
    space->reserved = 0;
}

static bool is_reserved_for(const struct kafka_space *space, const char *name)
{
    return space->reserved_for != NULL && text_equal(space->reserved_for, name);
}

static void reserve(struct kafka_space *space, const char *name, size_t partitions)
{
    if (space->reserved_for == NULL)
        space->reserved_for = text_copy(name);
    if (is_reserved_for(space, name))
        space->reserved = partitions;
}

/* Whether the partitions fit on this side, beside what is taken and so much that is reserved. On an
 * empty side any number fits: a group with more than the limit has its side to itself. */
static bool fits(const struct kafka_space *space, enum kafka_space_side side, size_t reserved,
                 size_t partitions)
{
    size_t taken = space->sides[side].partitions + reserved;
    return taken == 0 || taken + partitions <= space->limit;
}

bool kafka_space_is_free(const struct kafka_space *space, const char *name)
{
    size_t silent = kafka_known_groups_silent(&space->groups, name);
    return silent == 0 || fits(space, KAFKA_SPACE_SILENT, 0, silent);
}

static void add(struct kafka_space *space, struct kafka_share *share, enum kafka_space_side side)
{
    share->side = side;
    space->sides[side].partitions += share->partitions;
    DL_APPEND(space->sides[side].shares, share);
}

static void remove_from_side(struct kafka_space *space, struct kafka_share *share)
{
    space->sides[share->side].partitions -= share->partitions;
    DL_DELETE(space->sides[share->side].shares, share);
}

size_t kafka_space_partitions(const struct kafka_space *space)
{
    return space->sides[KAFKA_SPACE_USUAL].partitions + space->sides[KAFKA_SPACE_SILENT].partitions;
}

enum kafka_space_outcome kafka_space_take(struct kafka_space *space, struct kafka_share *share,
                                          size_t partitions, int64_t now_ms)
{
    bool is_silent = kafka_known_groups_silent(&space->groups, share->group) > 0;
    bool is_reserved = is_reserved_for(space, share->group);
    if (is_silent && !fits(space, KAFKA_SPACE_SILENT, 0, partitions)) {
        kafka_known_groups_note_silent(&space->groups, share->group, partitions, now_ms);
        return KAFKA_SPACE_MUST_WAIT;
    }
    if (!is_silent &&
        !fits(space, KAFKA_SPACE_USUAL, is_reserved ? 0 : space->reserved, partitions)) {
        reserve(space, share->group, partitions);
        return KAFKA_SPACE_REFUSED;
    }
    if (is_reserved)
        kafka_space_end_reservation(space);
    kafka_known_groups_note_use(&space->groups, share->group, now_ms);
    share->partitions = share->asked = partitions;
    share->from_ms = now_ms;
    share->is_answered = false;
    add(space, share, is_silent ? KAFKA_SPACE_SILENT : KAFKA_SPACE_USUAL);
    return KAFKA_SPACE_TAKEN;
}

void kafka_space_correct(struct kafka_space *space, struct kafka_share *share, size_t partitions)
{
    size_t before = share->partitions;
    if (before == 0)
        return;
    share->partitions = partitions;
    space->sides[share->side].partitions += partitions;
    space->sides[share->side].partitions -= before;
}

void kafka_space_release(struct kafka_space *space, struct kafka_share *share)
{
    if (share->partitions == 0)
        return;
    remove_from_side(space, share);
    share->partitions = 0;
}

/* ---- silent groups ---- */

static bool is_bounded(const struct kafka_space *space)
{
    return space->max_answering != SIZE_MAX;
}

/* Others wait for space, at the server or here. */
static bool others_wait(const struct kafka_space *space)
{
    return is_bounded(space) || space->reserved_for != NULL;
}

static int64_t silent_ms(const struct kafka_space *space)
{
    return MIN(MAX(SILENT_USUALS * space->usual_ms, SILENT_MIN_MS), SILENT_MAX_MS);
}

static bool is_late(const struct kafka_space *space, const struct kafka_share *share,
                    int64_t now_ms)
{
    return share != NULL && now_ms - share->from_ms >= silent_ms(space);
}

/* A group that was answered is late as it awaits metadata: its coordinator does not hang. What is
 * reserved for a further request of a silent group is on the side that it does not come to. */
static void remember_silent(struct kafka_space *space, const struct kafka_share *share,
                            int64_t now_ms)
{
    if (share->is_answered)
        return;
    kafka_known_groups_note_silent(&space->groups, share->group, share->asked, now_ms);
    if (is_reserved_for(space, share->group))
        kafka_space_end_reservation(space);
}

/* An isolated group would come again at once, and never time out: it stays until it does. A group
 * that was answered stays, too: its commits would be lost. */
static bool may_yield(const struct kafka_share *share)
{
    return !share->isolate && !share->is_answered;
}

/* Of those that may yield. The second side is not in this order: a group that was silent before is
 * there at once, others come later. */
static struct kafka_share *longest_waiting(struct kafka_share *shares)
{
    struct kafka_share *share;
    struct kafka_share *longest = NULL;
    DL_FOREACH(shares, share)
        if (may_yield(share) && (longest == NULL || share->from_ms < longest->from_ms))
            longest = share;
    return longest;
}

/* A silent group yields before a usual one. */
static struct kafka_share *find_yielding(const struct kafka_space *space)
{
    struct kafka_share *silent = longest_waiting(space->sides[KAFKA_SPACE_SILENT].shares);
    return silent != NULL ? silent : longest_waiting(space->sides[KAFKA_SPACE_USUAL].shares);
}

/* Whether a group is late that finds no place on the second side, while others need its space. */
static bool needs_yielding(const struct kafka_space *space, int64_t now_ms)
{
    return others_wait(space) && is_late(space, space->sides[KAFKA_SPACE_USUAL].shares, now_ms);
}

struct kafka_share *kafka_space_maintain(struct kafka_space *space, int64_t now_ms)
{
    struct kafka_share *share;
    while (is_late(space, share = space->sides[KAFKA_SPACE_USUAL].shares, now_ms)) {
        remember_silent(space, share, now_ms);
        if (!fits(space, KAFKA_SPACE_SILENT, 0, share->partitions))
            break;
        remove_from_side(space, share);
        add(space, share, KAFKA_SPACE_SILENT);
    }
    struct kafka_share *longest = needs_yielding(space, now_ms) ? find_yielding(space) : NULL;
    return is_late(space, longest, now_ms) ? longest : NULL;
}

/* ---- how many tasks ---- */

static size_t silent_tasks(const struct kafka_space *space)
{
    size_t count = 0;
    const struct kafka_share *share;
    DL_FOREACH(space->sides[KAFKA_SPACE_SILENT].shares, share)
        count += *share->tasks;
    return count;
}

static bool is_roomy(const struct kafka_space *space)
{
    return space->sides[KAFKA_SPACE_USUAL].partitions <= space->limit / 2;
}

void kafka_space_narrow(struct kafka_space *space, size_t tasks, int64_t now_ms)
{
    space->max_answering = MAX(tasks - silent_tasks(space), 1);
    space->roomy_from_ms = now_ms;
}

void kafka_space_widen(struct kafka_space *space, int64_t now_ms)
{
    if (!is_roomy(space))
        space->roomy_from_ms = now_ms;
    while (is_bounded(space) && now_ms - space->roomy_from_ms >= WIDEN_MS) {
        space->max_answering =
            space->max_answering < MANY_TASKS ? space->max_answering * 2 : SIZE_MAX;
        space->roomy_from_ms += WIDEN_MS;
    }
}

bool kafka_space_must_gather(const struct kafka_space *space)
{
    return others_wait(space) &&
           !fits(space, KAFKA_SPACE_USUAL, 0, MAX(space->limit / 2, space->reserved));
}

size_t kafka_space_max_tasks(const struct kafka_space *space)
{
    return is_bounded(space) ? space->max_answering + silent_tasks(space) : SIZE_MAX;
}

int64_t kafka_space_next_ms(const struct kafka_space *space, int64_t now_ms)
{
    /* A group that is late already waits for the second side, or for a group that yields. */
    const struct kafka_share *next = needs_yielding(space, now_ms)
                                         ? find_yielding(space)
                                         : space->sides[KAFKA_SPACE_USUAL].shares;
    int64_t late_ms = next == NULL ? CLOCK_NEVER : next->from_ms + silent_ms(space);
    int64_t widen_ms =
        is_bounded(space) && is_roomy(space) ? space->roomy_from_ms + WIDEN_MS : CLOCK_NEVER;
    return MIN(late_ms > now_ms ? late_ms : CLOCK_NEVER, widen_ms);
}
