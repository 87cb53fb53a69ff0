/*
 * A feed that a fuzzer gives to a scaler. It aborts where the scaler breaks its contract
 * (measure/task.h): a task ends twice, or with neither a reading nor an error in words, or a
 * stranger is notified. Each task and its query are memory of their own that is freed with its end,
 * so the sanitizers see who touches it later.
 *
 * Threads: one.
 */
#ifndef BACKLOG_TEST_FUZZ_FEED_H
#define BACKLOG_TEST_FUZZ_FEED_H

#include "measure/scaler.h"

struct fuzz_query {
    const void *options;
    const struct option_values *values;
};

typedef bool fuzz_measure(void *client, struct feed *feed, struct error *error);

struct fuzz_feed;

/* The queries are borrowed. */
struct fuzz_feed *fuzz_feed_new(const struct scaler *scaler, const struct fuzz_query *queries,
                                size_t count);
void fuzz_feed_free(struct fuzz_feed *feed);

/* Has each query measured once, and those that are notified or returned a few times more. Where
 * anything is subscribed to, it goes on for `ms`. Returns whether the client is usable. */
bool fuzz_feed_run(struct fuzz_feed *feed, fuzz_measure *measure, void *client, int64_t ms);

/* Of what was measured. */
void require_counts(const struct reading *reading);

#endif
