/*
 * What is known of topics and patterns by the answers that a test takes: nothing is sent.
 *
 * Threads: the test's.
 */
#ifndef BACKLOG_TEST_SCALERS_KAFKA_KNOWN_H
#define BACKLOG_TEST_SCALERS_KAFKA_KNOWN_H

#include "kafka/requests/patterns.h"
#include "kafka/requests/topics.h"

enum { KNOWN_NOW_MS = 1000 * 1000 };

struct known {
    struct kafka_client client;
    struct kafka_topics topics;
    struct kafka_patterns patterns;
};

/* For cmocka; the state is the struct. */
int known_set_up(void **state);
int known_tear_down(void **state);

/* Returns the number of the request. */
uint64_t known_send_request(struct known *fixture);

#endif
