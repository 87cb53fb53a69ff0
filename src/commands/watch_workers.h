/*
 * The table of `backlog watch --workers`: pods, as a server with --workers lists them.
 *
 * Threads: one at a time.
 * Owner:   the table owns its rows.
 */
#ifndef BACKLOG_COMMANDS_WATCH_WORKERS_H
#define BACKLOG_COMMANDS_WATCH_WORKERS_H

#include "base/error.h"
#include "base/text.h"
#include "client/http_client.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct watch_worker {
    char *label; /* namespace/name of the object */
    char *pod;   /* "": none; the row is what is to be said of the object */
    char *state;
    char *reason; /* "": none */
    bool is_wrong;
    double restarts, age_s, done, cpu_cores, memory_bytes; /* NAN: not known */
};

struct watch_workers {
    struct watch_worker *items; /* by object and pod */
    size_t count, capacity;
    bool is_read; /* false: the server is still reading some */
};

bool watch_workers_fetch(struct http_client *client, struct watch_workers *ret_workers,
                         struct error *error);
void watch_workers_done(struct watch_workers *workers);

/* Whether object, pod, state or reason has the text; "" is in all. */
bool watch_worker_has(const struct watch_worker *worker, const char *text);

/* One line of at most `width` characters, without its end. NULL: the titles. */
void watch_worker_write(const struct watch_worker *worker, size_t pod_width, size_t width,
                        struct text *ret_line);

/* How wide their names are, within limits. */
size_t watch_pod_width(const void *const *workers, size_t count);

/* "3 workers, 1 pending" */
void watch_workers_sum(const struct watch_workers *workers, struct text *ret_line);

json_t *watch_worker_json(const struct watch_worker *worker);

#endif
