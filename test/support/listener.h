/* Sockets of peers that play a broker. */
#ifndef BACKLOG_TEST_LISTENER_H
#define BACKLOG_TEST_LISTENER_H

#include <stdbool.h>

/* One that listens, on a free port of 127.0.0.1. Aborts where it cannot. The caller closes it. The
 * port is free at 127.0.0.2 and so on, too: the kernel gives it to nobody who asks for any port. */
int listener_open(int backlog, int *ret_port);

/* The same at this IPv4 address and port; 0: any such port. */
int listener_open_at(const char *address, int port, int backlog, int *ret_port);

/* Whether all that a TCP socket has sent, its SYN, too, has arrived. */
bool socket_is_settled(int fd);

/* Whether its SYN has not. */
bool socket_is_connecting(int fd);

#endif
