#include "base/system/socket.h"

#include <sys/socket.h>

void socket_bound_buffers(int fd, int bytes)
{
    socket_bound_received(fd, bytes);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

void socket_bound_received(int fd, int bytes)
{
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}
