/*
 * The configuration of a stream or consumer, as far as measuring needs it: from the reply to
 * $JS.API.STREAM.INFO or CONSUMER.INFO.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_CONFIG_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

struct nats_subject_list {
    char **items;
    size_t count;
};

enum nats_replicas {
    NATS_REPLICAS_UNKNOWN,
    NATS_REPLICAS_ONE,
    NATS_REPLICAS_SEVERAL,
};

struct nats_config {
    struct nats_subject_list subjects; /* a stream's own, or those that a consumer filters by */
    bool has_subjects;   /* the list is complete: all are valid, and they are not too many */
    bool is_transformed; /* messages are stored under another subject than they were published on */
    bool is_remote;      /* the stream is a mirror, or has sources */
    enum nats_replicas replicas; /* of a stream */
};

/* What became of a request. */
enum nats_config_reply {
    NATS_CONFIG_NO_REPLY,
    NATS_CONFIG_LEARNED,
    NATS_CONFIG_UNUSABLE,
    NATS_CONFIG_ABSENT, /* there is no such stream or consumer */
    NATS_CONFIG_LATER,  /* any other error, such as that a leader is being elected */
    NATS_CONFIG_DENIED, /* the user has no right to request it */
};

/* Sets the configuration where it is learned; the caller ends it. */
enum nats_config_reply nats_config_parse(const char *bytes, size_t length,
                                         struct nats_config *ret_config);
void nats_config_done(struct nats_config *config);

#endif
