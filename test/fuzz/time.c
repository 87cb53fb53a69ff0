#include "time.h"

#include "base/clock.h"
#include "require.h"

#include <stdint.h>

enum { BEGIN_MS = 1000 * 1000 };

static int64_t now_ms = BEGIN_MS;
static void (*before_waiting)(const struct pollfd *descriptors, size_t count);

int64_t __wrap_clock_now_ms(void);
int __wrap_clock_left_ms(int64_t deadline_ms, int max_ms);
int __wrap_poll(struct pollfd *descriptors, nfds_t count, int timeout_ms);
int __real_poll(struct pollfd *descriptors, nfds_t count, int timeout_ms);

void fuzz_time_begin(void (*on_wait)(const struct pollfd *descriptors, size_t count))
{
    now_ms = BEGIN_MS;
    before_waiting = on_wait;
}

int64_t __wrap_clock_now_ms(void)
{
    return now_ms;
}

int __wrap_clock_left_ms(int64_t deadline_ms, int max_ms)
{
    int64_t left_ms = deadline_ms == CLOCK_NEVER ? max_ms : deadline_ms - now_ms;
    if (left_ms < 0)
        return 0;
    return left_ms > max_ms ? max_ms : (int)left_ms;
}

int __wrap_poll(struct pollfd *descriptors, nfds_t count, int timeout_ms)
{
    int ready = __real_poll(descriptors, count, 0);
    if (ready != 0 || timeout_ms == 0)
        return ready;
    if (before_waiting != NULL)
        before_waiting(descriptors, count);
    ready = __real_poll(descriptors, count, 0);
    require(ready != 0 || timeout_ms > 0); /* it would wait for ever */
    if (ready == 0)
        now_ms += timeout_ms;
    return ready;
}
