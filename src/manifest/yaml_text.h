/*
 * Texts as YAML takes them. Also within brackets, and in JSON where they are in quotes.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_YAML_TEXT_H
#define BACKLOG_MANIFEST_YAML_TEXT_H

#include "base/text.h"

#include <stdbool.h>

/* Needs it no quotes? A number, a date and a boolean need them. */
bool yaml_is_plain(const char *value);

/* In quotes where it needs them. */
void yaml_add_text(struct text *text, const char *value);

void yaml_add_quoted(struct text *text, const char *value);

#endif
