#include "rabbitmq/suspects.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { SUSPECTS_MOST = 4096 }; /* beyond it all are forgotten, and learned anew */

struct suspect {
    UT_hash_handle hh;
    char name[]; /* the key */
};

static struct suspect *find(const struct suspect *suspects, const char *queue)
{
    struct suspect *suspect = NULL;
    HASH_FIND_STR(suspects, queue, suspect);
    return suspect;
}

bool suspects_have(const struct suspect *suspects, const char *queue)
{
    return find(suspects, queue) != NULL;
}

void suspects_add(struct suspect **suspects, const char *queue)
{
    if (suspects_have(*suspects, queue))
        return;
    if (HASH_COUNT(*suspects) >= SUSPECTS_MOST)
        suspects_forget(suspects);
    size_t bytes = strlen(queue) + 1;
    struct suspect *suspect = memory_new(sizeof(*suspect) + bytes);
    memcpy(suspect->name, queue, bytes);
    HASH_ADD_STR(*suspects, name, suspect);
}

void suspects_drop(struct suspect **suspects, const char *queue)
{
    struct suspect *suspect = find(*suspects, queue);
    if (suspect == NULL)
        return;
    HASH_DEL(*suspects, suspect);
    free(suspect);
}

void suspects_forget(struct suspect **suspects)
{
    struct suspect *suspect;
    struct suspect *next;
    HASH_ITER(hh, *suspects, suspect, next)
    {
        HASH_DEL(*suspects, suspect);
        free(suspect);
    }
}
