/*
 * A quantity of Kubernetes: 250m, 12Mi, 1e3 (resource.ParseQuantity of its Go library).
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_BASE_QUANTITY_H
#define BACKLOG_BASE_QUANTITY_H

#include <stdbool.h>

/* False where the text is none, has no digit, or is too large for a double. Kubernetes itself takes
 * "k" and "-" for 0. */
bool quantity_parse(const char *text, double *ret_number);

#endif
