/*
 * The loop of a rehearsal: reads what is due, decides, scales the workers and prints.
 *
 * Threads: one.
 */
#ifndef BACKLOG_LAB_REHEARSAL_RUN_H
#define BACKLOG_LAB_REHEARSAL_RUN_H

#include "lab/rehearsal.h"

#include <signal.h>

/* Until the duration is over, `stop` is set by a signal, or standard output fails: nobody reads
 * what comes after that. */
void rehearsal_run(struct rehearsal *rehearsal, const volatile sig_atomic_t *stop);

#endif
