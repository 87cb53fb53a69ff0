#include "base/system/file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void file_close(const int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
}

/* A pipe that nobody writes to holds up nobody: it is empty. */
bool file_read(const char *path, size_t limit, struct text *text, struct error *error)
{
    _cleanup_(file_close) int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return error_invalid(error, "cannot open %s: %s", path, strerror(errno));

    size_t total = 0;
    char buffer[4096];
    for (;;) {
        ssize_t got = read(descriptor, buffer, sizeof(buffer));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_invalid(error, "cannot read %s: %s", path, strerror(errno));
        if (got == 0)
            return true;
        total += (size_t)got;
        if (total > limit)
            return error_invalid(error, "%s is larger than %zu bytes", path, limit);
        text_add_bytes(text, buffer, (size_t)got);
    }
}
