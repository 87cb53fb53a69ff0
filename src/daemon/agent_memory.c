#include "daemon/agent_memory.h"

#include "base/clock.h"
#include "base/log.h"
#include "measure/agent/agent_process.h"

#include <math.h>
#include <stdatomic.h>
#include <stddef.h>

/* What agents may take until the server looks again, and the kernel has for sockets and files, in
 * bytes. */
static const double reserve = 96 << 20;

/* Of what both may have, agents keep this part whatever the server itself takes. */
enum { SPARED_PART = 5 };

static _Atomic double used_part;

bool agent_memory_is_left(double part)
{
    return atomic_load(&used_part) <= part;
}

static void warn_of_server(double used, double container_bytes)
{
    enum { WARN_MS = 60 * 1000 };
    static int64_t next_ms;
    int64_t now_ms = clock_now_ms();
    if (now_ms < next_ms)
        return;
    next_ms = now_ms + WARN_MS;
    log_warning("the server itself has most of %.0f of the container's %.0f MiB: raise the limit, "
                "or lower --max-triggers and --max-streams",
                used / (1 << 20), container_bytes / (1 << 20));
}

int64_t agent_memory_bound(double container_bytes, int64_t usual_ms)
{
    enum { OFTEN_MS = 100, VERY_OFTEN_MS = 20 };
    double used = 0;
    if (!isfinite(container_bytes)) {
        atomic_store(&used_part, 0); /* a pod may be resized while it runs */
        return usual_ms;
    }
    double max = fmax(container_bytes - reserve, container_bytes / 2);
    size_t killed = agent_processes_keep_below(max, max / SPARED_PART, &used);
    atomic_store(&used_part, used / container_bytes);
    if (killed == 0 && used > max)
        warn_of_server(used, container_bytes);
    if (killed > 0)
        log_warning(
            "memory limit nearly reached: the server and its agent processes used more than "
            "%.0f of the container's %.0f MiB; restarting the %zu agent processes that "
            "used most",
            max / (1 << 20), container_bytes / (1 << 20), killed);
    bool is_near = used > max - reserve && used <= max; /* beyond it is the server's own */
    return killed > 0 || is_near ? VERY_OFTEN_MS : OFTEN_MS;
}
