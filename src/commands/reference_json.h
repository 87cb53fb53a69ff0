/*
 * The reference as JSON, for programs: every key of every scaler of this build and every flag of
 * `backlog serve`, from the same tables as the page for people. The chart's schema is made of it
 * (tools/chart).
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_COMMANDS_REFERENCE_JSON_H
#define BACKLOG_COMMANDS_REFERENCE_JSON_H

#include "measure/scaler.h"

/* The document, with a newline at its end; the caller frees it. NULL: of all scalers, with the
 * server's flags. */
char *reference_json(const struct scaler *only);

#endif
