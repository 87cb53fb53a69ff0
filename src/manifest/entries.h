/*
 * The metadata of one trigger, key by key, with the lines where they stand.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_ENTRIES_H
#define BACKLOG_MANIFEST_ENTRIES_H

#include "config/option.h"
#include "config/yaml_tree.h"

#include <stdbool.h>
#include <stddef.h>

struct entry {
    char *key;
    char *value; /* NULL: known only where it runs (a variable of the worker, a Secret) */
    size_t line;
};

struct entries {
    struct entry *items;
    size_t count, capacity;
};

/* Copies; `value` may be NULL. */
void entries_add(struct entries *entries, const char *key, const char *value, size_t line);
/* The same in place of the value that the key has, where it is there. */
void entries_set(struct entries *entries, const char *key, const char *value);
void entries_remove(struct entries *entries, const char *key); /* where it is there */
/* A trigger's metadata, which is a map. KEYFromEnv, where the table (NULL: of no scaler) has no
 * such key, has no value. */
void entries_read(const struct yaml_tree *metadata, const struct option *table,
                  struct entries *ret_entries);
void entries_done(struct entries *entries);

const struct entry *entries_find(const struct entries *entries, const char *key); /* or NULL */
/* As the server looks a key up: KEY that is not blank, else KEYFromEnv; or NULL. */
const struct entry *entries_find_given(const struct entries *entries, const char *key);

/* Is every value known? */
bool entries_are_known(const struct entries *entries);

/* For the parsers: borrowed strings, in an array that the caller frees. A value that is not known
 * is one that the table, or that of the general keys, would take. */
struct option_entry *entries_plain(const struct entries *entries, const struct option *table);

#endif
