#include "daemon/watchdog.h"

#include "base/log.h"

#include <stdlib.h>
#include <unistd.h>

void watchdog_check(struct watchdog *watchdog, int64_t timeout_ms)
{
    enum { MAX_LOOKS = 10 }; /* of a second each, and what is between them */
    bool responds = loop_calls_respond(watchdog->loop_calls, timeout_ms);
    watchdog->looks = responds ? 0 : watchdog->looks + 1;
    if (watchdog->looks < MAX_LOOKS)
        return;
    log_error("the event loop has not responded for at least %d s: ending, so that callers go "
              "elsewhere",
              MAX_LOOKS);
    _exit(EXIT_FAILURE);
}
