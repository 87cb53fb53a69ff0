#include "support/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

void write_file(const char *path, const char *content)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        fail_msg("cannot write %s", path);
        return;
    }
    fputs(content, file);
    fclose(file);
}
