/*
 * The text format of Prometheus: the number of one series.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_BASE_SAMPLES_H
#define BACKLOG_BASE_SAMPLES_H

#include <stdbool.h>

/* The name of a metric, alone or with labels: jobs_waiting{queue="mail"}. */
bool samples_is_selector(const char *text);

enum samples_outcome {
    SAMPLES_FOUND,
    SAMPLES_NO_METRIC, /* none has this name */
    SAMPLES_NO_SERIES, /* none of the metric has these labels */
    SAMPLES_INVALID,   /* the labels or the number of a series cannot be read */
};

/* The first series that has the labels of the selector, and any others: NaN and infinity are
 * numbers here. */
enum samples_outcome samples_find(const char *text, const char *selector, double *ret_number);

#endif
