/*
 * Time for tests of what waits: it stands still while something computes, and passes at once while
 * all wait for a descriptor, once what their sockets have sent has arrived and all other threads
 * wait, too. So nothing is late because the machine is busy, and nobody sleeps. Who polls again and
 * again without waiting would do so for ever: the test is aborted.
 *
 * A test that has support/fast_time.c among its SOURCES has this time. It is in the place of the C
 * library's clock_gettime() and poll(), so that libraries have it, too. The date goes on as always.
 *
 * Threads: the peers of the program under test work on the main thread, while this polls. Others
 * have the same time, and do not make it pass: who wakes one lets it do its work first. One that
 * sleeps counts as waiting.
 */
#ifndef BACKLOG_TEST_SUPPORT_FAST_TIME_H
#define BACKLOG_TEST_SUPPORT_FAST_TIME_H

#include <stdint.h>

struct fast_time_peer {
    /* Does what it can do now, and returns when it has to do more by itself (CLOCK_NEVER: it does
     * not). */
    int64_t (*work)(void *context);
    void *context;
    struct fast_time_peer *prev, *next; /* utlist */
};

/* Borrowed until it is removed. */
void fast_time_add(struct fast_time_peer *peer);
void fast_time_remove(struct fast_time_peer *peer);

/* The peers work for so long, and nobody else. */
void fast_time_pass(int64_t ms);

/* CPU time of this thread, but for that of the peers. Only for the thread whose waiting lets time
 * pass. */
int64_t fast_time_cpu_ms(void);

#endif
