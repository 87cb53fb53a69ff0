#include "serve/h2/peer.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

struct h2_peer *h2_peer_find(struct h2_peer *peers, const char *address)
{
    struct h2_peer *peer;
    HASH_FIND_STR(peers, address, peer);
    return peer;
}

struct h2_peer *h2_peer_join(struct h2_peer **peers, const char *address)
{
    struct h2_peer *peer = h2_peer_find(*peers, address);
    if (peer == NULL) {
        peer = memory_new(sizeof(*peer));
        TAILQ_INIT(&peer->unread);
        TAILQ_INIT(&peer->readable);
        snprintf(peer->address, sizeof(peer->address), "%s", address);
        HASH_ADD_STR(*peers, address, peer);
    }
    peer->connections++;
    peer->users++;
    return peer;
}

void h2_peer_close(struct h2_peer *peer)
{
    peer->connections--;
}

void h2_peer_leave(struct h2_peer **peers, struct h2_peer *peer)
{
    if (--peer->users > 0)
        return;
    HASH_DEL(*peers, peer);
    free(peer);
}
