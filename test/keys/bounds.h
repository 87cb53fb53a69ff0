/*
 * What the values of keys cost the server: for each key, and each pair of keys, the longest value
 * that a call can carry, the one with the most pieces, the deepest and the most repetitive.
 *
 * No case has to be written for a key. Prints the worst that it found.
 */
#ifndef BACKLOG_TEST_KEYS_BOUNDS_H
#define BACKLOG_TEST_KEYS_BOUNDS_H

#include "keys/keys.h"

/* Fails where a trigger takes more memory, or a call more CPU, than a trigger may. */
void bounds_check(const struct keys *keys);

#endif
