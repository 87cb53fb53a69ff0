/*
 * What tests of pages share: triggers that are called for now, the page of one of them, and the
 * dashboard's rows. The table of triggers is that of scale/fixture.h.
 *
 * Threads: the test's, which runs under the turn lock at once.
 */
#ifndef BACKLOG_TEST_WEB_PAGES_H
#define BACKLOG_TEST_WEB_PAGES_H

#include "scale/fixture.h"
#include "web/content/trigger_walk.h"
#include "web/http/page.h"
#include "web/pages/trigger_rows.h"

#include <jansson.h>
#include <unistd.h>

/* A table of its own, of at most so many triggers. */
struct triggers *table_of(size_t max);

/* The loop whose turn lock a walk needs. */
struct fake_loop {
    bool is_busy;       /* nothing runs under the turn lock */
    useconds_t wait_us; /* for each turn */
    int turns;          /* that were asked for */
};

/* Of the triggers there are now. Without a loop each turn is had at once. */
struct trigger_walk *walk_of_triggers(struct fake_loop *loop);

/* Each call is now: what came before it is of the past. */
struct trigger *find_now(const char *const *pairs);

#define FIND_NOW(...) find_now((const char *const[]){__VA_ARGS__, NULL})
#define JOBS "scaler", "fake", "source", "a", "queueName", "jobs"

/* A number, or 0 and 1 of a boolean; NAN: there is none. */
double number_of(const json_t *object, const char *key);

/* Of the trigger, from the page of its ScaledObject; the caller frees it. */
json_t *page_of(const struct trigger *trigger,
                void (*get)(void *context, const struct page_request *request,
                            struct page_response *response),
                const char *list);

/* The rows of all triggers, as a reader gets them. The caller ends it. */
struct text read_rows(struct trigger_totals *ret_totals);

#endif
