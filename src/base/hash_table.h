/*
 * uthash with the keyed hash of base/hash.h: whatever a table's keys are, outsiders cannot plan
 * ones that collide. Include this, and never <uthash.h> (tools/layers.py).
 *
 * Threads: none are involved; a table belongs to whoever declared it.
 */
#ifndef BACKLOG_BASE_HASH_TABLE_H
#define BACKLOG_BASE_HASH_TABLE_H

#include "base/hash.h"

#define HASH_FUNCTION(key, length, result) ((result) = (unsigned)hash_bytes((key), (length)))

#include <uthash.h>

#endif
