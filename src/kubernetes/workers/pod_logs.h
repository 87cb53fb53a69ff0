/*
 * The logs of workers that somebody views: what was read last of the end of each, and which is
 * read next.
 *
 * Threads: one at a time; pure.
 */
#ifndef BACKLOG_KUBERNETES_WORKERS_POD_LOGS_H
#define BACKLOG_KUBERNETES_WORKERS_POD_LOGS_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POD_LOGS_MAX_READ = 16, POD_LOG_MAX_BYTES = 64 << 10 };

/* Of a reply, before its end is kept. */
enum { POD_LOG_MAX_REPLY = 1 << 20 };

struct pod_log {
    char *namespace, *pod, *container;
    int64_t viewed_ms; /* somebody did, last */
    int64_t due_ms;    /* when it is read again, while somebody views it */
    int lines;         /* of its end, to be requested */
    bool is_read;
    struct text text;
    struct error error; /* why it could not be read last */
    struct pod_log *next, *prev;
};

/* Start from {0}. */
struct pod_logs {
    struct pod_log *all; /* utlist */
    size_t count;
};

struct pod_log *pod_logs_find(const struct pod_logs *logs, const char *namespace,
                              const char *pod); /* NULL: none */

/* NULL with the error: others have all places. */
struct pod_log *pod_logs_add(struct pod_logs *logs, const char *namespace, const char *pod,
                             const char *container, struct error *error);
void pod_logs_forget(struct pod_logs *logs, int64_t before_ms); /* who looked last before */

/* The path that its end is read from. The caller frees it. */
char *pod_log_path(const struct pod_log *log);

/* What came of that; `error` is taken. It is due at once where the reply is no end of the log. */
void pod_log_set(struct pod_log *log, const struct text *reply, struct error *error,
                 int64_t now_ms);

#endif
