#include "daemon/reload_stats.h"

#include "base/memory.h"
#include "base/metric.h"

#include <stdlib.h>
#include <time.h>

void reload_stats_good(struct reload_stats *stats)
{
    atomic_store(&stats->good_at_s, time(NULL));
    atomic_store(&stats->is_refused, false);
}

void reload_stats_failed(struct reload_stats *stats)
{
    atomic_fetch_add(&stats->failures, 1);
    atomic_store(&stats->is_refused, true);
}

static double is_good(const struct reload_stats *stats)
{
    return !atomic_load(&stats->is_refused);
}

static double good_at_s(const struct reload_stats *stats)
{
    return (double)atomic_load(&stats->good_at_s);
}

static double failures(const struct reload_stats *stats)
{
    return (double)atomic_load(&stats->failures);
}

static const struct {
    const char *name;
    enum metric_type type;
    const char *help;
    double (*value)(const struct reload_stats *stats);
} families[] = {
    {"backlog_last_reload_successful", METRIC_GAUGE,
     "1: the last reload succeeded; 0: it failed, and the former content stays in use.", is_good},
    {"backlog_last_reload_success_timestamp_seconds", METRIC_GAUGE,
     "When the files were last loaded successfully, at the start or later.", good_at_s},
    {"backlog_reload_failures_total", METRIC_COUNTER,
     "Reloads that failed; they are retried until one succeeds.", failures},
};

void reload_stats_write(const struct reload_row *rows, size_t count, struct text *page)
{
    for (size_t i = 0; i < ARRAY_LENGTH(families); i++) {
        metric_family(page, families[i].name, families[i].type, families[i].help);
        for (size_t k = 0; k < count; k++) {
            if (rows[k].stats == NULL)
                continue;
            _cleanup_(memory_free) char *labels = text_format("file=\"%s\"", rows[k].file);
            metric_sample(page, families[i].name, labels, families[i].value(rows[k].stats));
        }
    }
}
