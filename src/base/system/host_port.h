/*
 * "HOST:PORT", as addresses to listen on and to connect to are written: "backlog.keda.svc:9090",
 * "[::1]:9090".
 *
 * Threads: any.
 */
#ifndef BACKLOG_BASE_SYSTEM_HOST_PORT_H
#define BACKLOG_BASE_SYSTEM_HOST_PORT_H

#include <stdbool.h>
#include <stddef.h>

/* The host without its brackets, which the caller frees; the port is the end of the address. False:
 * there is none of both, or an IPv6 address has no brackets. */
bool host_port_split(const char *address, char **ret_host, const char **ret_port);

/* The bytes of what stands before the port, with brackets; of an address that can be split. */
size_t host_port_host_length(const char *address);

#endif
