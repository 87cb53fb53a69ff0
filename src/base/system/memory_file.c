#include "base/system/memory_file.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int memory_file_open(const char *name, const void *bytes, size_t length, struct error *error)
{
    int file = memfd_create(name, MFD_CLOEXEC);
    ssize_t written = file < 0 ? -1 : write(file, bytes, length);
    if (written == (ssize_t)length)
        return file;
    if (written >= 0)
        errno = ENOSPC;
    error_unavailable(error, "cannot keep the %s in memory: %s", name, strerror(errno));
    if (file >= 0)
        close(file);
    return -1;
}

char *memory_file_path(int file)
{
    return text_format("/proc/self/fd/%d", file);
}
