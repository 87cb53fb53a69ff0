/* Stands in for libFuzzer where the compiler has none: gives a fuzzer the files of a folder, once
 * each. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

enum { MAX_BYTES = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay(const char *name)
{
    static uint8_t bytes[MAX_BYTES];
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
    if (size >= 0) {
        printf("%s: %zd bytes\n", name, size);
        LLVMFuzzerTestOneInput(bytes, (size_t)size);
    }
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 && chdir(argv[1]) == 0 ? opendir(".") : NULL;
    if (folder == NULL) {
        fputs("usage: fuzz_NAME CORPUS\n", stderr);
        return 2;
    }
    for (struct dirent *file; (file = readdir(folder)) != NULL;)
        if (file->d_name[0] != '.')
            replay(file->d_name);
    closedir(folder);
    return 0;
}
