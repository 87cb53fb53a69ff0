/*
 * The keys of a scaler: a table of cases a scaler, in test_NAME.c, and one test over all of them.
 *
 *     TAKES("lagThreshold", "1"),
 *     REFUSES("at least 1", "lagThreshold", "0"),
 *     REFUSES("cert and key go together", "cert", "PEM", "tls", "enable"),
 *     DEFAULT("lagThreshold", "10"),
 *
 * A case is tried in every place that its key can come from: the metadata, under its alias, from a
 * variable (`<key>FromEnv`), and for a key of the connection from the connections file, as `<key>`
 * and `<key>File`.
 *
 * To add a key to a scaler, add its cases. The test fails where a row of the option table has no
 * case that takes it, where a choice of it has no case, where its default is not stated, and where
 * a limit lacks the case at it or the one beyond it. What holds for every key of a type (yes is no
 * bool) and for every required key is tried without a case.
 */
#ifndef BACKLOG_TEST_KEYS_KEYS_H
#define BACKLOG_TEST_KEYS_KEYS_H

#include "measure/scaler.h"

enum key_verdict { KEY_TAKEN = 1, KEY_REFUSED, KEY_DEFAULT };

struct key_case {
    enum key_verdict verdict;
    const char *mistake; /* a part of the error of a refused one, without the value */
    const char *const
        *pairs; /* the key and its value, and behind them what the case needs besides */
};

/* Keys and values in turn. */
#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

#define TAKES(...) {KEY_TAKEN, NULL, PAIRS(__VA_ARGS__)}
#define REFUSES(mistake, ...) {KEY_REFUSED, mistake, PAIRS(__VA_ARGS__)}
#define DEFAULT(key, value) {KEY_DEFAULT, NULL, PAIRS(key, value)}

struct keys {
    const struct scaler *scaler;
    const char *const *usual; /* what every case has where it says nothing else: a good trigger */
    const struct key_case *cases;  /* ends with an empty one, as does: */
    const struct key_case *shared; /* those of keys that another scaler has, too; or NULL */
};

/* The test's main(). Whatever in a case is a secret has the word "sesame" in it: no mistake may
 * show it. */
int keys_test(const struct keys *keys);

#endif
