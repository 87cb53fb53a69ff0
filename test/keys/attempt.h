/*
 * One parse of a trigger and, where the place is there, of a connections file, for the tests of
 * keys.c.
 */
#ifndef BACKLOG_TEST_KEYS_ATTEMPT_H
#define BACKLOG_TEST_KEYS_ATTEMPT_H

#include "base/text.h"
#include "keys/keys.h"
#include "scale/table/triggers.h"

enum { MAX_PAIRS = 64 };

/* Where the key of a case stands. */
struct place {
    const char *name;
    bool in_file; /* of the connections, with all keys of the connection */
    bool aliased;
    const char *suffix;
};

enum {
    IN_METADATA,
    IN_METADATA_BY_ALIAS,
    IN_VARIABLE,
    IN_VARIABLE_BY_ALIAS,
    IN_CONNECTIONS,
    IN_CONNECTIONS_BY_ALIAS,
    IN_FILE,
    PLACES
};

extern const struct place places[PLACES];

bool can_stand(const struct option *row, const struct place *place);

struct attempt {
    const struct keys *keys;
    const struct option *row; /* of the case's key */
    const struct place *place;
    struct option_entry entries[2 * MAX_PAIRS];
    size_t count;
    struct text yaml;
    char secret_path[64]; /* the file of a <key>File; "" where there is none */
    char *key;            /* as the place spells it */

    struct triggers *triggers;
    struct trigger *trigger;
    struct error mistakes; /* the file's and the trigger's */
};

/* Parses the pairs over the usual ones, the first of them from this place. */
void attempt_make(struct attempt *attempt, const struct keys *keys, const char *const *pairs,
                  const struct place *place);
void attempt_done(struct attempt *attempt);

/* The value of this row, as it was taken. */
const char *attempt_text(const struct attempt *attempt, const struct option *row);

void assert_taken(const struct attempt *attempt, const char *value);
void assert_refused(const struct attempt *attempt, const char *value, const char *mistake);

#endif
