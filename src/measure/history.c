#include "measure/history.h"

#include "base/memory.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* A reading as an array, whose mask is 16 bits. */
enum { FIELDS = sizeof(struct reading) / sizeof(double) };
_Static_assert(FIELDS <= 16, "more fields than a mask has");
_Static_assert(offsetof(struct reading, value) == (FIELDS - 1) * sizeof(double),
               "`value` must be the last field, and every field a double");

/* Samples of a tier are moved to the next one at max_age_ms. Of the samples in one step of time a
 * tier keeps the last one. */
static const struct {
    int max_age_ms;
    int step_ms;
} tiers[HISTORY_TIERS] = {
    {10 * 60 * 1000, 1000},
    {30 * 60 * 1000, 15 * 1000},
    {HISTORY_SPAN_MS, 60 * 1000},
};

/* Samples of one series and tier. The words of a sample: the time since base_ms, with the bit
 * FAILED if measuring failed; and, unless it failed, a float for each field in the mask. */
struct history_chunk {
    struct history_chunk *newer;       /* of the same series and tier */
    struct history_chunk *next, *prev; /* of the same tier, by when they were taken from the pool */
    struct history_series *series;
    int64_t base_ms;
    uint16_t mask; /* of the reading's fields */
    uint8_t tier;
    uint8_t used;  /* words */
    uint8_t last;  /* the first word of the last sample */
    uint8_t count; /* samples */
    uint32_t words[];
};

enum { WORDS = (HISTORY_CHUNK_BYTES - sizeof(struct history_chunk)) / sizeof(uint32_t) };

#define FAILED ((uint32_t)1 << 31)

struct history {
    pthread_mutex_t lock;
    size_t max_chunks;
    size_t chunks;
    struct history_chunk *by_tier[HISTORY_TIERS]; /* utlist: the oldest first */
    uint64_t dropped;
    double consumed;
};

/* ---- samples as words ---- */

static uint16_t mask_of(const struct history_sample *sample)
{
    double fields[FIELDS];
    uint16_t mask = 0;
    memcpy(fields, &sample->reading, sizeof(fields));
    for (int i = 0; !sample->is_failed && i < FIELDS; i++)
        mask |= (uint16_t)(isnan(fields[i]) ? 0 : 1 << i);
    return mask;
}

static size_t words_of(uint16_t mask, bool is_failed)
{
    return 1 + (is_failed ? 0 : (size_t)__builtin_popcount(mask));
}

static void encode_sample(struct history_chunk *chunk, const struct history_sample *sample)
{
    double fields[FIELDS];
    uint32_t *word = &chunk->words[chunk->used];
    memcpy(fields, &sample->reading, sizeof(fields));
    *word++ = (uint32_t)(sample->at_ms - chunk->base_ms) | (sample->is_failed ? FAILED : 0);
    for (int i = 0; !sample->is_failed && i < FIELDS; i++)
        if (chunk->mask & 1 << i) {
            float value = (float)fields[i];
            memcpy(word++, &value, sizeof(value));
        }
    chunk->last = chunk->used;
    chunk->used = (uint8_t)(word - chunk->words);
    chunk->count++;
}

/* Decodes the sample that begins at the word `at`. Returns where the next sample begins. */
static size_t decode_sample(const struct history_chunk *chunk, size_t at,
                            struct history_sample *ret_sample)
{
    double fields[FIELDS];
    const uint32_t *word = &chunk->words[at];
    ret_sample->at_ms = chunk->base_ms + (int64_t)(*word & ~FAILED);
    ret_sample->is_failed = (*word++ & FAILED) != 0;
    for (int i = 0; i < FIELDS; i++) {
        float value = NAN;
        if (!ret_sample->is_failed && (chunk->mask & 1 << i))
            memcpy(&value, word++, sizeof(value));
        fields[i] = (double)value;
    }
    memcpy(&ret_sample->reading, fields, sizeof(fields));
    return (size_t)(word - chunk->words);
}

/* ---- the pool ---- */

struct history *history_new(size_t max_bytes)
{
    struct history *history = memory_new(sizeof(*history));
    history->max_chunks = max_bytes / HISTORY_CHUNK_BYTES;
    pthread_mutex_init(&history->lock, NULL);
    return history;
}

void history_free(struct history *history)
{
    if (history == NULL)
        return;
    pthread_mutex_destroy(&history->lock);
    free(history);
}

/* Removes the oldest chunk of a series' tier from the series and the pool. The caller frees it. */
static struct history_chunk *take_oldest(struct history *history, struct history_series *series,
                                         int tier)
{
    struct history_chunk *chunk = series->tiers[tier].oldest;
    series->tiers[tier].oldest = chunk->newer;
    if (chunk->newer == NULL)
        series->tiers[tier].newest = NULL;
    DL_DELETE(history->by_tier[tier], chunk);
    history->chunks--;
    return chunk;
}

static void begin_chunk(struct history_chunk *chunk, const struct history_sample *first)
{
    chunk->base_ms = first->at_ms;
    chunk->mask = mask_of(first);
}

static void append_chunk(struct history_series *series, int tier, struct history_chunk *chunk)
{
    if (series->tiers[tier].newest != NULL)
        series->tiers[tier].newest->newer = chunk;
    else
        series->tiers[tier].oldest = chunk;
    series->tiers[tier].newest = chunk;
}

static struct history_chunk *add_chunk(struct history *history, struct history_series *series,
                                       int tier, const struct history_sample *first)
{
    struct history_chunk *chunk = memory_new(HISTORY_CHUNK_BYTES);
    chunk->series = series;
    begin_chunk(chunk, first);
    chunk->tier = (uint8_t)tier;
    append_chunk(series, tier, chunk);
    DL_APPEND(history->by_tier[tier], chunk);
    history->chunks++;
    return chunk;
}

/* The sample may be older than the chunk: a walk over many queries notes a failure with the time at
 * which the walk began, and meanwhile newer chunks may have been moved into the series. */
static bool has_room(const struct history_chunk *chunk, const struct history_sample *sample)
{
    uint16_t mask = mask_of(sample);
    return chunk != NULL && (mask | chunk->mask) == chunk->mask &&
           sample->at_ms >= chunk->base_ms && sample->at_ms - chunk->base_ms < (int64_t)FAILED &&
           chunk->used + words_of(chunk->mask, sample->is_failed) <= WORDS;
}

/* Also sets `last` to the sample before: newest_ms() may read it before another sample comes. */
static void drop_last(struct history_chunk *chunk)
{
    chunk->used = chunk->last;
    chunk->count--;
    for (size_t at = 0; at < chunk->used;
         at += words_of(chunk->mask, (chunk->words[at] & FAILED) != 0))
        chunk->last = (uint8_t)at;
}

/* Drops the last sample if the new one is in the same step, and both failed or both succeeded. */
static void drop_replaced(struct history_chunk *chunk, const struct history_sample *sample,
                          int64_t step_ms)
{
    struct history_sample last;
    if (chunk == NULL || chunk->count == 0)
        return;
    decode_sample(chunk, chunk->last, &last);
    if (last.at_ms / step_ms == sample->at_ms / step_ms && last.is_failed == sample->is_failed)
        drop_last(chunk);
}

static void append_sample(struct history *history, struct history_series *series, int tier,
                          const struct history_sample *sample)
{
    struct history_chunk *chunk = series->tiers[tier].newest;
    drop_replaced(chunk, sample, tiers[tier].step_ms);
    if (chunk != NULL && chunk->count == 0)
        begin_chunk(chunk, sample);
    else if (!has_room(chunk, sample))
        chunk = add_chunk(history, series, tier, sample);
    encode_sample(chunk, sample);
}

/* Moves the samples of the oldest chunk to the next tier, which keeps fewer of them. */
static void demote_chunk(struct history *history, struct history_series *series, int tier)
{
    struct history_chunk *chunk = take_oldest(history, series, tier);
    struct history_sample sample;
    for (size_t at = 0; at < chunk->used;) {
        at = decode_sample(chunk, at, &sample);
        append_sample(history, series, tier + 1, &sample);
    }
    free(chunk);
}

static int64_t newest_ms(const struct history_chunk *chunk)
{
    struct history_sample last;
    decode_sample(chunk, chunk->last, &last);
    return last.at_ms;
}

static void age_series(struct history *history, struct history_series *series, int64_t now_ms)
{
    for (int tier = 0; tier < HISTORY_TIERS; tier++) {
        const struct history_chunk *oldest;
        while ((oldest = series->tiers[tier].oldest) != NULL &&
               now_ms - newest_ms(oldest) > tiers[tier].max_age_ms) {
            if (tier + 1 < HISTORY_TIERS)
                demote_chunk(history, series, tier);
            else
                free(take_oldest(history, series, tier));
        }
    }
}

/* Frees chunks until the pool is within its limit. It drops the oldest chunk of the coarsest tier
 * that has any; of another tier than the last one, it first moves the samples to the next tier. */
static void make_room(struct history *history, int64_t now_ms)
{
    while (history->chunks > history->max_chunks) {
        int tier = HISTORY_TIERS - 1;
        while (tier > 0 && history->by_tier[tier] == NULL)
            tier--;
        struct history_series *series = history->by_tier[tier]->series;
        if (tier + 1 < HISTORY_TIERS && history->by_tier[tier]->count > 1) {
            demote_chunk(history, series, tier);
            continue;
        }
        struct history_chunk *chunk = take_oldest(history, series, tier);
        if (now_ms - newest_ms(chunk) <= HISTORY_SPAN_MS)
            history->dropped += chunk->count;
        free(chunk);
    }
}

/* ---- what was consumed ---- */

/* An average in which older readings weigh less: half after 40 s, a third after a minute. */
static void update_average(double *rate, double now, int64_t gap_ms)
{
    const double minute_ms = 60 * 1000;
    double share = 1 - exp(-(double)gap_ms / minute_ms);
    *rate += share * (now - *rate);
}

static void count_rates(struct history_series *series, double waiting, int64_t gap_ms)
{
    double grown = (waiting - series->counted_waiting) * 1000 / (double)gap_ms;
    if (gap_ms <= 0 || !isfinite(grown))
        return;
    update_average(&series->arrival_rate, fmax(grown, 0), gap_ms);
    update_average(&series->consumption_rate, fmax(-grown, 0), gap_ms);
}

/* Messages consumed since the reading that counted last, which has the same partitions. */
static double consumed_since(const struct history_series *series, const struct reading *reading,
                             int64_t gap_ms)
{
    /* The rate of now is taken for the rate of at most so much time before. */
    enum { MAX_GAP_MS = 2 * 60 * 1000 };
    double counted = reading->consumed - series->counted_consumed;
    if (isfinite(counted))
        return fmax(counted, 0); /* less: the source counts from 0 again */
    if (!isnan(reading->consumption_rate))
        return reading->consumption_rate * (double)(gap_ms < MAX_GAP_MS ? gap_ms : MAX_GAP_MS) /
               1000;
    return series->counted_waiting > reading->waiting ? series->counted_waiting - reading->waiting
                                                      : 0;
}

static void count_consumed(struct history *history, struct history_series *series,
                           const struct reading *reading, int64_t at_ms)
{
    const struct reading before = {.partitions = series->counted_partitions};
    if (isnan(reading->consumed) && isnan(reading->consumption_rate) && isnan(reading->waiting))
        return;
    if (series->counted_at_ms > 0 && !reading_has_other_partitions(&before, reading)) {
        int64_t gap_ms = at_ms - series->counted_at_ms;
        double consumed = consumed_since(series, reading, gap_ms);
        count_rates(series, reading->waiting, gap_ms);
        series->consumed += consumed;
        history->consumed += consumed;
    }
    series->counted_at_ms = at_ms;
    series->counted_waiting = reading->waiting;
    series->counted_consumed = reading->consumed;
    series->counted_partitions = reading->partitions;
}

/* ---- the interface ---- */

void history_add(struct history *history, struct history_series *series,
                 const struct reading *reading, int64_t at_ms)
{
    if (history == NULL)
        return;
    struct history_sample sample = {
        .at_ms = at_ms, .is_failed = reading == NULL, .reading = READING_UNKNOWN};
    if (reading != NULL)
        sample.reading = *reading;
    pthread_mutex_lock(&history->lock);
    if (reading != NULL)
        count_consumed(history, series, reading, at_ms);
    age_series(history, series, at_ms);
    append_sample(history, series, 0, &sample);
    make_room(history, at_ms);
    pthread_mutex_unlock(&history->lock);
}

void history_drop(struct history *history, struct history_series *series)
{
    if (history == NULL)
        return;
    pthread_mutex_lock(&history->lock);
    for (int tier = 0; tier < HISTORY_TIERS; tier++)
        while (series->tiers[tier].oldest != NULL)
            free(take_oldest(history, series, tier));
    pthread_mutex_unlock(&history->lock);
    *series = (struct history_series){0};
}

static size_t count_samples(const struct history_series *series)
{
    size_t count = 0;
    for (int tier = 0; tier < HISTORY_TIERS; tier++)
        for (const struct history_chunk *chunk = series->tiers[tier].oldest; chunk != NULL;
             chunk = chunk->newer)
            count += chunk->count;
    return count;
}

static size_t count_chunks(const struct history_series *series)
{
    size_t count = 0;
    for (int tier = 0; tier < HISTORY_TIERS; tier++)
        for (const struct history_chunk *chunk = series->tiers[tier].oldest; chunk != NULL;
             chunk = chunk->newer)
            count++;
    return count;
}

static bool is_empty_series(const struct history_series *series)
{
    return count_chunks(series) == 0 && series->counted_at_ms == 0;
}

static void move_series(struct history_series *from, struct history_series *to)
{
    *to = *from;
    *from = (struct history_series){0};
    for (int tier = 0; tier < HISTORY_TIERS; tier++)
        for (struct history_chunk *chunk = to->tiers[tier].oldest; chunk != NULL;
             chunk = chunk->newer)
            chunk->series = to;
}

/* In the pool a copied chunk follows its original, as it is equally old. */
static void copy_series(struct history *history, const struct history_series *from,
                        struct history_series *to)
{
    *to = *from;
    memset(to->tiers, 0, sizeof(to->tiers));
    for (int tier = 0; tier < HISTORY_TIERS; tier++)
        for (struct history_chunk *chunk = from->tiers[tier].oldest; chunk != NULL;
             chunk = chunk->newer) {
            struct history_chunk *copied = memory_new(HISTORY_CHUNK_BYTES);
            memcpy(copied, chunk, HISTORY_CHUNK_BYTES);
            copied->series = to;
            copied->newer = NULL;
            append_chunk(to, tier, copied);
            DL_APPEND_ELEM(history->by_tier[tier], chunk, copied);
            history->chunks++;
        }
}

void history_move(struct history *history, struct history_series *from, struct history_series *to)
{
    if (history == NULL)
        return;
    pthread_mutex_lock(&history->lock);
    if (is_empty_series(to))
        move_series(from, to);
    pthread_mutex_unlock(&history->lock);
}

void history_copy(struct history *history, struct history_series *from, struct history_series *to)
{
    if (history == NULL)
        return;
    pthread_mutex_lock(&history->lock);
    bool fits = history->chunks + count_chunks(from) <= history->max_chunks;
    if (is_empty_series(to) && fits)
        copy_series(history, from, to);
    else if (is_empty_series(to))
        move_series(from, to);
    pthread_mutex_unlock(&history->lock);
}

size_t history_read(struct history *history, const struct history_series *series, int64_t from_ms,
                    struct history_sample **ret_samples)
{
    size_t count = 0;
    *ret_samples = NULL;
    if (history == NULL)
        return 0;
    pthread_mutex_lock(&history->lock);
    struct history_sample *samples = memory_array(count_samples(series) + 1, sizeof(*samples));
    for (int tier = HISTORY_TIERS - 1; tier >= 0; tier--)
        for (const struct history_chunk *chunk = series->tiers[tier].oldest; chunk != NULL;
             chunk = chunk->newer)
            for (size_t at = 0; at < chunk->used;) {
                at = decode_sample(chunk, at, &samples[count]);
                count += samples[count].at_ms >= from_ms;
            }
    pthread_mutex_unlock(&history->lock);
    *ret_samples = samples;
    return count;
}

void history_get_throughput(struct history *history, const struct history_series *series,
                            struct history_throughput *ret_throughput)
{
    *ret_throughput = (struct history_throughput){NAN, NAN, NAN};
    if (history == NULL)
        return;
    pthread_mutex_lock(&history->lock);
    if (series->counted_at_ms > 0)
        *ret_throughput = (struct history_throughput){series->consumed, series->arrival_rate,
                                                      series->consumption_rate};
    pthread_mutex_unlock(&history->lock);
}

void history_get_stats(struct history *history, struct history_stats *ret_stats)
{
    *ret_stats = (struct history_stats){0};
    if (history == NULL)
        return;
    pthread_mutex_lock(&history->lock);
    *ret_stats = (struct history_stats){
        .bytes = history->chunks * HISTORY_CHUNK_BYTES,
        .max_bytes = history->max_chunks * HISTORY_CHUNK_BYTES,
        .dropped = history->dropped,
        .consumed = history->consumed,
    };
    pthread_mutex_unlock(&history->lock);
}
