#include "cli/page.h"

#include "base/memory.h"

#include <string.h>

enum { TERM_INDENT = 2, WORDS_INDENT = 28 };

static void add_spaces(struct text *text, size_t count)
{
    text_addf(text, "%*s", (int)count, "");
}

void page_wrap(struct text *text, const char *words, size_t column, size_t indent)
{
    bool begins = true;
    for (words += strspn(words, " \n"); *words != '\0'; words += strspn(words, " \n")) {
        size_t length = strcspn(words, " \n");
        if (!begins && column + 1 + length > PAGE_COLUMNS) {
            text_add(text, "\n");
            add_spaces(text, indent);
            column = indent;
        } else if (!begins) {
            text_add(text, " ");
            column++;
        }
        text_add_bytes(text, words, length);
        column += length;
        words += length;
        begins = false;
    }
    text_add(text, "\n");
}

void page_add_escaped(struct text *text, const char *words)
{
    if (*words == '.' || *words == '\'')
        text_add(text, "\\&");
    for (; *words != '\0'; words++)
        switch (*words) {
        case '\\':
            text_add(text, "\\e");
            break;
        case '-':
            text_add(text, "\\-");
            break;
        case '^':
            text_add(text, "\\(ha");
            break;
        case '~':
            text_add(text, "\\(ti");
            break;
        case '`':
            text_add(text, "\\(ga");
            break;
        case '\'':
            text_add(text, "\\(aq");
            break;
        case '"':
            text_add(text, "\\(dq");
            break;
        default:
            text_add_bytes(text, words, 1);
        }
}

/* Behind the title of a section man wants no .PP. */
static void begin_paragraph(struct text *text)
{
    const char *last = text->bytes + text->length;
    while (last > text->bytes && (last == text->bytes + text->length || last[-1] != '\n'))
        last--;
    if (!text_starts_with(last, ".SS ") && !text_starts_with(last, ".SH "))
        text_add(text, ".PP\n");
}

void page_heading(struct page *page, const char *title)
{
    if (page->format == PAGE_TEXT) {
        text_addf(&page->text, "\n%s:\n\n", title);
        return;
    }
    text_add(&page->text, ".PP\n\\fB");
    page_add_escaped(&page->text, title);
    text_add(&page->text, "\\fR\n");
}

void page_paragraphs(struct page *page, const char *words)
{
    for (const char *end = words; *end != '\0';) {
        end = strstr(words, "\n\n");
        if (end == NULL)
            end = words + strlen(words);
        _cleanup_(memory_free) char *paragraph = text_copy_bytes(words, (size_t)(end - words));
        if (page->format == PAGE_TEXT) {
            text_add(&page->text, "\n");
            page_wrap(&page->text, paragraph, 0, 0);
        } else {
            begin_paragraph(&page->text);
            page_add_escaped(&page->text, paragraph);
            text_add(&page->text, "\n");
        }
        words = end + strspn(end, "\n");
    }
}

void page_example(struct page *page, const char *doc, const char *line)
{
    if (page->format == PAGE_TEXT) {
        if (doc != NULL)
            text_addf(&page->text, "  # %s\n", doc);
        text_addf(&page->text, "  %s\n", line);
        return;
    }
    text_add(&page->text, ".PP\n");
    if (doc != NULL) {
        page_add_escaped(&page->text, doc);
        text_add(&page->text, ":\n");
    }
    text_add(&page->text, ".RS 4\n.nf\n");
    page_add_escaped(&page->text, line);
    text_add(&page->text, "\n.fi\n.RE\n");
}

void page_term(struct page *page, const char *term, const char *words)
{
    struct text *text = &page->text;
    if (page->format == PAGE_MAN) {
        text_add(text, ".TP\n\\fB");
        page_add_escaped(text, term);
        text_add(text, "\\fR\n");
        page_add_escaped(text, words);
        text_add(text, "\n");
        return;
    }
    size_t column = TERM_INDENT + strlen(term);
    text_addf(text, "%*s%s", TERM_INDENT, "", term);
    if (column + 2 > WORDS_INDENT) {
        text_add(text, "\n");
        column = 0;
    }
    add_spaces(text, WORDS_INDENT - column);
    page_wrap(text, words, WORDS_INDENT, WORDS_INDENT);
}
