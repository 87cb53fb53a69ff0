/*
 * The reference as JSON, for programs: every key of every scaler of this build and every flag of `backlog serve`, from
 * the same tables as the page for people. The chart's schema is made of it (tools/chart.py).
 */
#ifndef BACKLOG_CLI_REFERENCE_JSON_H
#define BACKLOG_CLI_REFERENCE_JSON_H

/* The whole document, with a newline at its end; the caller frees it. */
char *reference_json(void);

#endif
