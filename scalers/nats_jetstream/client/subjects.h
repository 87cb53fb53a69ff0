/*
 * Subjects: on which the messages that a consumer waits for are published, as the stream and the
 * consumer report themselves. What is not known yet is requested, and known soon.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_SUBJECTS_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_SUBJECTS_H

#include "base/error.h"
#include "nats_jetstream/client/connection.h"
#include "nats_jetstream/options.h"

#include <nats/nats.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nats_subjects;

/* Requests are sent over the connection, which outlives it. */
struct nats_subjects *nats_subjects_new(struct nats_client_connection *connection);
void nats_subjects_free(struct nats_subjects *subjects);

/* Takes a reply of the connection, or a right that is missing. False: it is of a request of
 * somebody else. */
bool nats_subjects_take(struct nats_subjects *subjects, uint64_t number, natsMsg *message);
bool nats_subjects_deny(struct nats_subjects *subjects, const struct nats_refusal *refusal);

/* They are the table's until it takes a reply, or is searched again. */
struct nats_subject_list {
    char **items;
    size_t count;
};

enum nats_subjects_state {
    NATS_SUBJECTS_KNOWN,
    NATS_SUBJECTS_REQUESTED,  /* try again soon */
    NATS_SUBJECTS_IMPOSSIBLE, /* the error says why */
};

enum nats_subjects_state nats_subjects_find(struct nats_subjects *subjects,
                                            const struct nats_query *query, int64_t now_ms,
                                            const struct nats_subject_list **ret_list,
                                            struct error *error);

/* From the reply to STREAM.INFO or CONSUMER.INFO; the caller frees the list. */
struct nats_subjects_info {
    struct nats_subject_list list;
    bool is_transformed; /* messages are stored under another subject than they were published on */
    bool is_remote;      /* the stream is a mirror, or has sources */
};

/* What a reply is worth. */
enum nats_subjects_reply {
    NATS_SUBJECTS_LEARNED,
    NATS_SUBJECTS_UNUSABLE,
    NATS_SUBJECTS_ABSENT, /* there is no such stream or consumer */
    NATS_SUBJECTS_LATER,  /* any other error, such as that a leader is being elected */
};

/* For tests, too. Sets the info where it is learned. */
enum nats_subjects_reply nats_subjects_parse(const char *bytes, size_t length,
                                             struct nats_subjects_info *ret_info);
void nats_subjects_info_done(struct nats_subjects_info *info);

#endif
