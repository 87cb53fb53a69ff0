/*
 * A listening TCP socket.
 *
 * Threads: any.
 */
#ifndef BACKLOG_BASE_LISTEN_H
#define BACKLOG_BASE_LISTEN_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Whether it can be one to listen on; the error names the flag that it is of. */
bool listen_check(const char *address, const char *flag, struct error *error);

/* On "host:port", such as "[::]:9090" (IPv4 too); port 0 takes a free one. The socket does not block, the
 * caller closes it; -1 with an error. */
int listen_open(const char *address, struct error *error);

/* The port it listens on. */
int listen_port(int fd);

/* How many of this process's sockets are clients' that came in at the port; for a look now and then, which costs
 * a microsecond a descriptor. False: unknown, as no descriptor is left to read it with. */
bool listen_clients(int port, size_t *ret_count);

#endif
