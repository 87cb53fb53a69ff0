/*
 * Options: the keys of a scaler, each written once, in a table.
 *
 * The table is the parser, the defaults, the limits, the redaction and the reference page. Its
 * values fall into three scopes, each a struct of the scaler's own, so that wrong sharing does not
 * compile: connecting sees the connection's, measuring the connection's and the query's, judging all
 * three. Equal connection values share a connection, equal query values share a query.
 *
 * How a text is read follows KEDA's typed configuration (pkg/scalers/scalersconfig): values are
 * trimmed, an empty one is absent, `<key>FromEnv` carries the value of a variable.
 *
 * Threads: any; nothing here changes after it was parsed.
 */
#ifndef BACKLOG_CONFIG_OPTION_H
#define BACKLOG_CONFIG_OPTION_H

#include "base/error.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_scope { OPTION_CONNECTION, OPTION_QUERY, OPTION_TARGET, OPTION_SCOPES };

/* The comment names the type of the field in the scope's struct. */
enum option_type {
    OPTION_STRING,      /* const char *: NULL when absent, but "" for a required one */
    OPTION_BOOL,        /* bool: 1 t T TRUE true True 0 f F FALSE false False */
    OPTION_INT,         /* int64_t: a JSON integer */
    OPTION_FLOAT,       /* double: a JSON number */
    OPTION_DURATION,    /* int64_t in milliseconds: "1m30s", or a bare number of milliseconds */
    OPTION_CHOICE,      /* int: the index of one of `choices` */
    OPTION_LIST,        /* struct option_list: the trimmed pieces between commas */
    OPTION_RANGES,      /* struct option_ranges: "1,2,10-20" */
    OPTION_UNSUPPORTED, /* no field: a key of KEDA's that is refused; `doc` says what to do instead */
};

struct option_list {
    const char **items;
    size_t count;
};

struct option_range { /* inclusive at both ends */
    int64_t first;
    int64_t last;
};

struct option_ranges { /* none at all means no restriction */
    struct option_range *items;
    size_t count;
};

enum option_flag {
    OPTION_REQUIRED = 1 << 0,
    OPTION_SECRET = 1 << 1, /* the value is never printed and enters identities as a keyed hash */
    OPTION_URL = 1 << 2,    /* may hold a password: printed as little as a secret */
    /* KEDA itself reads `alias` of a trigger (enableTLS, unsafeSsl: its channel to us), so there only
     * `key` counts. In the connections file both do. */
    OPTION_ALIAS_IN_FILE = 1 << 3,
    /* How one is let in, not where: what was measured stays true when it changes. A secret is one without
     * saying so, but for OPTION_ADDRESS: it says where, too. Of a URL its user and password are. */
    OPTION_CREDENTIAL = 1 << 4,
    OPTION_ADDRESS = 1 << 5,
    /* Only in the connections file: whoever may write a trigger must not decide it. */
    OPTION_FILE_ONLY = 1 << 6,
    /* How a connection is used, not which one it is: two that differ in it alone are one connection, and
     * the value of whoever opens it counts. */
    OPTION_NO_IDENTITY = 1 << 7,
};

struct option {
    const char *key;   /* as KEDA spells it */
    const char *alias; /* another spelling, or NULL */
    enum option_scope scope;
    enum option_type type;
    size_t offset; /* of the field in the scope's struct; use OPTION_FIELD */
    unsigned flags;
    const char *fallback;       /* the default, as the user would write it, or NULL */
    const char *const *choices; /* for OPTION_CHOICE; ends with NULL */
    struct {
        double least;
        double most;
    } limits;        /* for numbers; both 0: none */
    const char *doc; /* one line for the reference page */
};

#define OPTION_FIELD(structure, field) .offset = offsetof(structure, field)

/* One `key: value` as it came from outside. */
struct option_entry {
    const char *key;
    const char *value;
};

enum { OPTION_MOST_SHOWN = 64 }; /* rows of a table; those behind them are never shown */

/* The values of one scope. */
struct option_values {
    void *data;      /* the scaler's struct */
    char **texts;    /* one for each row of the table: trimmed, defaults filled in; NULL when absent
                        or of another scope */
    char *identity;  /* equal texts have equal identities; secrets are in it as a keyed hash */
    size_t options;  /* rows of the table */
    uint64_t hidden; /* a bit a row: its text came out of a variable, or is a secret */
    uint64_t
        given; /* a bit a row: its text is not the default; of the first OPTION_MOST_SHOWN rows */
    const struct option *table;
};

/* What a scaler's check, plan and judge are given: the structs of the three scopes. */
struct options {
    const void *connection;
    const void *query;
    const void *target;
};

enum option_source {
    OPTION_FROM_TRIGGER,
    OPTION_FROM_TRIGGER_ALONE, /* a trigger whose named connection cannot be had: no connection key is
                                  demanded, so that its other mistakes are told */
    OPTION_FROM_FILE,          /* the connections file: only connection keys are demanded */
};

/*
 * Parses the entries by the table into one option_values a scope. Every mistake is added to `error`:
 * unknown keys (with the nearest known one), missing and wrong values. The values are complete in any
 * case: where a mistake was, the default stands, or "" for a required string.
 * The keys of the table `others` are somebody else's, and are passed over; NULL: there are none.
 * `sizes` are the sizes of the scopes' structs. Returns whether there was no mistake.
 */
bool option_parse(const struct option *table, const size_t sizes[OPTION_SCOPES],
                  const struct option_entry *entries, size_t count, enum option_source source,
                  const struct option *others, struct option_values *ret_values[OPTION_SCOPES],
                  struct error *error);

/* Parses texts as option_values holds them (another process sent them). */
struct option_values *option_values_new(const struct option *table, size_t size,
                                        enum option_scope scope, const char *const *texts);
void option_values_free(struct option_values *values);

/* Do two values of a connection lead to the same place, whoever is let in there? */
bool option_same_place(const struct option_values *one, const struct option_values *other);

/* What stands for the key, its default too; NULL where it is absent, of another scope, or unknown. */
const char *option_text(const struct option_values *values, const char *key);

/* Whether somebody set it, be it to its default. The key must be in one of the first OPTION_MOST_SHOWN rows. */
bool option_is_given(const struct option_values *values, const char *key);

/* May the text of this row be shown to people? Not where it is a secret or a URL, or came out of a variable. */
bool option_shows(const struct option_values *values, size_t row);

/* The row that this key speaks of: by its name, by its alias where the source has it, or of a trigger by
 * `<key>FromEnv` (KEDA resolved the variable). NULL where there is none. */
const struct option *option_find(const struct option *table, const char *key,
                                 enum option_source source);
size_t option_count(const struct option *table);

#endif
