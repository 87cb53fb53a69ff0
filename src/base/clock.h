/*
 * Time. All ages and deadlines are milliseconds of one clock that neither jumps when somebody sets
 * the date nor stops while the machine sleeps (CLOCK_BOOTTIME). It is the same in every process of
 * the machine, so a deadline can be handed to a child.
 *
 * Threads: any.
 */
#ifndef BACKLOG_BASE_CLOCK_H
#define BACKLOG_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_NEVER INT64_MAX

int64_t clock_now_ms(void);
int64_t clock_now_us(void); /* the same in microseconds, for durations */

/* Milliseconds from now to `deadline_ms`, at least 0, at most `max_ms`: for APIs that take a
 * time-out. */
int clock_left_ms(int64_t deadline_ms, int max_ms);

/* Of two times, of which CLOCK_NEVER may be one. */
static inline int64_t clock_earlier(int64_t one_ms, int64_t other_ms)
{
    return one_ms < other_ms ? one_ms : other_ms;
}

struct timespec;

/* So long after now, by CLOCK_MONOTONIC: for pthread_cond_clockwait(), and for a condition whose
 * clock that is. */
struct timespec clock_monotonic_after(int64_t wait_ms);

/* The date as RFC 3339 with milliseconds, in UTC; for logs. `size` is at least 25. */
void clock_date(char *buffer, size_t size);

/* The same of a time in milliseconds since 1970. */
void clock_format_date(int64_t unix_ms, char *buffer, size_t size);

/* What is to be added to a time of clock_now_ms() to get milliseconds since 1970, as the date is
 * set now. */
double clock_unix_offset_ms(void);

/* Seconds since 1970 at a moment of clock_now_ms(). */
double clock_unix_s(int64_t at_ms);

/* The time of day of a moment of clock_now_ms(), in UTC, as 18:15:31Z, with the date where that is
 * another day. `size` is at least 24. */
void clock_time_of_day(int64_t at_ms, char *buffer, size_t size);

/* A random number from 0 to below - 1, for jitter and not for secrets. Any thread. */
uint32_t clock_jitter(uint32_t below);

#endif
