#include "scalers/kafka/known.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kafka/selection.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

int known_set_up(void **state)
{
    char reason[256];
    struct known *fixture = memory_new(sizeof(*fixture));
    fixture->client.rk =
        rd_kafka_new(RD_KAFKA_CONSUMER, rd_kafka_conf_new(), reason, sizeof(reason));
    assert_non_null(fixture->client.rk);
    fixture->client.max_partitions = KAFKA_SELECTION_MAX_PARTITIONS;
    fixture->client.memory.mappable_bytes = INFINITY;
    fixture->topics = (struct kafka_topics){
        .client = &fixture->client, .next_number = 1, .in_handle.memory = &fixture->client.memory};
    fixture->patterns.topics = &fixture->topics;
    *state = fixture;
    return 0;
}

int known_tear_down(void **state)
{
    struct known *fixture = *state;
    kafka_patterns_forget_old(&fixture->patterns, CLOCK_NEVER);
    kafka_topics_forget_old(&fixture->topics, CLOCK_NEVER);
    rd_kafka_destroy(fixture->client.rk);
    free(fixture);
    return 0;
}

uint64_t known_send_request(struct known *fixture)
{
    return fixture->topics.next_number++;
}
