/*
 * Fetches what `backlog watch` shows, again and again, on a thread of its own, so that keys are
 * answered at once while the server is slow.
 *
 * Threads: the functions are for the thread that started it. Owner: the caller.
 */
#ifndef BACKLOG_COMMANDS_WATCH_FETCHER_H
#define BACKLOG_COMMANDS_WATCH_FETCHER_H

#include "commands/watch_form.h"

#include <stdint.h>

struct watch_fetcher;

/* Takes the client over. `interval_ms` is between two refreshes. */
struct watch_fetcher *watch_fetcher_start(struct http_client *client, const struct watch_form *form,
                                          int64_t interval_ms);
void watch_fetcher_stop(struct watch_fetcher *fetcher);

/* Readable when there is something to take. */
int watch_fetcher_descriptor(const struct watch_fetcher *fetcher);

/* Whether something was fetched since: a content, which the caller frees, or the error why not. */
bool watch_fetcher_take(struct watch_fetcher *fetcher, void **ret_content, struct error *error);

#endif
