/*
 * A source that a fuzzer plays: a scaler connects to it and measures it, and whatever it was answered, each
 * probe ends at most once, with a reading of counts or an error in words.
 *
 * Threads: one.
 */
#ifndef BACKLOG_TEST_FUZZ_SOURCE_H
#define BACKLOG_TEST_FUZZ_SOURCE_H

#include "measure/scaler.h"

enum { SOURCE_KEYS = 8, SOURCE_TRIGGERS = 4 };

/* What triggers ask of it. The connection is that of the first one; lists end with what is empty. */
struct source {
    const struct scaler *scaler;
    struct option_entry triggers[SOURCE_TRIGGERS][SOURCE_KEYS];
};

/* Connects, measures a few times, arms what can be armed and hears what it is told, and disconnects. `tell`
 * is called before the source is heard; NULL: it tells nothing of itself. */
void source_measure(const struct source *source, void (*tell)(void));

/* Of what was measured. */
void require_counts(const struct reading *reading);

#endif
