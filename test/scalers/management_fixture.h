/*
 * Queues of a peer (management_peer.h), and the client that measures them.
 *
 * Threads: one. Owner: the test; management_stop() ends what management_start() began.
 */
#ifndef BACKLOG_TEST_SCALERS_MANAGEMENT_FIXTURE_H
#define BACKLOG_TEST_SCALERS_MANAGEMENT_FIXTURE_H

#include "measure/scaler.h"
#include "scalers/management_peer.h"
#include "scalers/trigger.h"
#include "support/feed.h"

enum { MANAGEMENT_MAX_QUEUES = 64, MANAGEMENT_WITHIN_MS = 20000 };

extern const struct scaler scaler_rabbitmq;

struct management_fixture {
    struct management_peer peer;
    const char *timeout;
    const char *page_size;
    struct trigger triggers[MANAGEMENT_MAX_QUEUES];
    size_t count;
    struct test_feed *feed;
    void *client;
    struct error error;
};

void management_start(struct management_fixture *fixture, const char *timeout,
                      const struct management_script *script);
void management_stop(struct management_fixture *fixture);

/* A queue of this mode (those with rates are not in the totals), or a pattern, which begins with a
 * "^". */
void management_add_queue(struct management_fixture *fixture, const char *name, const char *mode);
void management_add_queues_from(struct management_fixture *fixture, const char *prefix,
                                size_t first, size_t count, const char *mode);
void management_add_queues(struct management_fixture *fixture, const char *prefix, size_t count,
                           const char *mode);

/* Once; connects where there is no client. */
void management_measure(struct management_fixture *fixture);

/* The peer's first queue, or a pattern of it, was measured: it is empty. It is measured next. */
void management_start_with_a_zero(struct management_fixture *fixture, const char *queue);

/* All tasks, once more. */
void management_measure_again(struct management_fixture *fixture);

/* The first task's zeros are doubted, twice. Ends with a client. */
void management_assert_doubted(struct management_fixture *fixture);

const struct test_task *management_task(const struct management_fixture *fixture, size_t index);

/* So many from this one on: queues by their numbers. */
void management_assert_answered_from(const struct management_fixture *fixture, size_t from,
                                     size_t first, size_t count);
void management_assert_answered(const struct management_fixture *fixture, size_t from,
                                size_t count);

/* With so many messages, and nothing else: what no task wanted is unknown, and not 0. */
void management_assert_only_counted(const struct management_fixture *fixture, size_t index,
                                    double messages);

#endif
