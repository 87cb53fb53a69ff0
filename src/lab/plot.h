/*
 * Plots: curves over time as an SVG file, one panel below the other.
 *
 * Threads: any; pure, but for the file.
 */
#ifndef BACKLOG_LAB_PLOT_H
#define BACKLOG_LAB_PLOT_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

enum { PLOT_MAX_SERIES = 64 };

/* `values` of the plot, NAN where it is unknown; the arrays are borrowed. */
struct plot_series {
    const char *name;
    const double *values;
};

struct plot_panel {
    const char *title;
    struct plot_series series[PLOT_MAX_SERIES];
    size_t series_count;
};

struct plot {
    const char *title;
    size_t values;        /* of each series; of none there are no curves */
    double value_seconds; /* from one to the next */
    const struct plot_panel *panels;
    size_t panel_count;
};

/* How many values are one point of a curve, which is the largest of them: more points would not be
 * seen. So few of larger buckets are drawn as they are. */
size_t plot_bucket(size_t values);

/* Into a text; for tests, too. */
void plot_draw(const struct plot *plot, struct text *svg);
bool plot_write(const struct plot *plot, const char *path, struct error *error);

#endif
