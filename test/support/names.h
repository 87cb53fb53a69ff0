/*
 * Names with chosen addresses: a getaddrinfo() in the place of the C library's, which has all
 * others.
 *
 * Threads: names_set() while nobody looks one up.
 */
#ifndef BACKLOG_TEST_NAMES_H
#define BACKLOG_TEST_NAMES_H

#include <stddef.h>

enum { NAMES_MAX = 4 };

/* The name has these addresses from now on, which end with NULL; with none it is unknown. Both are
 * borrowed. */
void names_set(const char *name, const char *const *addresses);

/* How often one that was set has been looked up. */
size_t names_lookups(const char *name);

#endif
