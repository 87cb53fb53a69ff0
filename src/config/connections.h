/*
 * Named connections with their credentials, because KEDA forwards no TriggerAuthentication to an
 * external scaler. Where they are read from is for connections_load.h; whether their keys are right
 * is for those to say who know the scalers (scale/connections/named_connections.h).
 *
 * A mistake concerns one connection: it is in the set, with its mistakes, and cannot be used,
 * unless there was a good version of it before (connections_inherit()).
 *
 * Threads: any; nothing changes after loading, checking, inheriting and numbering.
 */
#ifndef BACKLOG_CONFIG_CONNECTIONS_H
#define BACKLOG_CONFIG_CONNECTIONS_H

#include "base/error.h"
#include "config/option.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONNECTIONS_MAX = 1024, CONNECTIONS_MAX_KEYS = 64 /* of one */ };

struct named_connection {
    char *name;
    char *file;                   /* where it is written */
    size_t line;                  /* ... and where in it */
    char *scaler;                 /* NULL only where there are mistakes */
    struct option_entry *entries; /* owned strings; <key>File is resolved to <key> */
    size_t entries_count;
    char **namespaces; /* patterns; none: every namespace may use it */
    size_t namespaces_count;
    struct error mistakes;        /* of what is written */
    struct option_values *values; /* what its keys mean to its scaler, once that was checked
                                     (scale/connections/named_connections.h); NULL: it was not */
    bool is_former;               /* what is written is invalid: this is the last good version */
    uint64_t revision;            /* of connections_number(); 0: not numbered */
};

/* What is invalid besides the connections: a file of a folder, or the second entry of a name. */
struct connections_problem {
    char *name; /* of the connection; NULL: it has none */
    char *file;
    char *text;
    bool is_file; /* nothing of the file could be read */
};

struct connections {
    struct named_connection *items; /* sorted by name, once loaded */
    size_t count, capacity;
    struct connections_problem *problems;
    size_t problems_count, problems_capacity;
};

struct connections *connections_new(void);
void connections_free(struct connections *connections); /* NULL is none */
void connections_cleanup(struct connections **connections);

/* For who reads them. The connection moves into the set, which has none of its name, and fewer than
 * CONNECTIONS_MAX. */
void connections_add(struct connections *connections, struct named_connection *connection);
/* The strings are copied; `name` may be NULL. False: there are too many already. */
bool connections_add_problem(struct connections *connections, const char *name, const char *file,
                             bool is_file, const char *text);
/* What is wrong with a second connection of a name; `used` is the first one. The caller frees it.
 */
char *connections_repeated_words(const struct named_connection *used);
void connections_sort(struct connections *connections);

/* NULL where there is none; `connections` may be NULL. */
const struct named_connection *connections_find(const struct connections *connections,
                                                const char *name);

/* Can it be used: is it as it must be, or was it before? */
bool named_connection_is_usable(const struct named_connection *connection);
bool named_connection_allows(const struct named_connection *connection, const char *namespace);

/* For who uses them; both may be NULL. For tests, too. */
bool named_connection_equals(const struct named_connection *one,
                             const struct named_connection *other);
/* Their mistakes and problems included. */
bool connections_equal(const struct connections *one, const struct connections *other);

/* Puts the last good version, of `before` (NULL: none), in the place of each invalid connection. */
void connections_inherit(struct connections *connections, const struct connections *before);

/* Numbers them: those that are as before keep their number, and the others get `revision`. */
void connections_number(struct connections *connections, const struct connections *before,
                        uint64_t revision);

/* One thing that is invalid; the strings are borrowed. */
struct invalid_connection {
    const char *name; /* NULL: it has none */
    const char *text;
    bool is_former_used; /* the last good version is in use */
    bool is_repeated;    /* not the one that is used, but another of its name */
};

/* What that means for its triggers. */
const char *invalid_connection_state(const struct invalid_connection *invalid);

/* A walk: start with a position of 0. False: there is nothing more. `connections` may be NULL. */
bool connections_next_invalid(const struct connections *connections, size_t *position,
                              struct invalid_connection *ret_invalid);
size_t connections_count_invalid(const struct connections *connections);

/* Fails with everything that is invalid. */
bool connections_require_valid(const struct connections *connections, struct error *error);

#endif
