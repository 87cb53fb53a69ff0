/*
 * Time for fuzzers: it stands still while there is something to do, and while all wait for a
 * descriptor it passes at once. Who uses it is linked with --wrap of clock_now_ms, clock_left_ms
 * and poll (CMakeLists.txt).
 *
 * Threads: one.
 */
#ifndef BACKLOG_TEST_FUZZ_TIME_H
#define BACKLOG_TEST_FUZZ_TIME_H

#include <poll.h>
#include <stddef.h>

/* `on_wait` is called before time passes, and may make descriptors ready; NULL: nobody does. */
void fuzz_time_begin(void (*on_wait)(const struct pollfd *descriptors, size_t count));

#endif
