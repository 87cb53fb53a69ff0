#include "support/fast_time.h"

#include "base/clock.h"
#include "support/listener.h"

#include <poll.h>
#include <stdlib.h>

/* At one moment; more than there is to be received. */
enum { MAX_POLLS = 10000 };

static int64_t now_ms = 1000000;
static size_t polls; /* since time has passed */
static const struct fast_time_peer *peer;

int64_t __wrap_clock_now_ms(void);
int __wrap_clock_left_ms(int64_t deadline_ms, int max_ms);
int __wrap_poll(struct pollfd *descriptors, nfds_t count, int timeout_ms);
int __real_poll(struct pollfd *descriptors, nfds_t count, int timeout_ms);

void fast_time_begin(const struct fast_time_peer *new_peer)
{
    peer = new_peer;
}

static bool are_settled(const struct pollfd *descriptors, nfds_t count)
{
    bool settled = true;
    for (nfds_t i = 0; i < count; i++)
        settled = socket_is_settled(descriptors[i].fd) && settled;
    return settled;
}

static int64_t work(void)
{
    return peer == NULL ? CLOCK_NEVER : peer->work(peer->context);
}

static void pass_until(int64_t until_ms)
{
    if (until_ms == CLOCK_NEVER)
        abort(); /* all would wait for ever */
    if (until_ms <= now_ms)
        return;
    now_ms = until_ms;
    polls = 0;
}

void fast_time_pass(int64_t ms)
{
    for (int64_t end_ms = now_ms + ms, next_ms = work(); now_ms < end_ms; next_ms = work())
        pass_until(clock_earlier(next_ms, end_ms));
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
    if (++polls > MAX_POLLS)
        abort(); /* without waiting, again and again */
    int64_t end_ms = timeout_ms < 0 ? CLOCK_NEVER : now_ms + timeout_ms;
    for (;;) {
        bool settled = are_settled(descriptors, count); /* before: else the peer may not have it */
        int64_t next_ms = work();
        int ready = __real_poll(descriptors, count, 0);
        if (ready != 0 || now_ms >= end_ms)
            return ready;
        if (settled)
            pass_until(clock_earlier(next_ms, end_ms));
    }
}
