#include "base/clock.h"

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

void clock_date(char *buffer, size_t size)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t length = strftime(buffer, size, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(buffer + length, size - length, ".%03ldZ", now.tv_nsec / 1000000);
}

uint32_t clock_jitter(uint32_t below)
{
    uint32_t number = 0;
    if (below == 0 || getrandom(&number, sizeof(number), 0) != sizeof(number))
        return 0;
    return number % below;
}
