/*
 * The metadata of one trigger, key by key, with the lines where they stand.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_ENTRIES_H
#define BACKLOG_MANIFEST_ENTRIES_H

#include "config/option.h"
#include "config/yaml_tree.h"

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

/* For the parsers: borrowed strings, in an array that the caller frees. A value that is not known
 * is one that the table, or that of the general keys, would take. */
struct option_entry *entries_plain(const struct entries *entries, const struct option *table);

/* Other values that the option may have. Ends with NULL. */
enum { ENTRIES_MAX_OTHERS = 16 };
void entries_other_values(const struct option *row, const char *ret_values[ENTRIES_MAX_OTHERS + 1]);

/* The mistakes of a whole, as error_add() joins them; the caller frees the text. */
typedef char *entries_judge(const void *context, struct option_entry *plain, size_t count);

/* Those of its mistakes that do not depend on what is not known here: `judge` finds them whatever
 * these values are. The caller frees the text. */
char *entries_mistakes(const struct entries *entries, const struct option *table,
                       entries_judge *judge, const void *context);

/* The table's keys whose values are not known: "a, b"; "" for none. The caller frees the text. */
char *entries_unknown_keys(const struct entries *entries, const struct option *table);

#endif
