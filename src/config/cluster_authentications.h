/*
 * What ClusterTriggerAuthentications may be used for beyond the address that they name themselves
 * (--kubernetes-cluster-authentications): by which namespaces, and for which addresses of their
 * triggers. KEDA sends their parameters wherever a trigger says (its issue 7782).
 *
 * Threads: any; nothing changes after parsing.
 */
#ifndef BACKLOG_CONFIG_CLUSTER_AUTHENTICATIONS_H
#define BACKLOG_CONFIG_CLUSTER_AUTHENTICATIONS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct cluster_authentications;

/* YAML, or JSON: {NAME: {hosts: [HOST, HOST:PORT], namespaces: [NAMESPACE]}}, where hosts and
 * namespaces are patterns (fnmatch). NULL or "": none. The caller frees it with
 * cluster_authentications_free(). */
bool cluster_authentications_parse(const char *text, struct cluster_authentications **ret_list,
                                   struct error *error);
void cluster_authentications_free(struct cluster_authentications *list); /* NULL is none */

/* May a trigger of the namespace use it at all? What is not listed, or has no namespaces, all may.
 */
bool cluster_authentications_allow(const struct cluster_authentications *list, const char *name,
                                   const char *namespace);

/*
 * Is each address of a trigger's value (host, host:port or URL, with commas between several) among
 * the hosts? Only what all client libraries read alike is: no user, no escapes, nothing that is not
 * a name or an IP address; and no more than OPTION_MAX_PIECES of them. A pattern without a port
 * permits every port, one with a port only an address that has it. `has_port`: the port is another
 * key's, so the value may have none, and no pattern with a port permits it.
 */
bool cluster_authentications_allow_address(const struct cluster_authentications *list,
                                           const char *name, const char *value, bool has_port);

#endif
