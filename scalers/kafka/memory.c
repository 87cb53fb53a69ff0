#include "kafka/memory.h"

#include "kafka/selection.h"

#include <math.h>

double kafka_memory_known(double mappable_bytes)
{
    enum { ANY_AGENT = KAFKA_MEMORY_OTHERS - KAFKA_MEMORY_FREE }; /* beside its main handle */
    return isnan(mappable_bytes) ? ANY_AGENT : mappable_bytes;
}

size_t kafka_memory_max_partitions(double mappable_bytes)
{
    enum { ROUND = 100 }; /* as an error names it */
    double bytes = kafka_memory_known(mappable_bytes);
    double partitions = (bytes - KAFKA_MEMORY_FREE) / KAFKA_MEMORY_PER_PARTITION;
    return (size_t)fmax(0, fmin(partitions, KAFKA_SELECTION_MAX_PARTITIONS)) / ROUND * ROUND;
}

size_t kafka_memory_max_commits(double mappable_bytes)
{
    /* 2.5 MB. A coordinator that hangs costs much more than that: both sides of space.h are full,
     * two handles have abandoned calls, and former ones are not gone yet. 8,000 groups of one
     * partition took up to 22 of 28 MiB beside the program; with twice as much here up to 27 MiB,
     * or they ended the process. Where there is more memory, three times what a partition needs:
     * other things grow, too. */
    enum { ALWAYS = 5000, PER_COMMIT = 3 * KAFKA_MEMORY_PER_COMMIT };
    double more_bytes = mappable_bytes - KAFKA_MEMORY_OTHERS;
    return ALWAYS +
           (isfinite(more_bytes) && more_bytes > 0 ? (size_t)(more_bytes / PER_COMMIT) : 0);
}

bool kafka_memory_has_for_handle(double free_bytes, size_t partitions, size_t brokers)
{
    return free_bytes >= (double)partitions * KAFKA_MEMORY_PER_PARTITION +
                             (double)brokers * KAFKA_MEMORY_PER_BROKER + KAFKA_MEMORY_FREE;
}

double kafka_memory_of_handle(size_t brokers)
{
    return KAFKA_MEMORY_PER_HANDLE + (double)brokers * KAFKA_MEMORY_PER_BROKER;
}

/* The process does not know its own limit, and what the main handle took is an estimate. So "named"
 * is what is well above KAFKA_MEMORY_OTHERS. For example, with 350 brokers a named connection has
 * 27 MiB left, and its main handle took 69 MiB. */
const char *kafka_memory_advice(double mappable_bytes, size_t first_brokers)
{
    enum { NAMED_FROM = KAFKA_MEMORY_NAMED / 2 };
    _Static_assert(NAMED_FROM > KAFKA_MEMORY_OTHERS * 3 / 2, "the estimate may be half too large");
    return mappable_bytes + kafka_memory_of_handle(first_brokers) < NAMED_FROM
               ? "a connection of the connections file has memory for more"
               : "select fewer topics, or distribute the triggers over several connections";
}
