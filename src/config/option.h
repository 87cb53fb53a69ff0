/*
 * Options: the keys of a scaler, each written once, in a table.
 *
 * The table is the parser, the defaults, the limits, the redaction and the reference page. Its
 * values fall into three scopes, each a struct of the scaler's own, so that wrong sharing does not
 * compile: connecting sees the connection's, measuring the connection's and the query's,
 * evaluating all three. Equal connection values share a connection, equal query values share a
 * query.
 *
 * How a text is read follows KEDA's typed configuration (pkg/scalers/scalersconfig): values are
 * trimmed, an empty one is absent, `<key>FromEnv` carries the value of a variable.
 *
 * Threads: any; nothing here changes after it was parsed.
 */
#ifndef BACKLOG_CONFIG_OPTION_H
#define BACKLOG_CONFIG_OPTION_H

#include "base/error.h"
#include "config/option_table.h"

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One `key: value` as it came from outside. */
struct option_entry {
    const char *key;
    const char *value;
};

/* Of the metadata of one trigger: more keys than any scaler has, a limit on what one call makes us
 * compare; and bytes, each of which is held some three times over. */
enum { OPTION_MAX_KEYS = 256, OPTION_MAX_METADATA = 16 << 10 };

/* An array, and its keys and values, all of the heap. */
void option_entries_free(struct option_entry *entries, size_t count);

enum { OPTION_MAX_ROWS = 64 }; /* of a table: struct option_values has a bit for each */

/* The values of one scope. They never change, so that whoever needs them shares them. */
struct option_values {
    void *data;     /* the scaler's struct */
    char **texts;   /* one for each row of the table: trimmed, defaults filled in; NULL when absent
                        or of another scope */
    char **marks;   /* ... of those that are in the identity as a hash: this; NULL of the others,
                        and NULL where there are none */
    char *identity; /* equal texts have equal identities; secrets and long texts are in it as a
                        keyed hash */
    size_t bytes;   /* of memory, everything above included */
    atomic_size_t users; /* see option_values_share() */
    size_t options;      /* rows of the table */
    uint64_t hidden;     /* a bit a row: its text came out of a variable, or is a secret */
    uint64_t given;      /* a bit a row: its text is not the default */
    const struct option *table;
};

/* What a scaler's check, metric_spec and evaluate are given: the structs of the three scopes. */
struct options {
    const void *connection;
    const void *query;
    const void *target;
};

/* Where entries come from. */
enum option_origin {
    OPTION_FROM_TRIGGER,
    OPTION_FROM_TRIGGER_ALONE, /* a trigger whose named connection cannot be had: no connection key
                                  is demanded, so that its other mistakes are reported */
    OPTION_FROM_FILE,          /* the connections file: only connection keys are demanded */
    OPTION_FROM_CREDENTIALS,   /* an authentication: as variables, by the names of the table's keys;
                                  nothing is demanded */
};

/* What came from outside, and from where. */
struct option_input {
    const struct option_entry *entries;
    size_t count;
    enum option_origin origin;
    const struct option *others; /* a table of keys that are passed over; NULL: there are none */
    const struct option_values *connection;  /* of this table: they are those of the connection, and
                                               no entry is a key of one; NULL: the entries say it */
    const struct option_values *credentials; /* OPTION_FROM_CREDENTIALS of this table: what they
                                                have no entry has; NULL: there are none */
};

/*
 * Parses the entries by the table into one option_values a scope. Every mistake is added to
 * `error`: unknown keys (with the nearest known one), missing and wrong values. The values are
 * complete in any case: where a mistake was, the default stands, or "" for a required string.
 * `sizes` are the sizes of the scopes' structs. Returns whether there was no mistake.
 */
bool option_parse(const struct option *table, const size_t sizes[OPTION_SCOPES],
                  const struct option_input *input, struct option_values *ret_values[OPTION_SCOPES],
                  struct error *error);

/* As option_parse(), for whoever needs one scope alone. The caller frees its values. */
struct option_values *option_parse_scope(const struct option *table,
                                         const size_t sizes[OPTION_SCOPES],
                                         const struct option_input *input, enum option_scope scope,
                                         struct error *mistakes);

/* The mistake of one entry alone, in the words of option_parse(): an unknown key, or a value that
 * cannot be read. */
bool option_check_entry(const struct option *table, const struct option *others,
                        const struct option_entry *entry, enum option_origin origin,
                        struct error *error);

/* Parses texts as option_values holds them (another process sent them). */
struct option_values *option_values_new(const struct option *table, size_t size,
                                        enum option_scope scope, const char *const *texts);

/* One user more, who frees them, too. */
struct option_values *option_values_share(const struct option_values *values);
void option_values_free(struct option_values *values);

/* Is everything the same, also what may be shown? */
bool option_values_equal(const struct option_values *one, const struct option_values *other);

/* What says where a connection leads, with whatever credentials: the same number for the same
 * source, in this process. Never 0. */
uint64_t option_values_source(const struct option_values *values);

/* What stands for the key, its default too; NULL where it is absent, of another scope, or unknown.
 */
const char *option_text(const struct option_values *values, const char *key);

/* Whether somebody set it, be it to its default. */
bool option_is_given(const struct option_values *values, const char *key);

/* A host whose port has a key of its own is the row before that (OPTION_PORT). The row of this
 * host's port; NULL: the port has no key of its own. And the row of the host that this row is the
 * port of; NULL: it is no port. */
const struct option *option_port_of(const struct option *host);
const struct option *option_host_of(const struct option *port);

/* What separates the elements of the row's text; "" where it is no list. */
const char *option_separators(const struct option *row);

/* Is this the name of a user with whom no secret is set, which may be a key of an API? */
bool option_is_user_alone(const struct option_values *values, size_t row);

/* May the text of this row be shown to people? Not where it is a secret, a user alone or a URL, or
 * came out of a variable. */
bool option_shows(const struct option_values *values, size_t row);

/* What a key means for credentials. These three are the only places that say so; tables say it by
 * flags alone. */

/* Does it say where to connect, or how the peer is verified? */
bool option_says_where(const struct option *row);

/* How to authenticate, not where to connect: readings stay valid when it changes. */
bool option_is_credential(const struct option *row);

/* Does it decide where the credentials of its trigger go, or what is done with them? What is not
 * marked is treated as though it did. */
bool option_steers_credentials(const struct option *row);

/* Is a trigger's key `<key>FromEnv`, whose value KEDA takes from a variable of the worker? */
bool option_is_variable(const char *key);
#define OPTION_VARIABLE_SUFFIX "FromEnv"

/* The row of this key: by its name, by its alias where entries from there may use it, or of a
 * trigger by `<key>FromEnv` (KEDA resolved the variable). NULL where there is none. */
const struct option *option_find(const struct option *table, const char *key,
                                 enum option_origin origin);
size_t option_count(const struct option *table);

#endif
