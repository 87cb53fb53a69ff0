#include "serve/transport/peer.h"

#include "base/memory.h"
#include "base/text.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>

struct peer *peer_new(void)
{
    return memory_new(sizeof(struct peer));
}

/* It is shown in answers and in the log, where it must not look like something else. */
static bool is_plain(const char *name, size_t length)
{
    if (length == 0 || length > PEER_NAME_BYTES || !text_is_utf8(name, length))
        return false;
    for (size_t i = 0; i < length; i++)
        if (iscntrl((unsigned char)name[i]))
            return false;
    return true;
}

void peer_add(struct peer *peer, const char *name, size_t length)
{
    if (peer->count < PEER_NAMES && is_plain(name, length))
        peer->names[peer->count++] = text_copy_bytes(name, length);
}

void peer_free(struct peer *peer)
{
    if (peer == NULL)
        return;
    for (size_t i = 0; i < peer->count; i++)
        free(peer->names[i]);
    free(peer);
}

static bool is_among(const char *name, const struct peer_rule *rule)
{
    for (size_t i = 0; i < rule->count; i++)
        if (fnmatch(rule->patterns[i], name, 0) == 0)
            return true;
    return false;
}

char *peer_refusal(const struct peer *peer, const struct peer_rule *rule)
{
    for (size_t i = 0; i < peer->count; i++)
        if (is_among(peer->names[i], rule))
            return NULL;
    if (rule->count == 0)
        return NULL;
    if (peer->count == 0)
        return text_copy(
            "the client's certificate has no name: the server requires one of --tls-client-names");
    return text_format("the client's certificate is of \"%s\"%s, which the server does not admit",
                       peer->names[0], peer->count > 1 ? " and other names" : "");
}
