/*
 * The connections in a Secret: each of its keys is a connections file.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_KUBERNETES_API_CONNECTIONS_SECRET_H
#define BACKLOG_KUBERNETES_API_CONNECTIONS_SECRET_H

#include "config/connections.h"

#include <jansson.h>

/* Of a Secret as the Kubernetes API has it, whose namespace and name have been checked. The caller
 * frees them; mistakes are in them. NULL with the error: it is too large to be read. */
struct connections *connections_secret_parse(const json_t *secret, struct error *error);

#endif
