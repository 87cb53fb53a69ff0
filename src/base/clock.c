#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

int64_t clock_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_now_ms(void)
{
    return clock_now_us() / 1000;
}

int clock_left_ms(int64_t deadline_ms, int max_ms)
{
    int64_t left = deadline_ms == CLOCK_NEVER ? max_ms : deadline_ms - clock_now_ms();
    if (left < 0)
        return 0;
    return left > max_ms ? max_ms : (int)left;
}

struct timespec clock_monotonic_after(int64_t wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t nanoseconds = until.tv_nsec + wait_ms % 1000 * 1000000;
    until.tv_sec += wait_ms / 1000 + nanoseconds / 1000000000;
    until.tv_nsec = nanoseconds % 1000000000;
    return until;
}

static int64_t unix_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void clock_format_date(int64_t unix_ms, char *buffer, size_t size)
{
    struct tm utc;
    time_t seconds = unix_ms / 1000;
    gmtime_r(&seconds, &utc);
    size_t length = strftime(buffer, size, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(buffer + length, size - length, ".%03dZ", (int)(unix_ms % 1000));
}

void clock_date(char *buffer, size_t size)
{
    clock_format_date(unix_now_ms(), buffer, size);
}

double clock_unix_offset_ms(void)
{
    return (double)(unix_now_ms() - clock_now_ms());
}

double clock_unix_s(int64_t at_ms)
{
    return ((double)at_ms + clock_unix_offset_ms()) / 1000;
}

void clock_time_of_day(int64_t at_ms, char *buffer, size_t size)
{
    struct timespec now;
    struct tm today;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t since_ms = clock_now_ms() - at_ms;
    int64_t date_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - since_ms;
    time_t seconds = (time_t)(date_ms / 1000);
    gmtime_r(&now.tv_sec, &today);
    gmtime_r(&seconds, &utc);
    bool is_today = utc.tm_yday == today.tm_yday && utc.tm_year == today.tm_year;
    if (strftime(buffer, size, is_today ? "%H:%M:%SZ" : "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        buffer[0] = '\0';
}

uint32_t clock_jitter(uint32_t below)
{
    uint32_t number = 0;
    if (below == 0 || getrandom(&number, sizeof(number), 0) != sizeof(number))
        return 0;
    return number % below;
}
