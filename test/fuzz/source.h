/*
 * A source that a fuzzer plays: a scaler connects to it and measures it, and whatever it replies,
 * the scaler keeps its contract (feed.h), and each task ends with a reading of counts or an error
 * in words.
 *
 * Threads: one.
 */
#ifndef BACKLOG_TEST_FUZZ_SOURCE_H
#define BACKLOG_TEST_FUZZ_SOURCE_H

#include "feed.h"

enum { SOURCE_KEYS = 8, SOURCE_TRIGGERS = 4 };

/* What triggers ask of it. The connection is that of the first one; lists end with what is empty.
 */
struct source {
    const struct scaler *scaler;
    struct option_entry triggers[SOURCE_TRIGGERS][SOURCE_KEYS];
};

/* Connects, measures a few times, subscribes where it can, and disconnects. */
void source_measure(const struct source *source);

/* The same of queries of one connection; a client that is usable has `rounds`. An error of
 * connecting is the caller's. */
void source_measure_queries(const struct scaler *scaler, const void *connection,
                            const struct fuzz_query *queries, size_t count, int rounds,
                            struct error *error);

#endif
