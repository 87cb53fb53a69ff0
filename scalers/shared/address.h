/*
 * Addresses: is a text a host, a port, or both with a colon between them?
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALERS_SHARED_ADDRESS_H
#define BACKLOG_SCALERS_SHARED_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* A name, an IPv4 address, or an IPv6 address in brackets. */
bool address_is_host(const char *text, size_t length);

/* A number from 1 to 65535. */
bool address_is_port(const char *text, size_t length);

/* host:port, [address]:port */
bool address_is_host_port(const char *text);

/* Is the host an IPv6 address in brackets? */
bool address_is_bracketed(const char *host, size_t length);

/* Of [scheme://][user@]host[:port][/path], or with commas between hosts: is one an IPv6 address
 * without brackets? Whether it ends in a port cannot be known. */
bool address_lacks_brackets(const char *address);

/* A copy of [scheme://][user@]host[:port][/path] without a dot at the end of the host. A dot there
 * is for DNS: the name in a certificate has none. */
char *address_without_dot(const char *address);

/* An address that means another machine to each that uses it: unspecified, loopback or link-local,
 * which is where clouds have their metadata, or where AWS and Google (IPv6), Alibaba and Azure have
 * theirs; also inside of an IPv6 address, for a translator (NAT64, 6to4). */
bool address_is_local(const struct sockaddr *address);

#endif
