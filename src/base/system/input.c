#include "base/system/input.h"

#include "base/system/file.h"

#include <stdio.h>

bool input_read(const char *path, size_t limit, struct text *text, struct error *error)
{
    if (!text_equal(path, "-"))
        return file_read(path, limit, text, error);
    char buffer[4096];
    for (size_t got; (got = fread(buffer, 1, sizeof(buffer), stdin)) > 0;) {
        text_add_bytes(text, buffer, got);
        if (text->length > limit)
            return error_invalid(error, "-: more than %zu bytes", limit);
    }
    if (ferror(stdin))
        return error_invalid(error, "-: cannot read standard input");
    return text->length > 0 || error_invalid(error, "-: standard input is empty");
}
