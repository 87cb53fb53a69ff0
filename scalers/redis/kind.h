/*
 * What kind a key is. It is remembered, so that asking for a length takes one command; whoever finds that
 * it is another one by now says so.
 *
 * Threads: that of the client. Owner: the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_KIND_H
#define BACKLOG_SCALERS_REDIS_KIND_H

#include "redis/client.h"

struct kind {
    const char *type;   /* what TYPE says of such a key */
    const char *length; /* the command for its length */
};

/* NULL: of this type none has a length. */
const struct kind *kind_of(const char *type);

/* As remembered; a key that is not known is taken for a list. */
const struct kind *kind_recall(const struct redis_client *client, const char *key);
void kind_remember(struct redis_client *client, const char *key, const struct kind *kind);
void kinds_forget(struct redis_client *client);

#endif
