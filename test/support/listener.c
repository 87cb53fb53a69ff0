#include "support/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

int listener_open_at(const char *host, int port, int backlog, int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
        bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, backlog) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        abort();
    *ret_port = ntohs(address.sin_port);
    return listener;
}

int listener_open(int backlog, int *ret_port)
{
    return listener_open_at("127.0.0.1", 0, backlog, ret_port);
}

/* False: it is no TCP socket. */
static bool get_info(int fd, struct tcp_info *ret_info)
{
    socklen_t size = sizeof(*ret_info);
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret_info, &size) == 0;
}

bool socket_is_connecting(int fd)
{
    struct tcp_info info;
    return get_info(fd, &info) && info.tcpi_state == TCP_SYN_SENT;
}

bool socket_is_settled(int fd)
{
    struct tcp_info info;
    if (!get_info(fd, &info))
        return true; /* the kernel delivers at once */
    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &(int){1}, sizeof(int));
    bool listens = info.tcpi_state == TCP_LISTEN; /* the field then counts who waits to be let in */
    return listens || info.tcpi_unacked == 0;
}
