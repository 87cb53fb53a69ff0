#include "support/black_hole.h"

#include "support/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static atomic_int open_holes;

int black_holes(void)
{
    return open_holes;
}

/* The first connection fills the queue, and the next ones wait for it. */
static void fill(int filler, const struct sockaddr *address, socklen_t size)
{
    if (filler < 0 || (connect(filler, address, size) != 0 && errno != EINPROGRESS))
        abort();
}

void black_hole_open(struct black_hole *ret_hole, const char *address, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    open_holes++;
    ret_hole->sockets[0] = listener_open_at(address, port, 0, &ret_hole->port);
    inet_pton(AF_INET, address, &to.sin_addr);
    to.sin_port = htons((uint16_t)ret_hole->port);
    for (int i = 1; i < BLACK_HOLE_SOCKETS; i++) {
        ret_hole->sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        fill(ret_hole->sockets[i], (struct sockaddr *)&to, sizeof(to));
    }
}

void black_hole_close(struct black_hole *hole)
{
    open_holes--;
    for (int i = 0; i < BLACK_HOLE_SOCKETS; i++)
        close(hole->sockets[i]);
}
