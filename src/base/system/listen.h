/*
 * A listening TCP socket.
 *
 * Threads: any.
 */
#ifndef BACKLOG_BASE_SYSTEM_LISTEN_H
#define BACKLOG_BASE_SYSTEM_LISTEN_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Whether it can be one to listen on: "host:port" or ":port". */
bool listen_is_address(const char *address);

/* "[::]:9090" of ":9090", any other as it is; the caller frees it. */
char *listen_whole(const char *address);

/* On "host:port", such as "[::]:9090" (IPv4 too); port 0 takes a free one. A name is its first
 * address that the machine has. The socket does not block, the caller closes it; -1 with an error.
 */
int listen_open(const char *address, struct error *error);

/* The port it listens on. */
int listen_port(int fd);

/* How many of this process's sockets are clients' that came in at the port; for an occasional
 * check, which costs a microsecond a descriptor. False: unknown, as no descriptor is left to read
 * it with. */
bool listen_clients(int port, size_t *ret_count);

#endif
