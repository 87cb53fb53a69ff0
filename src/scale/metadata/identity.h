/*
 * What makes a trigger itself: namespace, name and metadata, in any order. Every call
 * finds its trigger by it, so nothing is copied to look it up.
 *
 * Threads: any.
 */
#ifndef BACKLOG_SCALE_METADATA_IDENTITY_H
#define BACKLOG_SCALE_METADATA_IDENTITY_H

#include "base/error.h"
#include "config/option.h"

#include <stdbool.h>
#include <stddef.h>

/* A ScaledObjectRef. */
struct trigger_ref {
    const char *name;
    const char *namespace;
    struct option_entry *entries; /* will be sorted */
    size_t count;
};

/* The strings of a ref, one behind the other, each with its NUL. */
struct identity {
    char *bytes; /* NULL in one that was only prepared */
    size_t length;
    unsigned hash; /* keyed */
};

/* Sorts the ref's entries, and computes length and hash: the result has no bytes, and nothing to
 * free. Fails with ERROR_INVALID where a key is there twice, or a name has control characters or is
 * longer than those of Kubernetes. */
bool identity_prepare(const struct trigger_ref *ref, struct identity *ret_identity,
                      struct error *error);

/* Writes the bytes of this ref, of which the identity was prepared; identity_done() frees them. */
void identity_write(struct identity *identity, const struct trigger_ref *ref);
void identity_done(struct identity *identity);

/* The ref that was written, its strings borrowed; the caller frees the entries. */
struct trigger_ref identity_ref(const struct identity *identity);

/* Whether these are the bytes of the ref. Its identity was prepared, and they are as long. */
bool identity_is(const char *bytes, const struct trigger_ref *ref);

#endif
