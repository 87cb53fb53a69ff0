/*
 * A lookup: a task of the management API, from the first request for it to its end, and what
 * becomes of it with each answer. Whether a 0 in these is believed is decided here (management.h
 * has a table). One that has ended is freed by its owner.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_LOOKUP_H
#define BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_LOOKUP_H

#include "measure/task.h"
#include "rabbitmq/management/counts.h"
#include "rabbitmq/options.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rabbitmq_leaders;
struct rabbitmq_matcher;
struct rabbitmq_pattern;
struct rabbitmq_rates;

/* The virtual host of a client. */
struct rabbitmq_vhost {
    char *name;
    char *path;                       /* of its queues */
    bool keeps_rates;                 /* the broker does: a queue without any had no messages yet */
    struct rabbitmq_leaders *leaders; /* of its quorum queues, as they were found so far */
    struct rabbitmq_rates *rates;     /* what they are bounded by */
};

/* What an answer has of a queue. */
enum rabbitmq_listed {
    RABBITMQ_UNLISTED,
    RABBITMQ_LISTED_INCOMPLETE, /* without a count that the query needs */
    RABBITMQ_LISTED_UNSETTLED,  /* with a 0 of a quorum queue that may be false (leaders.h) */
    RABBITMQ_LISTED_COUNTED,
};

/* Queues that match a pattern: two equal ones are of the same names. */
struct rabbitmq_matches {
    size_t count;
    uint64_t names; /* the sum of their hashes */
};

/* A queue that matches a pattern, and whose count is only to be had by a GET of its own: it is new,
 * and the statistics have nothing of it yet. */
struct rabbitmq_alone {
    char *name;
    struct rabbitmq_counts counts; /* as the statistics have them */
};

struct rabbitmq_lookup {
    struct task *task;
    const struct rabbitmq_query *query; /* until the task ends */
    enum rabbitmq_source source;
    bool needs_rates; /* the query needs them, or the task wants them: only statistics have any */
    int64_t taken_ms;
    int64_t sent_ms;    /* its first request; 0: none yet */
    int64_t request_ms; /* its last request */
    bool is_single;     /* requested alone, although others are listed */

    enum rabbitmq_doubt doubt; /* the worst of the answers that it is made of */

    /* While a listing is taken; of a pattern the first queue that was not counted. */
    enum rabbitmq_listed listed;
    struct rabbitmq_counts counts;
    char *uncounted; /* its name, of a pattern; NULL: all were counted */

    /* Of a pattern. */
    struct rabbitmq_pattern *pattern; /* while a listing is taken, and all names could be matched */
    struct error unmatched;           /* why one could not */
    bool has_pages;                   /* more than one, or no listing can have it */
    struct rabbitmq_aggregate aggregate; /* of the queues that were counted */
    struct rabbitmq_alone *alone;        /* the last of these is requested next... */
    size_t alone_count;
    size_t alone_capacity;
    bool is_alone;                   /* ... now */
    bool is_again;                   /* that GET is the second one */
    struct rabbitmq_matches matches; /* that this source has listed */
    struct rabbitmq_matches empty;   /* whose totals were all 0 */

    struct rabbitmq_lookup **list; /* where it is; NULL: nowhere yet */
    struct rabbitmq_lookup *prev, *next;
};

struct rabbitmq_lookup *rabbitmq_lookup_new(struct task *task, enum rabbitmq_source source);

/* Frees one or all of a list; the tasks have ended, or are abandoned. */
void rabbitmq_lookup_drop(struct rabbitmq_lookup *lookup);
void rabbitmq_lookup_drop_all(struct rabbitmq_lookup **list);

/* To the end of this list, from the one that it is in. */
void rabbitmq_lookup_move(struct rabbitmq_lookup *lookup, struct rabbitmq_lookup **list);

/* The path of a request for it alone (of a pattern: for its page); the caller frees it. */
char *rabbitmq_lookup_path(const struct rabbitmq_lookup *lookup,
                           const struct rabbitmq_vhost *vhost);

/* The path of the listing of all queues; the caller frees it. */
char *rabbitmq_lookup_listing_path(const struct rabbitmq_vhost *vhost, enum rabbitmq_source source);

/* From now on from the statistics. */
void rabbitmq_lookup_use_statistics(struct rabbitmq_lookup *lookup);

/* A listing can have it; otherwise it is to be requested alone. */
bool rabbitmq_lookup_is_listable(const struct rabbitmq_lookup *lookup);

enum rabbitmq_lookup_result {
    RABBITMQ_LOOKUP_ENDED,     /* its task has */
    RABBITMQ_LOOKUP_UNCOUNTED, /* so has its task: the statistics lack a count, or their 0 is not
                                  believed */
    RABBITMQ_LOOKUP_LACKING,   /* the totals lack a count: the statistics may have it */
    RABBITMQ_LOOKUP_NEXT,      /* a pattern's GET of a queue, or listing */
};

/* Takes the JSON of its queue, or of its page. `doubt` is of rabbitmq_preference_note_answer().
 * `can_be_listed`: where one page does not have all queues, a listing may. `ret_counted`: some
 * queue of the page had counts. */
enum rabbitmq_lookup_result rabbitmq_lookup_take_queue(struct rabbitmq_lookup *lookup,
                                                       const struct rabbitmq_vhost *vhost,
                                                       const json_t *queue,
                                                       enum rabbitmq_doubt doubt);
enum rabbitmq_lookup_result rabbitmq_lookup_take_page(struct rabbitmq_lookup *lookup,
                                                      const struct rabbitmq_vhost *vhost,
                                                      const json_t *page, enum rabbitmq_doubt doubt,
                                                      bool can_be_listed, bool *ret_counted);

/* Takes the totals of the queue of a pattern that was requested alone; NULL: it is gone. */
enum rabbitmq_lookup_result rabbitmq_lookup_take_alone(struct rabbitmq_lookup *lookup,
                                                       const struct rabbitmq_vhost *vhost,
                                                       const json_t *queue);

/* Of a pattern in a listing: a queue of it, and then its end. One that is stopped has taken too
 * long, and fails then. */
void rabbitmq_lookup_begin_listing(struct rabbitmq_lookup *lookup);
void rabbitmq_lookup_match(struct rabbitmq_lookup *lookup, struct rabbitmq_matcher *matcher,
                           const struct rabbitmq_vhost *vhost, const json_t *queue);
void rabbitmq_lookup_stop_matching(struct rabbitmq_lookup *lookup);
enum rabbitmq_lookup_result rabbitmq_lookup_take_matched(struct rabbitmq_lookup *lookup,
                                                         const struct rabbitmq_vhost *vhost,
                                                         enum rabbitmq_doubt doubt);

/* The same in two steps, for those of a listing: all are noted before the first ends. One that was
 * not is RABBITMQ_UNLISTED. */
void rabbitmq_lookup_note_listed(struct rabbitmq_lookup *lookup, const struct rabbitmq_vhost *vhost,
                                 const json_t *queue);
enum rabbitmq_lookup_result rabbitmq_lookup_take_listed(struct rabbitmq_lookup *lookup,
                                                        const struct rabbitmq_vhost *vhost,
                                                        enum rabbitmq_doubt doubt);

/* These end it. */
void rabbitmq_lookup_fail_missing(const struct rabbitmq_lookup *lookup,
                                  const struct rabbitmq_vhost *vhost);
void rabbitmq_lookup_fail(const struct rabbitmq_lookup *lookup, const struct error *error);

#endif
