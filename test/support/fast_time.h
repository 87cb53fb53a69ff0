/*
 * Time for tests of what waits: it stands still while something computes, and passes at once while
 * all wait for a descriptor, once what their sockets have sent has arrived. So nothing is late
 * because the machine is busy, and nobody sleeps. Who polls again and again without waiting would
 * do so for ever: the test is aborted.
 * Who uses it is linked with --wrap of clock_now_ms, clock_left_ms and poll (CMakeLists.txt).
 *
 * Threads: one, and the peer of the program under test works on it, too.
 */
#ifndef BACKLOG_TEST_SUPPORT_FAST_TIME_H
#define BACKLOG_TEST_SUPPORT_FAST_TIME_H

#include <stdint.h>

struct fast_time_peer {
    /* Does what it can do now, and returns when it has to do more by itself (CLOCK_NEVER: it does
     * not). */
    int64_t (*work)(void *context);
    void *context;
};

/* Borrowed, until the next begin. */
void fast_time_begin(const struct fast_time_peer *peer);

/* The peer works for so long, and nobody else. */
void fast_time_pass(int64_t ms);

#endif
