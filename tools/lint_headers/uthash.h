/*
 * What clang-tidy reads in place of <uthash.h>: the same verbs, as functions of which it knows
 * nothing.
 *
 * uthash's macros are long, and correct only for a reason that no analyzer sees (a table's chains
 * hold its items). In their place it would report memory used after free in each loop that empties
 * a table. So it takes here that any item can be found, and looks at what we do with it. A verb
 * that is missing here does not compile in the linter: add it.
 */
#ifndef UTHASH_H
#define UTHASH_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct UT_hash_bucket {
    struct UT_hash_handle *hh_head;
} UT_hash_bucket;

typedef struct UT_hash_table {
    UT_hash_bucket *buckets;
    unsigned num_buckets;
} UT_hash_table;

typedef struct UT_hash_handle {
    UT_hash_table *tbl;
    struct UT_hash_handle *next, *hh_next;
    const void *key;
    unsigned keylen, hashv;
} UT_hash_handle;

/* Whatever is asked for: an item, a table, NULL. What it is given stays reachable. */
void *uthash_any(const void *table, const void *key_or_item);
unsigned uthash_count(const void *table);

#define HASH_FIND(hh, head, key, length, found) ((found) = uthash_any((head), (key)))
#define HASH_FIND_STR(head, key, found) ((found) = uthash_any((head), (key)))
#define HASH_FIND_PTR(head, key, found) ((found) = uthash_any((head), (key)))
#define HASH_FIND_INT(head, key, found) ((found) = uthash_any((head), (key)))

#define HASH_ADD(hh, head, field, length, item) ((head) = uthash_any((head), (item)))
#define HASH_ADD_KEYPTR(hh, head, key, length, item) ((head) = uthash_any((head), (item)))
#define HASH_ADD_KEYPTR_BYHASHVALUE(hh, head, key, length, hash, item)                             \
    ((head) = uthash_any((head), (item)))
#define HASH_ADD_STR(head, field, item) ((head) = uthash_any((head), (item)))
#define HASH_ADD_PTR(head, field, item) ((head) = uthash_any((head), (item)))
#define HASH_ADD_INT(head, field, item) ((head) = uthash_any((head), (item)))

#define HASH_DELETE(hh, head, item) ((head) = uthash_any((head), (item)))
#define HASH_DEL(head, item) ((head) = uthash_any((head), (item)))
#define HASH_CLEAR(hh, head) ((head) = NULL)
#define ELMT_FROM_HH(table, handle) uthash_any((table), (handle))
#define HASH_TO_BKT(hash, count, bucket) ((bucket) = (hash) & ((count) - 1))
#define HASH_COUNT(head) uthash_count(head)
#define HASH_CNT(hh, head) uthash_count(head)

#define HASH_ITER(hh, head, item, after)                                                           \
    for ((item) = uthash_any((head), NULL), (after) = uthash_any((item), NULL); (item) != NULL;    \
         (item) = (after), (after) = uthash_any(NULL, NULL))

#endif
