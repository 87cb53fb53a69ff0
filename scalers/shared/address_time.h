/*
 * The time for one of several addresses: each that is left has an equal share of the time left, so
 * that one that is silent does not hide those behind it.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALERS_SHARED_ADDRESS_TIME_H
#define BACKLOG_SCALERS_SHARED_ADDRESS_TIME_H

#include <stdint.h>

/* Until when to wait for the next of `remaining` addresses, at least one; the last has the whole
 * time. */
static inline int64_t address_deadline(int64_t now_ms, int64_t deadline_ms, int remaining)
{
    return deadline_ms <= now_ms ? deadline_ms : now_ms + (deadline_ms - now_ms) / remaining;
}

#endif
