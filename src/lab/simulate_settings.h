/*
 * What `backlog simulate` compares: settings from ScaledObjects (--file) and from KEY=VALUE pieces
 * (--set).
 *
 * Threads: any; nothing changes after reading.
 */
#ifndef BACKLOG_LAB_SIMULATE_SETTINGS_H
#define BACKLOG_LAB_SIMULATE_SETTINGS_H

#include "base/error.h"
#include "cli/page.h"
#include "config/option_table.h"
#include "model/simulation.h"

#include <stdbool.h>
#include <stddef.h>

struct simulate_setting {
    char *name;
    struct simulation_settings settings;
};

struct simulate_settings {
    struct simulate_setting *items;
    size_t count;
};

/*
 * Every object of `files` (none: KEDA's defaults alone) with every piece of `set` (NULL: as it is),
 * such as "threshold=600; threshold=100, cooldownPeriod=60"; one setting at least. `common` has
 * what all of them share. The caller ends them with simulate_settings_done().
 */
bool simulate_settings_read(const struct option_list *files, const char *set,
                            const struct simulation_settings *common,
                            struct simulate_settings *ret_settings, struct error *error);
void simulate_settings_done(struct simulate_settings *settings);

/* The keys of --set, for --help. */
void simulate_settings_write_keys(struct page *page);

#endif
