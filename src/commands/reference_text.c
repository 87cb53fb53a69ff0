#include "commands/reference_form.h"

#include "base/memory.h"
#include "cli/page.h"

enum { INDENT = 2, DEEPER = 4 };

static void add_term(const char *term, const char *words, struct text *text)
{
    struct page page = {.format = PAGE_TEXT, .text = *text};
    page_term(&page, term, words);
    *text = page.text;
}

static void nothing(struct text *page)
{
    (void)page;
}

static void begin_triggers(const struct scaler *const *scalers, struct text *page)
{
    (void)scalers;
    (void)page;
}

static void begin_scaler(const struct scaler *scaler, struct text *page)
{
    text_addf(page, "%s: %s\n", scaler->name, scaler->summary);
}

static void end_section(struct text *page)
{
    text_add(page, "\n");
}

static void begin_list(const char *title, struct text *page)
{
    text_addf(page, "\n %s:\n", title);
}

static void begin_table(const char *title, const char *what, struct text *page)
{
    (void)what;
    begin_list(title, page);
}

static void add_row(const struct reference_row *row, struct text *page)
{
    _cleanup_(text_done) struct text words = {0};
    _cleanup_(memory_free) char *name = text_format("%s%s", row->dashes, row->option->key);
    text_addf(&words, "%s; %s%s", row->option->doc, row->allowed,
              row->option->flags & OPTION_NEVER_SHOWN ? " (secret)" : "");
    if (row->standard[0] != '\0')
        text_addf(&words, " [%s]", row->standard);
    add_term(name, words.bytes, page);
}

static void add_unsupported(const char *keys_and_reason, struct text *page)
{
    text_add(page, "  ");
    page_wrap(page, keys_and_reason, INDENT, DEEPER);
}

static void add_difference(const char *sentence, struct text *page)
{
    text_add(page, "  - ");
    page_wrap(page, sentence, DEEPER, DEEPER);
}

static void begin_limits(const char *transport, struct text *page)
{
    text_addf(page, "\n Of clients, with --transport %s:\n", transport);
}

static void add_limit(const struct reference_limit *limit, struct text *page)
{
    const char *set_by = limit->limit->set_by;
    _cleanup_(memory_free) char *words =
        text_format("%s [%s%s%s]", limit->limit->reason, limit->number,
                    set_by == NULL ? "" : "; set by ", set_by == NULL ? "" : set_by);
    add_term(limit->limit->name, words, page);
}

const struct reference_form reference_text = {
    .quote = "",
    .begin_triggers = begin_triggers,
    .begin_scaler = begin_scaler,
    .begin_server = nothing,
    .end_section = end_section,
    .begin_table = begin_table,
    .add_row = add_row,
    .begin_list = begin_list,
    .add_unsupported = add_unsupported,
    .add_difference = add_difference,
    .begin_limits = begin_limits,
    .add_limit = add_limit,
};
