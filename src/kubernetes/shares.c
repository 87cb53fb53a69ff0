#include "kubernetes/shares.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static struct share *find_or_add(struct shares *shares, const char *namespace)
{
    struct share *share;
    HASH_FIND_STR(shares->by_namespace, namespace, share);
    if (share != NULL)
        return share;
    share = memory_new(sizeof(*share));
    share->namespace = text_copy(namespace);
    share->replies.max = SHARES_MAX_REPLIES / 2;
    HASH_ADD_KEYPTR(hh, shares->by_namespace, share->namespace, strlen(share->namespace), share);
    return share;
}

void shares_enter(struct shares *shares, struct turn *turn, const char *namespace)
{
    struct share *share = find_or_add(shares, namespace == NULL ? "" : namespace);
    share->objects++;
    if (share->unread == NULL) {
        share->is_known = share->bytes > 0;
        DL_APPEND(shares->unread[share->is_known], share);
    }
    *turn = (struct turn){.share = share, .is_unread = true};
    DL_APPEND(share->unread, turn);
}

void shares_leave(struct shares *shares, struct turn *turn)
{
    struct share *share = turn->share;
    shares_end_unread(shares, turn);
    shares_keep(shares, turn, 0);
    shares->watches -= turn->is_watched;
    share->watches -= turn->is_watched;
    if (--share->objects > 0)
        return;
    HASH_DELETE(hh, shares->by_namespace, share);
    free(share->namespace);
    free(share);
}

/* At most three are passed over, as all have the same limit. */
static struct share *next_of(struct share **shares)
{
    struct share *share;
    DL_FOREACH(*shares, share)
        if (share->requests < SHARE_MAX_REQUESTS) {
            DL_DELETE(*shares, share);
            DL_APPEND(*shares, share);
            return share;
        }
    return NULL;
}

struct turn *shares_next_unread(struct shares *shares)
{
    for (int tries = 0; tries < 2; tries++) {
        const struct share *share = next_of(&shares->unread[shares->is_turn_of_known]);
        shares->is_turn_of_known = !shares->is_turn_of_known;
        if (share != NULL)
            return share->unread;
    }
    return NULL;
}

void shares_end_unread(struct shares *shares, struct turn *turn)
{
    struct share *share = turn->share;
    if (!turn->is_unread)
        return;
    turn->is_unread = false;
    DL_DELETE(share->unread, turn);
    if (share->unread == NULL)
        DL_DELETE(shares->unread[share->is_known], share);
}

bool shares_have_room(const struct shares *shares, const struct turn *turn, size_t bytes)
{
    size_t all = shares->bytes - turn->bytes + bytes;
    size_t own = turn->share->bytes - turn->bytes + bytes;
    return bytes <= turn->bytes || (all <= SHARES_MAX_BYTES && own <= SHARES_MAX_BYTES - all);
}

void shares_keep(struct shares *shares, struct turn *turn, size_t bytes)
{
    shares->bytes += bytes - turn->bytes;
    turn->share->bytes += bytes - turn->bytes;
    turn->bytes = bytes;
}

bool shares_watch(struct shares *shares, struct turn *turn)
{
    if (turn->share->watches >= SHARES_MAX_WATCHES - shares->watches)
        return false;
    turn->is_watched = true;
    turn->share->watches++;
    shares->watches++;
    return true;
}
