/*
 * A keyed hash, for tables that outsiders fill: its key is random and of this process, so that
 * nobody can plan strings that collide, which would make a list of the table.
 *
 * It is SipHash-1-3 (https://www.aumasson.jp/siphash/siphash.pdf), of strings one after the other.
 *
 * Threads: any; a hash belongs to whoever declared it.
 */
#ifndef BACKLOG_BASE_HASH_H
#define BACKLOG_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash {
    uint64_t state[4];
    uint64_t words;
};

void hash_begin(struct hash *hash);
/* "ab", "c" and "a", "bc" are different. */
void hash_add(struct hash *hash, const char *string, size_t length);
uint64_t hash_end(struct hash *hash);

uint64_t hash_text(const char *text); /* of one string alone */

/* Of a key of any bytes; keys of one table are all strings, or all of one length. */
uint64_t hash_bytes(const void *bytes, size_t length);

#endif
