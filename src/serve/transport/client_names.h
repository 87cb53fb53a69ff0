/*
 * Who a client is: the names that its certificate proves, and whether they are among those that the
 * server admits. A certificate's names are its DNS and URI alternative names; its common name
 * counts only where it has neither, as everywhere since RFC 6125.
 *
 * Threads: any; it does not change once it is complete.
 */
#ifndef BACKLOG_SERVE_TRANSPORT_CLIENT_NAMES_H
#define BACKLOG_SERVE_TRANSPORT_CLIENT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* More names than these are passed over; longer ones are, too, and what is no plain text. */
enum { CLIENT_NAMES_MAX = 32, CLIENT_NAME_BYTES = 255 };

struct client_names {
    char *names[CLIENT_NAMES_MAX];
    size_t count;
    size_t given; /* with those that were passed over */
};

struct client_names *client_names_new(void);
void client_names_add(struct client_names *names, const char *name, size_t length);
void client_names_free(struct client_names *names); /* NULL is none */

/* Patterns as of a connection's namespaces; none at all admit everybody. */
struct client_rule {
    const char *const *patterns;
    size_t count;
};

/* NULL: it is admitted. Else why it is not, which the caller frees. */
char *client_names_refusal(const struct client_names *names, const struct client_rule *rule);

#endif
