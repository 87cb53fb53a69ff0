#include "manifest/template.h"

#include "base/memory.h"
#include "base/text.h"

#include <string.h>

static const char opening[] = "{{";
static const char closing[] = "}}";

static bool begins(const char *text, const char *end, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(end - text) >= length && memcmp(text, word, length) == 0;
}

/* Behind the text in quotes that begins here; `end` where it does not end, which all but one in
 * backquotes do in their line. */
static const char *skip_quoted(const char *at, const char *end)
{
    char quote = *at++;
    while (at < end && *at != quote && (*at != '\n' || quote == '`'))
        at += *at == '\\' && quote != '`' && at + 1 < end ? 2 : 1;
    return at < end && *at == quote ? at + 1 : end;
}

/* Behind the action that begins here, as Go's text/template reads it: its end may also be in a text
 * or a comment. NULL: these braces begin none, because it does not end before the next one. */
static const char *skip_action(const char *at, const char *end)
{
    at += strlen(opening);
    at += at < end && *at == '-' ? 1 : 0;
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n'))
        at++;
    if (begins(at, end, "/*")) {
        const char *found = memmem(at, (size_t)(end - at), "*/", 2);
        at = found == NULL ? end : found;
    }
    while (at < end && !begins(at, end, closing) && *at != '{')
        at = *at == '"' || *at == '\'' || *at == '`' ? skip_quoted(at, end) : at + 1;
    return begins(at, end, closing) ? at + strlen(closing) : NULL;
}

bool template_has_action(const char *text, size_t length)
{
    return length > 0 && text != NULL && memmem(text, length, opening, strlen(opening)) != NULL;
}

enum { HIDDEN = '\1' };

/* A line of nothing but actions, and perhaps a comment. */
static bool is_blank(const char *line, const char *end)
{
    for (; line < end; line++)
        if (*line == '#')
            return true;
        else if (*line != HIDDEN && *line != ' ' && *line != '\t' && *line != '\r')
            return false;
    return true;
}

char *template_hide(const char *text, size_t length)
{
    char *copy = text_copy_bytes(text, length);
    const char *end = text + length;
    for (const char *at = text; at < end && (at = memmem(at, (size_t)(end - at), opening, 2));) {
        const char *next = skip_action(at, end);
        for (; next != NULL && at < next; at++)
            if (*at != '\n' && *at != '\r')
                copy[at - text] = HIDDEN;
        at += next == NULL ? strlen(opening) : 0;
    }
    for (char *line = copy, *last = copy + length; line < last;) {
        char *found = memchr(line, '\n', (size_t)(last - line));
        char *next = found == NULL ? last : found + 1;
        char stand_in = is_blank(line, found == NULL ? last : found) ? ' ' : 'x';
        for (; line < next; line++)
            if (*line == HIDDEN)
                *line = stand_in;
    }
    return copy;
}
