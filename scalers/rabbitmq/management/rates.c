#include "rabbitmq/management/rates.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "measure/scaler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOK_MS = 1000,           /* between two looks, at least */
    SAMPLE_MS = 5000,         /* collect_statistics_interval */
    STILL_MS = 65 * 1000,     /* a minute is the longest interval that RabbitMQ recommends */
    KEPT_MS = 60 * 60 * 1000, /* after that a queue is gone, or measured by nobody */

    MAX_BYTES = 8 * 1024 * 1024, /* of about 50,000 queues; others are as seen for the first time */
};

struct counter {
    double count;
    double bound; /* of the rate, per second */
    int64_t seen_ms;
    int64_t grown_ms;
};

/* Of a queue. */
struct queue_rates {
    struct counter published, delivered;
    int64_t seen_ms;
    size_t bytes; /* of memory, with the name */
    UT_hash_handle hh;
    char queue[];
};

struct rabbitmq_rates {
    struct queue_rates *by_queue;
    int64_t drop_ms;
    size_t bytes; /* of all */
};

struct rabbitmq_rates *rabbitmq_rates_new(void)
{
    return memory_new(sizeof(struct rabbitmq_rates));
}

/* Those that were not seen since then. */
static void drop_before(struct rabbitmq_rates *rates, int64_t seen_ms)
{
    struct queue_rates *queue;
    struct queue_rates *next;
    HASH_ITER(hh, rates->by_queue, queue, next) {
        if (queue->seen_ms >= seen_ms)
            continue;
        /* The analyzer takes two elements of the table for the same.
         * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        HASH_DEL(rates->by_queue, queue);
        rates->bytes -= queue->bytes;
        free(queue);
    }
}

void rabbitmq_rates_free(struct rabbitmq_rates *rates)
{
    drop_before(rates, INT64_MAX);
    free(rates);
}

/* NULL: there are too many. */
static struct queue_rates *find(struct rabbitmq_rates *rates, const json_t *name, int64_t now_ms)
{
    struct queue_rates *queue;
    size_t length = json_string_length(name);
    size_t bytes = memory_heap_bytes(sizeof(*queue) + length);
    HASH_FIND(hh, rates->by_queue, json_string_value(name), length, queue);
    if (queue != NULL)
        return queue;
    if (now_ms >= rates->drop_ms) {
        drop_before(rates, now_ms - KEPT_MS);
        rates->drop_ms = now_ms + KEPT_MS;
    }
    if (rates->bytes + bytes > MAX_BYTES)
        return NULL;
    rates->bytes += bytes;
    queue = memory_new(sizeof(*queue) + length);
    queue->bytes = bytes;
    memcpy(queue->queue, json_string_value(name), length);
    /* As above.
     * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    HASH_ADD(hh, rates->by_queue, queue[0], length, queue);
    return queue;
}

/* Returns the rate, bounded. An unknown one stays unknown. */
static double bound(struct counter *counter, double count, double rate, int64_t now_ms)
{
    int64_t passed_ms = now_ms - counter->seen_ms;
    double growth = count - counter->count;
    if (isnan(count) || isnan(rate))
        return rate;
    if (counter->seen_ms == 0 || growth < 0) /* a smaller one has been reset */
        *counter = (struct counter){count, count, now_ms, now_ms};
    else if (passed_ms < LOOK_MS)
        counter->bound = fmax(counter->bound, growth);
    else {
        double seconds = (double)(passed_ms < SAMPLE_MS ? passed_ms : SAMPLE_MS) / 1000;
        if (growth > 0)
            counter->grown_ms = now_ms;
        if (growth > 0 || now_ms - counter->grown_ms >= STILL_MS)
            counter->bound = growth / seconds;
        counter->count = count;
        counter->seen_ms = now_ms;
    }
    return fmin(rate, counter->bound);
}

void rabbitmq_rates_bound(struct rabbitmq_rates *rates, const json_t *name,
                          struct rabbitmq_counts *counts, int64_t now_ms)
{
    struct queue_rates first = {0};
    struct queue_rates *queue = json_is_string(name) ? find(rates, name, now_ms) : NULL;
    if (queue == NULL)
        queue = &first;
    queue->seen_ms = now_ms;
    counts->publish_rate =
        bound(&queue->published, counts->published, counts->publish_rate, now_ms);
    counts->deliver_get_rate =
        bound(&queue->delivered, counts->delivered, counts->deliver_get_rate, now_ms);
}
