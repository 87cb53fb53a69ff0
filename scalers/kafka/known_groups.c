#include "kafka/known_groups.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/client/client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

enum {
    GUESS_MIN = 200, /* partitions of a group of which nothing is known, at least */
    LAST_SHARE = 8,  /* of the last answer in the average */
};

struct kafka_known_group {
    char *name;
    size_t committed; /* 0: not known */
    size_t silent;    /* partitions that it last asked for as a silent group; 0: it was answered */
    int64_t used_ms;
    UT_hash_handle hh;
};

void kafka_known_groups_init(struct kafka_known_groups *groups, size_t first_guess)
{
    *groups = (struct kafka_known_groups){.guess = first_guess};
}

void kafka_known_groups_forget_old(struct kafka_known_groups *groups, int64_t now_ms)
{
    struct kafka_known_group *known;
    struct kafka_known_group *next;
    HASH_ITER(hh, groups->all, known, next) {
        if (now_ms - known->used_ms < KAFKA_FORGET_MS)
            continue;
        HASH_DEL(groups->all, known);
        free(known->name);
        free(known);
    }
}

static struct kafka_known_group *find(const struct kafka_known_groups *groups, const char *group)
{
    struct kafka_known_group *known;
    HASH_FIND_STR(groups->all, group, known);
    return known;
}

static struct kafka_known_group *known_for(struct kafka_known_groups *groups, const char *group,
                                           int64_t now_ms)
{
    struct kafka_known_group *known = find(groups, group);
    if (known == NULL) {
        known = memory_new(sizeof(*known));
        known->name = text_copy(group);
        HASH_ADD_KEYPTR(hh, groups->all, known->name, strlen(known->name), known);
    }
    known->used_ms = now_ms;
    return known;
}

void kafka_known_groups_note_use(struct kafka_known_groups *groups, const char *group,
                                 int64_t now_ms)
{
    struct kafka_known_group *known = find(groups, group);
    if (known != NULL)
        known->used_ms = now_ms;
}

size_t kafka_known_groups_committed(const struct kafka_known_groups *groups, const char *group)
{
    const struct kafka_known_group *known = find(groups, group);
    return known == NULL || known->committed == 0 ? groups->guess : known->committed;
}

void kafka_known_groups_note_committed(struct kafka_known_groups *groups, const char *group,
                                       size_t partitions, int64_t now_ms)
{
    known_for(groups, group, now_ms)->committed = MAX(partitions, 1);
    size_t guess = groups->guess - groups->guess / LAST_SHARE + 2 * partitions / LAST_SHARE;
    groups->guess = MAX(guess, GUESS_MIN);
}

size_t kafka_known_groups_silent(const struct kafka_known_groups *groups, const char *group)
{
    const struct kafka_known_group *known = find(groups, group);
    return known == NULL ? 0 : known->silent;
}

void kafka_known_groups_note_silent(struct kafka_known_groups *groups, const char *group,
                                    size_t partitions, int64_t now_ms)
{
    known_for(groups, group, now_ms)->silent = partitions;
}

void kafka_known_groups_note_answer(struct kafka_known_groups *groups, const char *group)
{
    struct kafka_known_group *known = find(groups, group);
    if (known != NULL)
        known->silent = 0;
}
