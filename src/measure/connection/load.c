#include "measure/connection/load.h"

#include <sys/param.h>

enum { PERIOD_MS = 10 * 1000 };

void load_init(struct load *load, int64_t now_ms)
{
    *load =
        (struct load){.delays_began_ms = now_ms, .usage_began_ms = now_ms, .usage_at_ms = now_ms};
}

/* Periods are multiples of PERIOD_MS: when one ends does not depend on when it is read. */
static void end_delays(struct load *load, int64_t now_ms)
{
    int64_t periods = (now_ms - load->delays_began_ms) / PERIOD_MS;
    if (periods <= 0)
        return;
    load->last_delay_ms = periods == 1 ? load->delay_ms : 0;
    load->delay_ms = 0;
    load->delays_began_ms += periods * PERIOD_MS;
}

void load_add_delay(struct load *load, int64_t delay_ms, int64_t now_ms)
{
    end_delays(load, now_ms);
    load->delay_ms = MAX(load->delay_ms, delay_ms);
}

int64_t load_recent_delay_ms(const struct load *load, int64_t now_ms)
{
    struct load present = *load;
    end_delays(&present, now_ms);
    return MAX(present.delay_ms, present.last_delay_ms);
}

void load_add_usage(struct load *load, size_t in_use, size_t places, int64_t now_ms)
{
    if (now_ms == load->usage_at_ms)
        return;
    double used = places == SIZE_MAX ? in_use > 0 : (double)in_use / (double)places;
    load->usage += MIN(used, 1) * (double)(now_ms - load->usage_at_ms);
    load->usage_at_ms = now_ms;
    int64_t elapsed_ms = now_ms - load->usage_began_ms;
    if (elapsed_ms < PERIOD_MS)
        return;
    load->last_utilization = load->usage / (double)elapsed_ms;
    load->usage = 0;
    load->usage_began_ms = now_ms;
}

double load_utilization(const struct load *load, int64_t now_ms)
{
    double elapsed_ms = (double)(now_ms - load->usage_began_ms);
    return (load->last_utilization * PERIOD_MS + load->usage) / (PERIOD_MS + elapsed_ms);
}
