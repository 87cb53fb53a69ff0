/*
 * The reader: keeps the credentials of calls up to date. It reads the objects that they follow from (resolve.h) when they are
 * needed first, and again while somebody needs them: what can be read stays in use when the API cannot be reached.
 * Each object is read once for all who need it, at most once per second.
 *
 * There is no watch of ScaledObjects: KEDA writes lastActiveTime of every active one at every poll.
 *
 * Threads: it has one of its own, on which it calls back. Its functions may be called from any, and never wait.
 */
#ifndef BACKLOG_KUBERNETES_READER_H
#define BACKLOG_KUBERNETES_READER_H

#include "base/text.h"
#include "config/credentials.h"
#include "kubernetes/api.h"

#include <stdbool.h>
#include <stdint.h>

struct reader_settings {
    struct kubernetes_api api;     /* taken */
    const char *cluster_namespace; /* of a ClusterTriggerAuthentication's Secrets; borrowed */
    bool reads_hpas;               /* of ScaledObjects: credentials have the replicas */
    /* News of the call that `key` names; the credentials are taken. False: must be called again later. */
    bool (*changed)(void *context, const char *key, size_t length, struct credentials *credentials);
    void *context;
};

/* A call, as reader_add() copies it. */
struct reader_call {
    const char *key; /* who it is; any bytes */
    size_t key_length;
    const char *namespace;
    const char *name;
    const struct option_entry *entries;
    size_t count;
    const struct option
        *table; /* stays; NULL: it needs no credentials, only what is known of the HPA */
};

struct reader_stats {
    size_t calls[CREDENTIALS_REFUSED + 1]; /* that need credentials, by their state */
    size_t objects;                        /* that are kept */
    size_t failing;                        /* of them, those that could not be read last */
    uint64_t requests, failures;
    char failure[256]; /* the last one, while something is failing */
};

struct reader;

struct reader *reader_start(const struct reader_settings *settings);
void reader_stop(struct reader *reader); /* NULL is harmless */

void reader_add(struct reader *reader, const struct reader_call *call);
void reader_remove(struct reader *reader, const char *key, size_t length);

/* The source refused what the call's credentials say: its Secrets are read now, if that is a second ago. */
void reader_doubt(struct reader *reader, const char *key, size_t length);

void reader_stats(struct reader *reader, struct reader_stats *ret_stats);

#endif
