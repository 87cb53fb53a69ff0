/*
 * CPU turns of threads that compute and wait alternately: one computes at a time, and the others
 * wait, one tenant after the other.
 *
 * Whoever waits for a lock, malloc's or a connection's, waits for its holder to get a CPU, behind
 * all threads that could run. With 64 connections of one namespace whose source sends large replies
 * that took the event loop 100 ms and more; what is computed between two waits takes far less.
 *
 * Threads: any; a turn is the calling thread's.
 */
#ifndef BACKLOG_BASE_CPU_TURN_H
#define BACKLOG_BASE_CPU_TURN_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

/* Waits for one. It ends after 10 ms at the latest, whatever the thread does: one that waits for
 * something (libcurl, for the resolver) or takes long must not hold up the others. */
void cpu_turn_begin(uint64_t tenant);
void cpu_turn_end(void);

/* Around whatever the thread waits for; without effect where it has begun none. */
void cpu_turn_pause(void);
void cpu_turn_resume(void);

/* poll(2), with the turn paused. */
int cpu_turn_poll(struct pollfd *descriptors, size_t count, int timeout_ms);

#endif
