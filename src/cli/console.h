/*
 * What commands print: colours where a person sees them, JSON lines for programs.
 *
 * Threads: one at a time per file.
 */
#ifndef BACKLOG_CLI_CONSOLE_H
#define BACKLOG_CLI_CONSOLE_H

#include <jansson.h>
#include <stdio.h>

enum console_color {
    CONSOLE_RED,
    CONSOLE_GREEN,
    CONSOLE_YELLOW,
    CONSOLE_BLUE,
    CONSOLE_BOLD,
    CONSOLE_DIM
};

/* The escape sequence that begins the colour, and the one that ends it. "" where the file is no
 * terminal, TERM is dumb, or NO_COLOR (https://no-color.org) is set. */
const char *console_begin(FILE *file, enum console_color color);
const char *console_end(FILE *file);

/* What comes from outside must not move the cursor, nor change the order in which text is shown:
 * each byte of what text_control() finds becomes "?". */
void console_clean(char *text);

/* A clean copy of a text from outside, in UTF-8, that the caller frees; NULL is "". */
char *console_text(const char *text);

/* Prints such a copy. */
void console_print(FILE *file, const char *text);

/* A string for JSON, which must be UTF-8; names of files need not be. */
json_t *console_json_text(const char *text);
json_t *console_json_number(double value); /* null: it is not known */

/* With flags of Jansson, such as JSON_INDENT(2), and a line's end. All of it is ASCII: JSON leaves
 * control characters of C1 as they are, and a terminal would obey them. */
void console_write_json(const json_t *json, size_t flags);

/* One line, and frees the object. */
void console_print_json(json_t *object);

#endif
