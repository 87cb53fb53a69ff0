/*
 * What the Kubernetes API sends about one Secret, and the connections that are in it: each of its keys is a
 * connections file.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_KUBERNETES_SECRET_H
#define BACKLOG_KUBERNETES_SECRET_H

#include "base/error.h"
#include "config/connections.h"

#include <stdbool.h>
#include <stddef.h>

enum secret_event {
    SECRET_UNCHANGED, /* a bookmark: only the version is new */
    SECRET_IS,        /* there is one, with these connections */
    SECRET_IS_GONE,
    SECRET_EXPIRED, /* the version is too old: list again */
};

struct secret_news {
    enum secret_event event;
    struct connections *connections; /* of SECRET_IS; whoever gets it frees it */
    char *version;                   /* resourceVersion; NULL: none was given */
};

void secret_news_done(struct secret_news *news);

/* The answer of a list that is limited to the Secret's name. */
bool secret_parse_list(const char *text, size_t length, const char *namespace, const char *name,
                       struct secret_news *ret_news, struct error *error);

/* A line of a watch. */
bool secret_parse_event(const char *text, size_t length, const char *namespace, const char *name,
                        struct secret_news *ret_news, struct error *error);

/* The message of a refusal (a Status), which names no secret; the caller frees it. */
char *secret_parse_status(const char *text, size_t length);

#endif
