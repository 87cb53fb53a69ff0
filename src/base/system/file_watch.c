#include "base/system/file_watch.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

/* What differs between two states of a file; all zero where there is none. */
struct look {
    dev_t device;
    ino_t inode;
    off_t size;
    int64_t modified_ns;
    int64_t changed_ns; /* of the inode: a time of modification can be set to what it was */
};

struct watched {
    char *path;
    struct look look;
};

struct file_watch {
    struct watched *files;
    size_t count;
    size_t capacity;
    int restless_checks; /* since a change was seen that was not reported yet */
};

static int64_t ns_of(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static struct look look_at(const char *path)
{
    struct stat found;
    if (stat(path, &found) != 0)
        return (struct look){0};
    return (struct look){.device = found.st_dev,
                         .inode = found.st_ino,
                         .size = found.st_size,
                         .modified_ns = ns_of(found.st_mtim),
                         .changed_ns = ns_of(found.st_ctim)};
}

static bool is_same(const struct look *left, const struct look *right)
{
    return left->device == right->device && left->inode == right->inode &&
           left->size == right->size && left->modified_ns == right->modified_ns &&
           left->changed_ns == right->changed_ns;
}

struct file_watch *file_watch_new(void)
{
    return memory_new(sizeof(struct file_watch));
}

void file_watch_add(struct file_watch *watch, const char *path)
{
    watch->files =
        memory_grow(watch->files, &watch->capacity, watch->count + 1, sizeof(*watch->files));
    watch->files[watch->count++] = (struct watched){.path = text_copy(path), .look = look_at(path)};
}

/* Whether all are as at the last check. */
static bool are_at_rest(struct file_watch *watch)
{
    bool at_rest = true;
    for (size_t i = 0; i < watch->count; i++) {
        struct watched *file = &watch->files[i];
        struct look look = look_at(file->path);
        at_rest = is_same(&look, &file->look) && at_rest;
        file->look = look;
    }
    return at_rest;
}

bool file_watch_has_changed(struct file_watch *watch)
{
    bool at_rest = are_at_rest(watch);
    bool has_changed = at_rest ? watch->restless_checks > 0
                               : watch->restless_checks + 1 == FILE_WATCH_MAX_RESTLESS_CHECKS;
    watch->restless_checks = at_rest || has_changed ? 0 : watch->restless_checks + 1;
    return has_changed;
}

bool file_watch_is_restless(const struct file_watch *watch)
{
    return watch->restless_checks > 0;
}

void file_watch_free(struct file_watch *watch)
{
    if (watch == NULL)
        return;
    for (size_t i = 0; i < watch->count; i++)
        free(watch->files[i].path);
    free(watch->files);
    free(watch);
}
