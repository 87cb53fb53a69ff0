/*
 * What the kernel keeps for a socket. It counts as memory of the container, and grows to megabytes
 * for a peer that sends more than is read, or does not read what it is sent (tcp(7): tcp_rmem,
 * tcp_wmem), which no limit of ours sees.
 *
 * Threads: any.
 */
#ifndef BACKLOG_BASE_SYSTEM_SOCKET_H
#define BACKLOG_BASE_SYSTEM_SOCKET_H

enum {
    SOCKET_CLIENT_BYTES = 32 * 1024, /* of the clients of a server of ours */
    SOCKET_SOURCE_BYTES = 64 * 1024, /* of what we connect to: a megabyte a second at 60 ms */
};

/* Each direction keeps at most twice as much; sockets that a listening one accepts inherit it.
 * Before connect() or listen(), or the peer already counts on more. */
void socket_bound_buffers(int fd, int bytes);

/* What the peer may send before somebody reads it; of a connection that is bounded already. */
void socket_bound_received(int fd, int bytes);

#endif
