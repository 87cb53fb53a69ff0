#include "manifest/template.h"

#include "base/memory.h"
#include "base/text.h"

#include <ctype.h>
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

/* The first word of the action that begins here. */
static const char *skip_opening(const char *at, const char *end)
{
    at += strlen(opening);
    at += at < end && *at == '-' ? 1 : 0;
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n'))
        at++;
    return at;
}

/* Behind the action that begins here, as Go's text/template reads it: its end may also be in a text
 * or a comment. NULL: these braces begin none, because it does not end before the next one. */
static const char *skip_action(const char *at, const char *end)
{
    at = skip_opening(at, end);
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

static bool is_word(const char *at, const char *end, const char *word)
{
    const char *behind = at + strlen(word);
    return begins(at, end, word) && !isalnum((unsigned char)*behind) && *behind != '_';
}

bool template_next(const char *text, size_t length, struct template_action *ret_action)
{
    static const struct {
        const char *word;
        int kind;
    } words[] = {{"if", TEMPLATE_BEGIN},     {"with", TEMPLATE_BEGIN},  {"range", TEMPLATE_BEGIN},
                 {"define", TEMPLATE_BEGIN}, {"block", TEMPLATE_BEGIN}, {"end", TEMPLATE_END},
                 {"else", TEMPLATE_OTHER}};
    const char *end = text + length, *at = text, *behind = NULL;
    while (at < end && (at = memmem(at, (size_t)(end - at), opening, strlen(opening))) != NULL &&
           (behind = skip_action(at, end)) == NULL)
        at += strlen(opening);
    if (behind == NULL)
        return false;
    *ret_action = (struct template_action){.start = at, .end = behind};
    const char *first = skip_opening(at, behind);
    if (begins(first, behind, "/*"))
        ret_action->kind = TEMPLATE_OTHER;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (is_word(first, behind, words[i].word))
            ret_action->kind = words[i].kind;
    return true;
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
    struct template_action action = {.end = text};
    while (template_next(action.end, (size_t)(end - action.end), &action))
        for (const char *at = action.start; at < action.end; at++)
            if (*at != '\n' && *at != '\r')
                copy[at - text] = HIDDEN;
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
