/*
 * A port as of a host whose packets are lost: connecting to it takes for ever. It listens, and its
 * queue of connections is full.
 *
 * Threads: any; each port is one thread's.
 */
#ifndef BACKLOG_TEST_BLACK_HOLE_H
#define BACKLOG_TEST_BLACK_HOLE_H

enum { BLACK_HOLE_SOCKETS = 5 };

struct black_hole {
    int sockets[BLACK_HOLE_SOCKETS];
    int port;
};

/* At this IPv4 address and port; 0: any. Aborts where it cannot. */
void black_hole_open(struct black_hole *ret_hole, const char *address, int port);
void black_hole_close(struct black_hole *hole);

/* How many are open. */
int black_holes(void);

#endif
