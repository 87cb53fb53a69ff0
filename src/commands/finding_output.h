/*
 * Findings: as a compiler prints them, or as JSON lines.
 *
 * Threads: one at a time per file.
 */
#ifndef BACKLOG_COMMANDS_FINDING_OUTPUT_H
#define BACKLOG_COMMANDS_FINDING_OUTPUT_H

#include "manifest/finding.h"

#include <stdbool.h>
#include <stdio.h>

/* `hides_notes`: errors and warnings only. */
void findings_print(const struct findings *findings, FILE *file, bool is_json, bool hides_notes);

#endif
