/*
 * Helm templates: their actions, {{ ... }}, hidden, so that what remains can be read as YAML. Every
 * byte keeps its place.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_TEMPLATE_H
#define BACKLOG_MANIFEST_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

/* Is there an action in these bytes? */
bool template_has_action(const char *text, size_t length);

/* A copy of the same length, which the caller frees: a line of nothing but actions is blank, and an
 * action beside other text is a word. Braces that begin no action stay. */
char *template_hide(const char *text, size_t length);

#endif
