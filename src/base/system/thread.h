/*
 * Threads of a command beside its main thread, which alone gets the signals: they end its wait.
 *
 * Threads: any.
 */
#ifndef BACKLOG_BASE_SYSTEM_THREAD_H
#define BACKLOG_BASE_SYSTEM_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Begins a thread that blocks all signals; the caller joins it. False: the machine has none left.
 */
bool thread_begin_without_signals(pthread_t *ret_thread, void *(*run)(void *context),
                                  void *context);

#endif
