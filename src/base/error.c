#include "base/error.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static void give(struct error *error, enum error_code code, struct text *text)
{
    free(error->text);
    error->code = code;
    error->text = text_take(text);
    text_make_utf8(error->text);
}

static void set(struct error *error, enum error_code code, const char *format, va_list arguments)
{
    struct text text = {0};
    text_addv(&text, format, arguments);
    give(error, code, &text);
}

bool error_set(struct error *error, enum error_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set(error, code, format, arguments);
    va_end(arguments);
    return false;
}

bool error_invalid(struct error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set(error, ERROR_INVALID, format, arguments);
    va_end(arguments);
    return false;
}

bool error_unavailable(struct error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error_unavailablev(error, format, arguments);
    va_end(arguments);
    return false;
}

bool error_unavailablev(struct error *error, const char *format, va_list arguments)
{
    set(error, ERROR_UNAVAILABLE, format, arguments);
    return false;
}

/* Metadata of a caller may have ten thousand mistakes. */
enum { LARGEST_LIST = 16 << 10 };

static const char more[] = "; and more";

/* Appends what is valid already. */
static void append(struct error *error, size_t length, const char *part)
{
    struct text text = {.bytes = error->text, .length = length};
    text.capacity = error->text == NULL ? 0 : length + 1;
    text_add(&text, part);
    error->code = ERROR_INVALID;
    error->text = text_take(&text);
}

void error_add(struct error *error, const char *format, ...)
{
    size_t length = strlen(error_text(error));
    if (length >= LARGEST_LIST) {
        if (!text_ends_with(error->text, more))
            append(error, length, more);
        return;
    }
    struct text text = {0};
    if (error_is_set(error))
        text_add(&text, "; ");
    va_list arguments;
    va_start(arguments, format);
    text_addv(&text, format, arguments);
    va_end(arguments);
    _cleanup_(memory_free) char *part = text_take(&text);
    text_make_utf8(part);
    append(error, length, part);
}

void error_shorten(struct error *error, size_t max)
{
    if (strlen(error_text(error)) <= max)
        return;
    size_t kept = text_cut(error->text, max - strlen(more));
    char *text = text_format("%.*s%s", (int)kept, error->text, more);
    free(error->text);
    error->text = text;
}

bool error_prefix(struct error *error, const char *format, ...)
{
    struct text text = {0};
    va_list arguments;
    va_start(arguments, format);
    text_addv(&text, format, arguments);
    va_end(arguments);

    text_addf(&text, ": %s", error_text(error));
    give(error, error->code, &text);
    return false;
}

bool error_is_set(const struct error *error)
{
    return error->code != ERROR_NONE;
}

const char *error_text(const struct error *error)
{
    return error->text == NULL ? "" : error->text;
}

void error_copy(struct error *to, const struct error *from)
{
    char *text = text_copy(from->text);
    free(to->text);
    *to = (struct error){.code = from->code, .text = text};
}

void error_move(struct error *to, struct error *from)
{
    free(to->text);
    *to = *from;
    *from = (struct error){0};
}

void error_done(struct error *error)
{
    if (!error_is_set(error))
        return;
    free(error->text);
    *error = (struct error){0};
}
