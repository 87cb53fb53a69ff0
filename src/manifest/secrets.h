/*
 * Secrets that stand in the files beside what uses them: what KEDA would take out of them.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_SECRETS_H
#define BACKLOG_MANIFEST_SECRETS_H

#include "manifest/builtin.h"

enum secret_state {
    SECRET_ELSEWHERE, /* in none of the files, as most are, or in another namespace; or there are
                         several of this name */
    SECRET_FOUND,
    SECRET_WRONG, /* it is there, and has no such value */
};

/* The value of a parameter of PARAMETER_SECRET, for a trigger in `namespace` (NULL: not known).
 * Where it is found the caller frees it as a secret; where it is wrong the error says what is
 * missing. */
enum secret_state secret_find(const struct manifests *manifests, const char *namespace,
                              const struct authentication *authentication,
                              const struct authentication_parameter *parameter, char **ret_value,
                              struct error *error);

/* Gives the entries of a trigger of KEDA's own the values that are found, as KEYFromEnv: no error
 * repeats the value of a variable. What is wrong is added to `mistakes`. */
void secrets_fill_in(const struct manifests *manifests, const char *namespace,
                     struct builtin *builtin, struct error *mistakes);

#endif
