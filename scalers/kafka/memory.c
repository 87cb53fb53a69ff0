#include "kafka/memory.h"

#include "kafka/selection.h"

#include <assert.h>
#include <math.h>
#include <sys/param.h>

void kafka_memory_init(struct kafka_memory *memory, double mappable_bytes)
{
    enum { MAIN_HANDLE = 4 << 20, ANY_AGENT = KAFKA_MEMORY_OTHERS - MAIN_HANDLE };
    *memory =
        (struct kafka_memory){.mappable_bytes = isnan(mappable_bytes) ? ANY_AGENT : mappable_bytes};
}

void kafka_memory_add(struct kafka_memory *memory, enum kafka_memory_account account, double bytes)
{
    memory->bytes[account] += bytes;
    assert(memory->bytes[account] >= 0);
}

static double tasks_bytes(const struct kafka_memory *memory)
{
    return memory->bytes[KAFKA_ACCOUNT_BATCHES] + (double)memory->waiting * KAFKA_MEMORY_PER_TASK;
}

void kafka_memory_note_tasks(struct kafka_memory *memory, size_t query_bytes, size_t waiting)
{
    memory->queries_bytes = (double)query_bytes;
    memory->waiting = waiting;
    memory->most_tasks_bytes = fmax(memory->most_tasks_bytes, tasks_bytes(memory));
}

void kafka_memory_fade_tasks(struct kafka_memory *memory, int64_t passed_ms)
{
    enum { FADE_MS = 60 * 1000 };
    memory->most_tasks_bytes *= exp(-(double)passed_ms / FADE_MS);
}

void kafka_memory_note_brokers(struct kafka_memory *memory, size_t brokers)
{
    memory->brokers = MAX(memory->brokers, brokers);
    if (memory->first_brokers == 0)
        memory->first_brokers = brokers;
}

void kafka_memory_note_partitions(struct kafka_memory *memory, size_t partitions)
{
    memory->partitions = partitions;
}

void kafka_memory_note_commits(struct kafka_memory *memory, size_t partitions)
{
    memory->commits = partitions;
}

/* What brokers that joined later take in the main handle, queries, clocks, patterns, subscriptions,
 * abandoned requests, and members. */
static double used_bytes(const struct kafka_memory *memory)
{
    return (double)(memory->brokers - memory->first_brokers) * KAFKA_MEMORY_PER_BROKER +
           memory->queries_bytes + memory->bytes[KAFKA_ACCOUNT_CLOCKS] +
           memory->bytes[KAFKA_ACCOUNT_PATTERNS] + memory->bytes[KAFKA_ACCOUNT_SUBSCRIPTIONS] +
           memory->bytes[KAFKA_ACCOUNT_ABANDONED] + memory->bytes[KAFKA_ACCOUNT_MEMBERS];
}

double kafka_memory_free_bytes(const struct kafka_memory *memory)
{
    return memory->mappable_bytes - (double)memory->partitions * KAFKA_MEMORY_PER_PARTITION -
           used_bytes(memory) - tasks_bytes(memory) - memory->bytes[KAFKA_ACCOUNT_HANDLES] -
           memory->bytes[KAFKA_ACCOUNT_FETCHERS];
}

double kafka_memory_of_handle(const struct kafka_memory *memory)
{
    return KAFKA_MEMORY_PER_HANDLE + (double)memory->brokers * KAFKA_MEMORY_PER_BROKER;
}

double kafka_memory_kept(const struct kafka_memory *memory)
{
    size_t threads = MIN(memory->brokers, KAFKA_MEMORY_THREADS);
    return KAFKA_MEMORY_ANSWERS + (double)threads * KAFKA_MEMORY_PER_THREAD;
}

/* Of handles beside the main one and the fetchers: one has memory, whether it is there or not. */
static double side_bytes(const struct kafka_memory *memory)
{
    return fmax(memory->bytes[KAFKA_ACCOUNT_HANDLES], kafka_memory_of_handle(memory));
}

/* ---- topics ---- */

enum { PER_TOPIC_PARTITION = KAFKA_MEMORY_PER_PARTITION + KAFKA_MEMORY_PER_COMMIT };

size_t kafka_memory_max_partitions(const struct kafka_memory *memory)
{
    enum { ROUND = 100 }; /* as an error names it */
    double partitions = (memory->mappable_bytes - KAFKA_MEMORY_FREE) / PER_TOPIC_PARTITION;
    return (size_t)fmax(0, fmin(partitions, KAFKA_SELECTION_MAX_PARTITIONS)) / ROUND * ROUND;
}

/* Topics leave KAFKA_MEMORY_FREE. They leave more where fetchers, another handle (there now, or
 * not) and what is kept need that: from 10 brokers on they do without any fetcher. */
double kafka_memory_room(const struct kafka_memory *memory)
{
    double left_bytes = fmax(KAFKA_MEMORY_FREE, memory->bytes[KAFKA_ACCOUNT_FETCHERS] +
                                                    side_bytes(memory) + kafka_memory_kept(memory));
    return (memory->mappable_bytes - used_bytes(memory) -
            fmax(memory->most_tasks_bytes, tasks_bytes(memory)) - left_bytes) /
               PER_TOPIC_PARTITION -
           (double)memory->partitions;
}

bool kafka_memory_has_beside_topics(const struct kafka_memory *memory, double bytes)
{
    return kafka_memory_room(memory) * PER_TOPIC_PARTITION >= bytes;
}

/* ---- handles ---- */

static bool has_beside_commits(const struct kafka_memory *memory, double bytes)
{
    return kafka_memory_free_bytes(memory) >=
           bytes + (double)memory->commits * KAFKA_MEMORY_PER_COMMIT;
}

bool kafka_memory_has_for_main_handle(const struct kafka_memory *memory, size_t partitions)
{
    return has_beside_commits(memory, (double)partitions * KAFKA_MEMORY_PER_PARTITION +
                                          kafka_memory_of_handle(memory) + KAFKA_MEMORY_FREE);
}

bool kafka_memory_has_for_side_handle(const struct kafka_memory *memory)
{
    return has_beside_commits(memory, kafka_memory_of_handle(memory) + kafka_memory_kept(memory));
}

/* Another handle, which may be there now or not, has memory in any case. */
bool kafka_memory_has_for_fetchers(const struct kafka_memory *memory, double bytes)
{
    double left_bytes = side_bytes(memory) + kafka_memory_kept(memory) +
                        (double)memory->commits * KAFKA_MEMORY_PER_COMMIT;
    return kafka_memory_free_bytes(memory) + memory->bytes[KAFKA_ACCOUNT_HANDLES] >=
           bytes + fmax(KAFKA_MEMORY_FREE, left_bytes);
}

/* ---- members ---- */

bool kafka_memory_has_for_members(const struct kafka_memory *memory, double bytes)
{
    double handle_bytes = side_bytes(memory) - memory->bytes[KAFKA_ACCOUNT_HANDLES];
    return kafka_memory_has_beside_topics(memory, bytes + KAFKA_MEMORY_MORE_TOPICS) &&
           has_beside_commits(memory, bytes + kafka_memory_kept(memory) + KAFKA_MEMORY_HOLES +
                                          handle_bytes);
}

/* ---- commits ---- */

/* 2.5 MB in 28 MiB. Where there is more memory, three times what a partition needs: other things
 * grow, too. */
size_t kafka_memory_most_commits(const struct kafka_memory *memory)
{
    enum { ALWAYS = 5000, PER_COMMIT = 3 * KAFKA_MEMORY_PER_COMMIT };
    double more_bytes = memory->mappable_bytes - KAFKA_MEMORY_OTHERS;
    return ALWAYS +
           (isfinite(more_bytes) && more_bytes > 0 ? (size_t)(more_bytes / PER_COMMIT) : 0);
}

enum {
    LEAST_COMMITS = 1000,
    PER_COMMIT_OF_SIDES = 2 * KAFKA_MEMORY_PER_COMMIT,
};

size_t kafka_memory_max_commits(const struct kafka_memory *memory, bool has_second_handle)
{
    double bytes = kafka_memory_free_bytes(memory) - kafka_memory_kept(memory) -
                   KAFKA_MEMORY_HOLES - (has_second_handle ? 0 : kafka_memory_of_handle(memory));
    return (size_t)fmin(fmax(bytes / PER_COMMIT_OF_SIDES, LEAST_COMMITS),
                        (double)kafka_memory_most_commits(memory));
}

/* ---- tasks ---- */

double kafka_memory_for_tasks(const struct kafka_memory *memory)
{
    enum { SHARE = 10, FEW = 500 };
    double bytes = kafka_memory_free_bytes(memory) - kafka_memory_kept(memory) -
                   KAFKA_MEMORY_HOLES - kafka_memory_of_handle(memory) -
                   (double)LEAST_COMMITS * PER_COMMIT_OF_SIDES;
    double few_bytes =
        (double)FEW * KAFKA_MEMORY_PER_BEGUN_TASK - memory->bytes[KAFKA_ACCOUNT_BATCHES];
    return fmax(fmin(bytes, memory->mappable_bytes / SHARE), few_bytes);
}

/* ---- advice ---- */

/* The process does not know its own limit, and what the main handle took is an estimate. So "named"
 * is what is well above KAFKA_MEMORY_OTHERS. For example, with 350 brokers a named connection has
 * 27 MiB left, and its main handle took 69 MiB. */
const char *kafka_memory_advice(const struct kafka_memory *memory)
{
    enum { NAMED_FROM = KAFKA_MEMORY_NAMED / 2 };
    _Static_assert(NAMED_FROM > KAFKA_MEMORY_OTHERS * 3 / 2, "the estimate may be half too large");
    double main_handle_bytes =
        KAFKA_MEMORY_PER_HANDLE + (double)memory->first_brokers * KAFKA_MEMORY_PER_BROKER;
    return memory->mappable_bytes + main_handle_bytes < NAMED_FROM
               ? "a connection of the connections file has memory for more"
               : "select fewer topics, or distribute the triggers over several connections";
}
