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

/* One action: from its braces to behind them. */
struct template_action {
    const char *start, *end;
    enum {
        TEMPLATE_OUTPUT, /* it may write something: keys, too */
        TEMPLATE_BEGIN,  /* if, with, range, define or block: its end is an action of its own */
        TEMPLATE_END,
        TEMPLATE_OTHER, /* it writes nothing: else, or a comment */
    } kind;
};

/* The first one that begins in these bytes; false: there is none. */
bool template_next(const char *text, size_t length, struct template_action *ret_action);

/* A copy of the same length, which the caller frees: a line of nothing but actions is blank, and an
 * action beside other text is a word. Braces that begin no action stay. */
char *template_hide(const char *text, size_t length);

#endif
