#include "scale/answer/peer_values.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "measure/scaler.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

struct peer_entry {
    struct peer_value value;
    UT_hash_handle hh;
};

struct peer_values {
    pthread_mutex_t lock;
    struct peer_entry *entries;
    atomic_uint_least64_t revision;
};

struct peer_values *peer_values_new(void)
{
    struct peer_values *values = memory_new(sizeof(*values));
    pthread_mutex_init(&values->lock, NULL);
    return values;
}

static void drop(struct peer_values *values, struct peer_entry *entry)
{
    HASH_DELETE(hh, values->entries, entry);
    free(entry);
}

void peer_values_free(struct peer_values *values)
{
    struct peer_entry *entry;
    struct peer_entry *next;
    if (values == NULL)
        return;
    HASH_ITER(hh, values->entries, entry, next)
        drop(values, entry);
    pthread_mutex_destroy(&values->lock);
    free(values);
}

int64_t peer_values_time_ms(int64_t age_ms, int64_t now_ms)
{
    bool is_age = age_ms >= 0 && age_ms < PEER_VALUES_MAX_AGE_MS;
    return now_ms - (is_age ? age_ms : PEER_VALUES_MAX_AGE_MS);
}

static bool is_sound(double value, int64_t at_ms, int64_t now_ms)
{
    return value >= 0 && value <= SCALER_MAX_VALUE && at_ms <= now_ms &&
           at_ms > now_ms - PEER_VALUES_MAX_AGE_MS;
}

/* Leaves those that are sound and in order. Returns how many. */
static size_t keep_sound(struct peak *peaks, size_t count, double max_value, int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const struct peak *peak = &peaks[i];
        const struct peak *before = kept == 0 ? NULL : &peaks[kept - 1];
        bool is_next =
            before == NULL || (peak->value < before->value && peak->at_ms >= before->at_ms);
        if (is_sound(peak->value, peak->at_ms, now_ms) && peak->value <= max_value && is_next)
            peaks[kept++] = *peak;
    }
    return kept;
}

static void merge(struct peer_value *known, const struct peer_value *value)
{
    struct policy_peaks *wanted = &known->policy_peaks;
    held_merge(&known->held, &value->held);
    wanted->count = peaks_merge(wanted->items, wanted->count, POLICY_MAX_PEAKS,
                                value->policy_peaks.items, value->policy_peaks.count);
}

bool peer_values_add(struct peer_values *values, const struct peer_value *value, int64_t now_ms)
{
    struct peer_entry *entry;
    struct peer_value sound = *value;
    struct held *held = &sound.held;
    struct policy_peaks *wanted = &sound.policy_peaks;
    if (!is_sound(held->value, held->since_ms, now_ms) || held->value == 0)
        return true;
    held->peaks_count =
        keep_sound(held->peaks, MIN(held->peaks_count, PEAKS_MAX), SCALER_MAX_VALUE, now_ms);
    wanted->count = keep_sound(wanted->items, MIN(wanted->count, POLICY_MAX_PEAKS),
                               POLICY_MAX_REPLICAS, now_ms);
    pthread_mutex_lock(&values->lock);
    HASH_FIND(hh, values->entries, value->digest, PEER_DIGEST_BYTES, entry);
    bool is_kept = entry != NULL || HASH_COUNT(values->entries) < PEER_VALUES_MAX;
    if (entry != NULL)
        merge(&entry->value, &sound);
    else if (is_kept) {
        entry = memory_new(sizeof(*entry));
        entry->value = sound;
        HASH_ADD_KEYPTR(hh, values->entries, entry->value.digest, PEER_DIGEST_BYTES, entry);
    }
    pthread_mutex_unlock(&values->lock);
    atomic_fetch_add(&values->revision, 1);
    return is_kept;
}

uint64_t peer_values_revision(const struct peer_values *values)
{
    return atomic_load(&values->revision);
}

struct peer_value *peer_values_take(struct peer_values *values,
                                    const uint8_t digest[PEER_DIGEST_BYTES])
{
    struct peer_entry *entry;
    struct peer_value *value = NULL;
    pthread_mutex_lock(&values->lock);
    HASH_FIND(hh, values->entries, digest, PEER_DIGEST_BYTES, entry);
    if (entry != NULL) {
        value = memory_new(sizeof(*value));
        *value = entry->value;
        drop(values, entry);
    }
    pthread_mutex_unlock(&values->lock);
    return value;
}

/* Of one bucket of the table; those that are too old go. */
static size_t list_bucket(struct peer_values *values, uint64_t bucket, size_t max, int64_t now_ms,
                          struct peer_value *ret_values)
{
    size_t count = 0;
    UT_hash_table *table = values->entries->hh.tbl;
    UT_hash_handle *next;
    for (UT_hash_handle *each = table->buckets[bucket].hh_head; each != NULL; each = next) {
        struct peer_entry *entry = ELMT_FROM_HH(table, each);
        next = each->hh_next; /* the table may end with its last entry */
        if (!is_sound(entry->value.held.value, entry->value.held.since_ms, now_ms))
            drop(values, entry);
        else if (count < max)
            ret_values[count++] = entry->value;
    }
    return count;
}

size_t peer_values_list(struct peer_values *values, uint64_t *next, int64_t now_ms,
                        struct peer_value ret_values[PEER_VALUES_LISTED])
{
    enum { ENOUGH = PEER_VALUES_LISTED * 3 / 4, BUCKETS_AT_ONCE = 10000 };
    size_t count = 0;
    uint64_t bucket = *next;
    uint64_t end = bucket + BUCKETS_AT_ONCE;
    pthread_mutex_lock(&values->lock);
    while (count < ENOUGH && bucket < end && values->entries != NULL &&
           bucket < values->entries->hh.tbl->num_buckets)
        count +=
            list_bucket(values, bucket++, PEER_VALUES_LISTED - count, now_ms, ret_values + count);
    bool has_more = values->entries != NULL && bucket < values->entries->hh.tbl->num_buckets;
    pthread_mutex_unlock(&values->lock);
    *next = has_more ? bucket : 0;
    return count;
}
