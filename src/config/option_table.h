/*
 * The rows of an option table: the keys of a scaler. What is done with them is in option.h.
 *
 * Threads: any; a table is constant.
 */
#ifndef BACKLOG_CONFIG_OPTION_TABLE_H
#define BACKLOG_CONFIG_OPTION_TABLE_H

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
    OPTION_DURATION,    /* int64_t in milliseconds: "1m30s"; see OPTION_BARE_MS */
    OPTION_CHOICE,      /* int: the index of one of `choices` */
    OPTION_LIST,        /* struct option_list: the trimmed pieces between commas */
    OPTION_RANGES,      /* struct option_ranges: "1,2,10-20" */
    OPTION_UNSUPPORTED, /* no field: a key of KEDA's that is refused; `doc` gives the alternative */
};

enum { OPTION_MAX_PIECES = 64 }; /* of a list */
#define OPTION_MIN_TARGET 0.001  /* of a metric: Kubernetes' quantities have thousandths */

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
    OPTION_SECRET = 1 << 1, /* the value is never printed, and identities have a keyed hash of it */
    OPTION_URL = 1 << 2,    /* may hold a password: at most its scheme and host are printed */
    /* KEDA itself reads `alias` of a trigger (enableTLS, unsafeSsl: its channel to us), so there
     * only `key` counts. In the connections file both do. */
    OPTION_ALIAS_IN_FILE = 1 << 3,
    /* How to authenticate, not where to connect: readings stay valid when it changes. A secret is
     * one without this flag, except with OPTION_ADDRESS: it is part of the address, too. Of a URL
     * its user and password are. */
    OPTION_CREDENTIAL = 1 << 4,
    OPTION_ADDRESS = 1 << 5,
    /* Only in the connections file: whoever may write a trigger must not decide it. */
    OPTION_FILE_ONLY = 1 << 6,
    /* How a connection is used, not which one it is: two that differ in it alone are one
     * connection, and the value of whoever opens it counts. */
    OPTION_NO_IDENTITY = 1 << 7,
    /* A key of KEDA's scaler: a bare number is milliseconds, as KEDA reads it. Everywhere else it
       is a mistake. */
    OPTION_BARE_MS = 1 << 8,
    /* The source's host, host:port or URL, for people (source_address.h); the other one is several
     * with commas between. */
    OPTION_HOST = 1 << 9,
    OPTION_HOSTS = 1 << 10,
    /* Of a command: it changes files, runs something or lowers security, so only the command line
     * sets it, and no variable that somebody left in the environment. */
    OPTION_NO_VARIABLE = 1 << 11,
    /* May hold a secret, although it is not meant for one: printed as little. */
    OPTION_HIDDEN = 1 << 12,
    /* How much work there is for one replica: where the user sets one of these, the target is the
       user's. */
    OPTION_THRESHOLD = 1 << 13,
    /* Says where to connect or how the peer is verified, where none of the flags above says so: a
     * trigger's own credentials may depend on it (scale/connections/own_credentials.h). */
    OPTION_PEER = 1 << 14,
    /* Of a command, a list: the flag is repeated, and each value is a piece, whatever is in it. */
    OPTION_REPEATED = 1 << 15,
    /* Of the general keys (scale/metadata/general.h): it decides what is measured, or with whose
     * credentials; it is a setting of a policy. */
    OPTION_STEERS = 1 << 16,
    OPTION_POLICY = 1 << 17,
    /* The port of the row before this one, which has OPTION_HOST or OPTION_HOSTS. */
    OPTION_PORT = 1 << 18,
    /* The name of a user. If no secret is set with it, it may be a key of an API, and is hidden. */
    OPTION_USER = 1 << 19,
    OPTION_NEVER_SHOWN = OPTION_SECRET | OPTION_URL | OPTION_HIDDEN,
};

/* Where KEDA's own scaler of the same name reads a key (`order` in its struct tags). */
enum option_keda {
    OPTION_KEDA_METADATA = 1 << 0,
    OPTION_KEDA_VARIABLE = 1 << 1, /* KEYFromEnv in the metadata */
    OPTION_KEDA_AUTHENTICATION = 1 << 2,
    OPTION_KEDA_NOWHERE = 1 << 3,  /* it has no such key */
    OPTION_KEDA_REQUIRED = 1 << 4, /* it fails without the key, and ours does not */
    OPTION_KEDA_NAME = 1 << 5,     /* it takes a pattern (^...) for a name */
};

struct option {
    const char *key;   /* as KEDA spells it */
    const char *alias; /* another spelling, or NULL */
    enum option_scope scope;
    enum option_type type;
    size_t offset;          /* of the field in the scope's struct; use OPTION_FIELD */
    enum option_type field; /* whose field that is: `type`, or OPTION_INT for OPTION_DURATION */
    unsigned flags;
    unsigned keda;              /* of a scaler's key; 0: OPTION_KEDA_METADATA */
    const char *default_value;  /* as the user would write it, or NULL */
    const char *const *choices; /* for OPTION_CHOICE; ends with NULL */
    struct {
        double min;
        double max;
    } limits;        /* for numbers; both 0: none */
    const char *doc; /* one line for the reference page */

    /* Of a flag (cli/command.h). */
    const char *group;      /* the title on the help page of this flag and of those behind it */
    const char *value_name; /* FILE, ADDRESS, ...; NULL: as the type says */
};

/* `base` is that of the structure in the scope's. A field of no type of the above does not
 * compile. */
#define OPTION_FIELD_AT(base, structure, member)                                                   \
    .offset = (base) + offsetof(structure, member), .field = _Generic(((structure *)NULL)->member, \
                                                        const char *: OPTION_STRING,               \
                                                        bool: OPTION_BOOL,                         \
                                                        int64_t: OPTION_INT,                       \
                                                        double: OPTION_FLOAT,                      \
                                                        int: OPTION_CHOICE,                        \
                                                        unsigned: OPTION_CHOICE,                   \
                                                        struct option_list: OPTION_LIST,           \
                                                        struct option_ranges: OPTION_RANGES)
#define OPTION_FIELD(structure, member) OPTION_FIELD_AT(0, structure, member)

#endif
