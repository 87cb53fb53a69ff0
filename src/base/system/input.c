#include "base/system/input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* All of it, or nothing: a part would be taken for the whole. */
static bool read_all(FILE *file, const char *path, size_t limit, struct text *text,
                     struct error *error)
{
    size_t before = text->length, got = 0;
    char buffer[4096];
    do {
        got = fread(buffer, 1, sizeof(buffer), file);
        text_add_bytes(text, buffer, got);
    } while (got == sizeof(buffer) && text->length - before <= limit); /* fewer: end, or error */
    bool is_large = text->length - before > limit;
    if (!is_large && !ferror(file))
        return true;
    text->length = before;
    text->bytes[before] = '\0';
    return is_large ? error_invalid(error, "%s is larger than %zu bytes", path, limit)
                    : error_invalid(error, "cannot read %s: %s", path, strerror(errno));
}

/* Here a pipe is waited for: it can be that of a command, as in <(helm template .). */
bool input_read(const char *path, size_t limit, struct text *text, struct error *error)
{
    size_t before = text->length;
    if (text_equal(path, "-"))
        return read_all(stdin, "standard input", limit, text, error) &&
               (text->length > before || error_invalid(error, "standard input is empty"));
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return error_invalid(error, "cannot open %s: %s", path, strerror(errno));
    bool good = read_all(file, path, limit, text, error);
    fclose(file);
    return good;
}
