/*
 * Names of the Kubernetes API. Callers claim any; only what is a name becomes a part of a path or
 * of a selector.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_CONFIG_KUBERNETES_NAME_H
#define BACKLOG_CONFIG_KUBERNETES_NAME_H

#include <stdbool.h>

/* Bytes of the name of an object, at most: a DNS subdomain. */
enum { KUBERNETES_NAME_MAX = 253 };

/* Of an object, a group, a version or a resource: a DNS subdomain. NULL is none. */
bool kubernetes_name_is_valid(const char *name);

/* Of a namespace: a DNS label. */
bool kubernetes_name_is_namespace(const char *name);

#endif
