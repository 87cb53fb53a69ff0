/*
 * Notes which code a program reaches, for mutate.py: gcc calls __sanitizer_cov_trace_pc() at the
 * beginning of each basic block of what it compiles with -fsanitize-coverage=trace-pc.
 *
 * The file PROGRAM.reached, where there is one, has a byte for every four bytes of the program's
 * code. It is mapped, not written at the end, as agents are ended by signals. An agent is the same
 * program, so it maps the same file.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

extern const char __executable_start[], etext[];

void __sanitizer_cov_trace_pc(void);

static unsigned char *reached;
static size_t size; /* of it; 0: nothing is noted */

__attribute__((constructor(101))) static void map_reached(void)
{
    char program[PATH_MAX];
    char path[PATH_MAX + sizeof(".reached")];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program));
    if (length < 0)
        return;
    snprintf(path, sizeof(path), "%.*s.reached", (int)length, program);
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return;
    size_t needed = (size_t)(etext - __executable_start) / 4 + 1;
    if (ftruncate(file, (off_t)needed) == 0) {
        void *mapped = mmap(NULL, needed, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (mapped != MAP_FAILED) {
            reached = mapped;
            size = needed;
        }
    }
    close(file);
}

/* Where the code is optimized, as the simulator is, a function may end with this call: then it
 * returns to the function's caller, which may be a library. */
void __sanitizer_cov_trace_pc(void)
{
    size_t offset = (size_t)((const char *)__builtin_return_address(0) - __executable_start);
    if (offset / 4 < size)
        reached[offset / 4] = 1;
}
