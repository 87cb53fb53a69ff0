/*
 * Who a client is: the names that its certificate proves, and whether they are among those that the
 * server admits. A certificate's names are its DNS and URI alternative names; its common name
 * counts only where it has neither, as everywhere since RFC 6125.
 *
 * Threads: any; a peer does not change once it is complete.
 */
#ifndef BACKLOG_SERVE_TRANSPORT_PEER_H
#define BACKLOG_SERVE_TRANSPORT_PEER_H

#include <stdbool.h>
#include <stddef.h>

/* More names than these are passed over; longer ones are, too, and what is no plain text. */
enum { PEER_NAMES = 32, PEER_NAME_BYTES = 255 };

struct peer {
    char *names[PEER_NAMES];
    size_t count;
};

struct peer *peer_new(void);
void peer_add(struct peer *peer, const char *name, size_t length);
void peer_free(struct peer *peer); /* NULL is none */

/* Patterns as of a connection's namespaces; none at all admit everybody. */
struct peer_rule {
    const char *const *patterns;
    size_t count;
};

/* NULL: it is admitted. Else why it is not, which the caller frees. */
char *peer_refusal(const struct peer *peer, const struct peer_rule *rule);

#endif
