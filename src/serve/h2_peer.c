#include "serve/h2.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

struct h2_peer *h2_peer_find(const struct h2_server *server, const char *address)
{
    struct h2_peer *peer;
    HASH_FIND_STR(server->peers, address, peer);
    return peer;
}

struct h2_peer *h2_peer_join(struct h2_server *server, const char *address)
{
    struct h2_peer *peer = h2_peer_find(server, address);
    if (peer == NULL) {
        peer = memory_new(sizeof(*peer));
        snprintf(peer->address, sizeof(peer->address), "%s", address);
        HASH_ADD_STR(server->peers, address, peer);
    }
    peer->connections++;
    return peer;
}

void h2_peer_leave(struct h2_server *server, struct h2_peer *peer)
{
    if (--peer->connections > 0)
        return;
    HASH_DEL(server->peers, peer);
    free(peer);
}
