/*
 * Subjects: on which the messages that a consumer waits for are published, as the stream and the consumer
 * say themselves. What is not known yet is asked for, and known soon.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_SUBJECTS_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_SUBJECTS_H

#include "base/error.h"
#include "options.h"

#include <nats/nats.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nats_subjects;

/* Asks over the connection, which outlives it. NULL: the connection is of no use. */
struct nats_subjects *nats_subjects_new(natsConnection *connection);
void nats_subjects_free(struct nats_subjects *subjects);

/* Takes the answers that have come, or that come until then to what was asked since the last time. */
void nats_subjects_update(struct nats_subjects *subjects, int64_t wait_until_ms);

/* They are the table's until it is updated. */
struct nats_subject_list {
    char **items;
    size_t count;
};

enum nats_subjects_state {
    NATS_SUBJECTS_KNOWN,
    NATS_SUBJECTS_ASKED,      /* update, and come again */
    NATS_SUBJECTS_IMPOSSIBLE, /* the error says why */
};

enum nats_subjects_state nats_subjects_find(struct nats_subjects *subjects,
                                            const struct nats_query_options *query,
                                            const struct nats_subject_list **ret_list,
                                            struct error *error);

/* What the answer to STREAM.INFO or CONSUMER.INFO says; the caller frees the list. */
struct nats_subjects_told {
    struct nats_subject_list list;
    bool transformed; /* messages are stored under another subject than they were published on */
    bool comes_from_afar; /* the stream is a mirror, or has sources */
};

bool nats_subjects_parse(const char *bytes, size_t length, struct nats_subjects_told *ret_told);
void nats_subjects_told_done(struct nats_subjects_told *told);

#endif
