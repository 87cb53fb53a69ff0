/*
 * A page for people: what --help prints, wrapped at 80 columns, or the same for man.
 *
 * Threads: any; a page belongs to whoever declared it.
 */
#ifndef BACKLOG_CLI_PAGE_H
#define BACKLOG_CLI_PAGE_H

#include "base/text.h"

enum { PAGE_COLUMNS = 80 };

enum page_format { PAGE_TEXT, PAGE_MAN };

/* `struct page page = {.format = ...};` is an empty one; text_done() of its text ends it. */
struct page {
    struct text text;
    enum page_format format;
};

void page_heading(struct page *page, const char *title);

/* Paragraphs, with an empty line between two. */
void page_paragraphs(struct page *page, const char *words);

/* A line that is not wrapped, such as a command; `doc` stands above it, and may be NULL. */
void page_example(struct page *page, const char *doc, const char *line);

/* A term, such as a flag with its value, and what it means. */
void page_term(struct page *page, const char *term, const char *words);

/* For man: so that no character of it is taken for markup. */
void page_add_escaped(struct text *text, const char *words);

/* Adds `words` from column `column` on; further lines begin at `indent`. Ends the line. */
void page_wrap(struct text *text, const char *words, size_t column, size_t indent);

#endif
