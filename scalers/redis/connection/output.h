/*
 * Commands on their way to a socket, in Redis's protocol. What was written, or is freed, is wiped:
 * a password may be among it.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_CONNECTION_OUTPUT_H
#define BACKLOG_SCALERS_REDIS_CONNECTION_OUTPUT_H

#include "shared/tls_socket.h"

#include <stdbool.h>
#include <stddef.h>

/* {0} is an empty one. */
struct redis_output {
    char *bytes;
    size_t start; /* before it all is written */
    size_t end;
    size_t capacity;
};

/* The words end with NULL. */
void redis_output_add(struct redis_output *output, const char *const *words);

/* Writes what the socket takes at once, over TLS where that is not NULL. False: it is broken, for
 * `ret_reason`. */
bool redis_output_write(struct redis_output *output, int socket, struct tls_socket *tls,
                        const char **ret_reason);
bool redis_output_is_empty(const struct redis_output *output);
void redis_output_done(struct redis_output *output);

#endif
