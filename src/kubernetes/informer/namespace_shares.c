#include "kubernetes/informer/namespace_shares.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static struct namespace_share *find_or_add(struct namespace_shares *shares, const char *namespace)
{
    struct namespace_share *share;
    HASH_FIND_STR(shares->by_namespace, namespace, share);
    if (share != NULL)
        return share;
    share = memory_new(sizeof(*share));
    share->namespace = text_copy(namespace);
    share->replies.max = NAMESPACE_SHARES_MAX_REPLIES / 2;
    HASH_ADD_KEYPTR(hh, shares->by_namespace, share->namespace, strlen(share->namespace), share);
    return share;
}

void namespace_shares_enter(struct namespace_shares *shares, struct share_turn *turn,
                            const char *namespace)
{
    struct namespace_share *share = find_or_add(shares, namespace == NULL ? "" : namespace);
    share->objects++;
    if (share->unread == NULL) {
        share->is_known = share->bytes > 0;
        DL_APPEND(shares->unread[share->is_known], share);
    }
    *turn = (struct share_turn){.share = share, .is_unread = true};
    DL_APPEND(share->unread, turn);
}

void namespace_shares_leave(struct namespace_shares *shares, struct share_turn *turn)
{
    struct namespace_share *share = turn->share;
    namespace_shares_end_unread(shares, turn);
    namespace_shares_keep(shares, turn, 0);
    shares->watches -= turn->is_watched;
    share->watches -= turn->is_watched;
    if (--share->objects > 0)
        return;
    HASH_DELETE(hh, shares->by_namespace, share);
    free(share->namespace);
    free(share);
}

/* At most three are passed over, as all have the same limit. */
static struct namespace_share *next_of(struct namespace_share **shares)
{
    struct namespace_share *share;
    DL_FOREACH(*shares, share)
        if (share->requests < NAMESPACE_SHARE_MAX_REQUESTS) {
            DL_DELETE(*shares, share);
            DL_APPEND(*shares, share);
            return share;
        }
    return NULL;
}

struct share_turn *namespace_shares_next_unread(struct namespace_shares *shares)
{
    for (int tries = 0; tries < 2; tries++) {
        const struct namespace_share *share = next_of(&shares->unread[shares->is_turn_of_known]);
        shares->is_turn_of_known = !shares->is_turn_of_known;
        if (share != NULL)
            return share->unread;
    }
    return NULL;
}

void namespace_shares_end_unread(struct namespace_shares *shares, struct share_turn *turn)
{
    struct namespace_share *share = turn->share;
    if (!turn->is_unread)
        return;
    turn->is_unread = false;
    DL_DELETE(share->unread, turn);
    if (share->unread == NULL)
        DL_DELETE(shares->unread[share->is_known], share);
}

bool namespace_shares_have_room(const struct namespace_shares *shares,
                                const struct share_turn *turn, size_t bytes)
{
    size_t all = shares->bytes - turn->bytes + bytes;
    size_t own = turn->share->bytes - turn->bytes + bytes;
    return bytes <= turn->bytes ||
           (all <= NAMESPACE_SHARES_MAX_BYTES && own <= NAMESPACE_SHARES_MAX_BYTES - all);
}

void namespace_shares_keep(struct namespace_shares *shares, struct share_turn *turn, size_t bytes)
{
    shares->bytes += bytes - turn->bytes;
    turn->share->bytes += bytes - turn->bytes;
    turn->bytes = bytes;
}

bool namespace_shares_watch(struct namespace_shares *shares, struct share_turn *turn)
{
    if (turn->share->watches >= NAMESPACE_SHARES_MAX_WATCHES - shares->watches)
        return false;
    turn->is_watched = true;
    turn->share->watches++;
    shares->watches++;
    return true;
}
