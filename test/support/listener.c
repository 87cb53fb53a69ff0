#include "support/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_PORT = 10000, TRIES = 1000 };

/* The first port that the kernel chooses itself, for a client as for a listener; 0: not known. */
static int first_chosen_port(void)
{
    char range[64] = "";
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    if (file == NULL)
        return 0;
    if (fgets(range, sizeof(range), file) == NULL)
        range[0] = '\0';
    fclose(file);
    return (int)strtol(range, NULL, 10);
}

/* Returns -1 with errno. What a former listener has left there in TIME_WAIT does not matter. */
static int listen_at(const char *host, int port, int backlog)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1)
        abort();
    if (port != 0)
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        listen(listener, backlog) == 0)
        return listener;
    int failure = errno;
    close(listener);
    errno = failure;
    return -1;
}

/* At a port that no client is given: clients at 127.0.0.2 beside this test may have thousands of
 * those, where it listens next at the same port. */
static int listen_at_any(const char *host, int backlog)
{
    int count = first_chosen_port() - FIRST_PORT;
    for (int i = 0; count > 0 && i < TRIES; i++) {
        int port = FIRST_PORT + (int)arc4random_uniform((uint32_t)count);
        int listener = listen_at(host, port, backlog);
        if (listener >= 0)
            return listener;
    }
    return listen_at(host, 0, backlog);
}

int listener_open_at(const char *host, int port, int backlog, int *ret_port)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof(address);
    int listener = port == 0 ? listen_at_any(host, backlog) : listen_at(host, port, backlog);
    if (listener < 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        fprintf(stderr, "no listener at %s:%d: %s\n", host, port, strerror(errno));
        abort();
    }
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
