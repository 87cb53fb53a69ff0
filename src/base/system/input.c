#include "base/system/input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool read_all(FILE *file, const char *path, size_t limit, struct text *text,
                     struct error *error)
{
    size_t total = 0;
    char buffer[4096];
    for (size_t got = sizeof(buffer); got == sizeof(buffer);) { /* fewer: the end, or an error */
        got = fread(buffer, 1, sizeof(buffer), file);
        total += got;
        if (total > limit)
            return error_invalid(error, "%s is larger than %zu bytes", path, limit);
        text_add_bytes(text, buffer, got);
    }
    return !ferror(file) || error_invalid(error, "cannot read %s: %s", path, strerror(errno));
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
