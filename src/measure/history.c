#include "measure/history.h"

#include "base/memory.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

/* A sample's fields: those of its reading, and its maxima. Each has a bit in the mask. */
enum {
    READING_FIELDS = sizeof(struct reading) / sizeof(double),
    MAX_WAITING = READING_FIELDS,
    MAX_IN_FLIGHT,
    FIELDS
};
_Static_assert(FIELDS <= 16, "more fields than a mask has");
_Static_assert(offsetof(struct reading, value) == (READING_FIELDS - 1) * sizeof(double),
               "`value` must be the last field, and every field a double");

/* The last bits of a row's first word, which is its time otherwise. */
enum { FAILED = 1, AFTER_GAP = 2, FLAG_BITS = 2 };

enum { STEP_MS = 1000, RATES_MS = 60 * 1000 };

static _Atomic size_t histories; /* of all connections: they share HISTORY_BYTES */

/* ---- rows ---- */

static size_t row_words(uint16_t mask)
{
    return 1 + (size_t)__builtin_popcount(mask);
}

static bool is_same(double left, double right)
{
    return left == right || (isnan(left) && isnan(right));
}

/* Sets what a sample has whose row has no such field. */
static void clear_fields(double fields[FIELDS])
{
    for (int i = 0; i < FIELDS; i++)
        fields[i] = NAN;
}

static void set_maxima(struct history_sample *sample)
{
    sample->max_waiting = recent_samples_waiting(&sample->reading);
    sample->max_in_flight = sample->reading.in_flight;
}

static uint16_t fields_of(const struct history_sample *sample, double fields[FIELDS])
{
    struct history_sample usual = *sample;
    uint16_t mask = 0;
    set_maxima(&usual);
    memcpy(fields, &sample->reading, sizeof(sample->reading));
    fields[MAX_WAITING] = sample->max_waiting;
    fields[MAX_IN_FLIGHT] = sample->max_in_flight;
    for (int i = 0; i < READING_FIELDS; i++)
        mask |= (uint16_t)(isnan(fields[i]) ? 0 : 1 << i);
    mask |= (uint16_t)(is_same(usual.max_waiting, sample->max_waiting) ? 0 : 1 << MAX_WAITING);
    mask |=
        (uint16_t)(is_same(usual.max_in_flight, sample->max_in_flight) ? 0 : 1 << MAX_IN_FLIGHT);
    return mask;
}

static uint64_t *row_at(const struct history *history, size_t index)
{
    return &history->words[index * row_words(history->mask)];
}

static int64_t time_at(const struct history *history, size_t index)
{
    return (int64_t)*row_at(history, index) >> FLAG_BITS;
}

static bool is_failed_at(const struct history *history, size_t index)
{
    return (*row_at(history, index) & FAILED) != 0;
}

static struct history_sample sample_at(const struct history *history, size_t index)
{
    const uint64_t *word = row_at(history, index);
    struct history_sample sample = {
        .at_ms = time_at(history, index),
        .is_failed = (*word & FAILED) != 0,
        .is_after_gap = (*word & AFTER_GAP) != 0,
    };
    double fields[FIELDS];
    clear_fields(fields);
    for (int i = 0; i < FIELDS; i++)
        if (history->mask & 1 << i)
            memcpy(&fields[i], ++word, sizeof(*word));
    memcpy(&sample.reading, fields, sizeof(sample.reading));
    set_maxima(&sample);
    if (history->mask & 1 << MAX_WAITING)
        sample.max_waiting = fields[MAX_WAITING];
    if (history->mask & 1 << MAX_IN_FLIGHT)
        sample.max_in_flight = fields[MAX_IN_FLIGHT];
    return sample;
}

static void set_sample(struct history *history, size_t index, const struct history_sample *sample)
{
    uint64_t *word = row_at(history, index);
    double fields[FIELDS];
    fields_of(sample, fields);
    *word = (uint64_t)sample->at_ms << FLAG_BITS | (sample->is_failed ? FAILED : 0) |
            (sample->is_after_gap ? AFTER_GAP : 0);
    for (int i = 0; i < FIELDS; i++)
        if (history->mask & 1 << i)
            memcpy(++word, &fields[i], sizeof(*word));
}

/* A field that no sample had so far. */
static void widen(struct history *history, uint16_t mask)
{
    struct history wide = *history;
    wide.mask |= mask;
    if (wide.mask == history->mask)
        return;
    wide.words = memory_array(history->capacity * row_words(wide.mask) + 1, sizeof(*wide.words));
    for (size_t i = 0; i < history->count; i++) {
        const struct history_sample sample = sample_at(history, i);
        set_sample(&wide, i, &sample);
    }
    free(history->words);
    *history = wide;
}

/* ---- room ---- */

static void resize(struct history *history, size_t capacity)
{
    size_t bytes = row_words(history->mask) * sizeof(*history->words);
    history->words = memory_resize(history->words, capacity * bytes);
    history->capacity = capacity;
}

static void drop_oldest(struct history *history, size_t count)
{
    size_t bytes = row_words(history->mask) * sizeof(*history->words);
    if (count == 0) /* there may be no words yet */
        return;
    history->count -= count;
    memmove(history->words, row_at(history, count), history->count * bytes);
}

/* Drops samples between two others of their kind, where these are not further apart than a share of
 * their age. */
static void thin(struct history *history, int64_t now_ms, size_t newest, size_t steps)
{
    size_t bytes = row_words(history->mask) * sizeof(*history->words);
    size_t kept = 1;
    for (size_t i = 1; i < history->count; i++) {
        bool is_old = i + newest < history->count;
        bool is_failed = is_failed_at(history, i);
        if (is_old && is_failed_at(history, kept - 1) == is_failed &&
            is_failed_at(history, i + 1) == is_failed &&
            time_at(history, i + 1) - time_at(history, kept - 1) <=
                (now_ms - time_at(history, i)) / (int64_t)steps) {
            *row_at(history, i + 1) |= AFTER_GAP;
            continue;
        }
        memmove(row_at(history, kept++), row_at(history, i), bytes);
    }
    history->count = kept;
}

static void make_room(struct history *history, int64_t now_ms)
{
    size_t share = HISTORY_BYTES / sizeof(uint64_t) / row_words(history->mask) / histories;
    size_t for_policies = history->interval_ms > 0 ? RECENT_SAMPLES_MAX : 0;
    size_t max = MAX(MIN(share, HISTORY_MAX_SAMPLES), for_policies + HISTORY_MIN_SAMPLES);
    size_t over = 0;
    if (history->count < history->capacity && history->count < max)
        return;
    while (over < history->count && now_ms - time_at(history, over) > HISTORY_SPAN_MS)
        over++;
    drop_oldest(history, over);
    for (size_t steps = max / 4; steps > 0 && history->count >= max; steps /= 2)
        thin(history, now_ms, MAX(for_policies, HISTORY_MIN_SAMPLES / 2), steps);
    if (history->count >= max) /* each is next to one of the other kind */
        drop_oldest(history, history->count - max / 2);
    if (history->count == history->capacity || history->capacity > max)
        resize(history, MIN(history->count + history->count / 2 + 4, max));
}

static void append(struct history *history, const struct history_sample *sample)
{
    double fields[FIELDS];
    make_room(history, sample->at_ms);
    widen(history, fields_of(sample, fields));
    set_sample(history, history->count++, sample);
}

/* ---- adding ---- */

struct history *history_new(void)
{
    struct history *history = memory_new(sizeof(*history));
    history->sent_ms = history->last.at_ms = history->before_ms = INT64_MIN;
    histories++;
    return history;
}

struct history *history_copy(const struct history *history)
{
    if (history == NULL)
        return NULL;
    struct history *copy = memory_new(sizeof(*copy));
    *copy = *history;
    copy->words = NULL;
    resize(copy, MAX(history->count, 1));
    if (history->count > 0)
        memcpy(copy->words, history->words,
               history->count * row_words(history->mask) * sizeof(*copy->words));
    histories++;
    return copy;
}

void history_free(struct history *history)
{
    if (history == NULL)
        return;
    histories--;
    free(history->words);
    free(history);
}

void history_add_gap(struct history *history)
{
    if (history != NULL)
        history->has_gap = true;
}

void history_add_failure(struct history *history, int64_t at_ms)
{
    if (history == NULL)
        return;
    struct history_sample sample = {.at_ms = at_ms, .is_failed = true, .reading = READING_UNKNOWN};
    set_maxima(&sample);
    history->has_gap = true;
    if (history->count > 0) {
        int64_t last_ms = time_at(history, history->count - 1);
        /* The walk over all queries of a connection has the time at which it began. */
        sample.at_ms = MAX(at_ms, last_ms);
        if (is_failed_at(history, history->count - 1) &&
            last_ms / STEP_MS == sample.at_ms / STEP_MS)
            history->count--;
    }
    append(history, &sample);
}

/* The larger one. If one is unknown, so is the result, unless the other one is above 0: an unknown
 * count must not look idle. */
static double max_or_unknown(double left, double right)
{
    bool is_unknown = isnan(left) || isnan(right);
    double known = fmax(left, right);
    return is_unknown && !(known > 0) ? NAN : known;
}

static bool is_gap(int64_t interval_ms, int64_t duration_ms, int64_t distance_ms);

/* Whether the reading joins the last sample. It does until it is a whole interval later than the
 * sample before that one. Example: with an interval of 5 s and samples at 0 and 3, a reading at 4
 * joins the second one, and one at 5 does not. */
static bool joins_last(const struct history *history, int64_t at_ms)
{
    int64_t interval_ms = history->interval_ms > 0 ? history->interval_ms : STEP_MS;
    return history->before_ms != INT64_MIN && at_ms - history->before_ms < interval_ms;
}

void history_add(struct history *history, int64_t at_ms, const struct reading *reading)
{
    struct history_sample sample = {.at_ms = at_ms, .reading = *reading};
    if (at_ms < history->sent_ms)
        return;
    history->sent_ms = at_ms;
    set_maxima(&sample);
    if (history->count > 0) /* notifications may come in the same millisecond */
        sample.at_ms = MAX(at_ms, time_at(history, history->count - 1) + 1);
    sample.is_after_gap = history->last.at_ms == INT64_MIN || history->has_gap ||
                          is_gap(history->interval_ms, history->duration_ms,
                                 sample.at_ms - history->last.at_ms - history->waited_ms);
    if (!sample.is_after_gap && joins_last(history, sample.at_ms)) {
        const struct history_sample *last = &history->last;
        sample.max_waiting = max_or_unknown(sample.max_waiting, last->max_waiting);
        sample.max_in_flight = max_or_unknown(sample.max_in_flight, last->max_in_flight);
        sample.is_after_gap = last->is_after_gap;
        history->count--;
    } else
        history->before_ms = history->last.at_ms;
    append(history, &sample);
    history->last = sample;
    history->has_gap = false;
}

/* ---- reading ---- */

size_t history_read(const struct history *history, int64_t from_ms,
                    struct history_sample **ret_samples)
{
    size_t first = 0;
    *ret_samples = NULL;
    if (history == NULL)
        return 0;
    while (first < history->count && time_at(history, first) < from_ms)
        first++;
    size_t count = history->count - first;
    *ret_samples = memory_array(count + 1, sizeof(**ret_samples));
    for (size_t i = 0; i < count; i++)
        (*ret_samples)[i] = sample_at(history, first + i);
    return count;
}

struct history_rates history_rates(const struct history *history)
{
    double grown = 0, fallen = 0;
    int64_t span_ms = 0;
    struct history_sample after = {.is_failed = true};
    for (size_t i = history == NULL ? 0 : history->count; i-- > 0 && span_ms < RATES_MS;) {
        const struct history_sample sample = sample_at(history, i);
        if (sample.is_failed)
            continue;
        double more = after.reading.waiting - sample.reading.waiting;
        if (!after.is_failed && !isnan(more) &&
            !reading_has_other_partitions(&sample.reading, &after.reading)) {
            grown += fmax(more, 0);
            fallen += fmax(-more, 0);
            span_ms += after.at_ms - sample.at_ms;
        }
        after = sample;
    }
    double seconds = span_ms == 0 ? NAN : (double)span_ms / 1000;
    return (struct history_rates){grown / seconds, fallen / seconds};
}

/* ---- the recent samples ---- */

void history_recent(const struct history *history, struct recent_samples *ret_recent)
{
    struct history_sample *first = ret_recent->samples + RECENT_SAMPLES_MAX;
    if (history->last.at_ms != INT64_MIN)
        *--first = history->last;
    for (size_t i = history->count; i-- > 0 && first > ret_recent->samples;)
        if (!is_failed_at(history, i) && time_at(history, i) < history->last.at_ms)
            *--first = sample_at(history, i);
    ret_recent->interval_ms = history->interval_ms;
    ret_recent->duration_ms = history->duration_ms;
    ret_recent->waited_ms = history->waited_ms;
    ret_recent->count = (size_t)(ret_recent->samples + RECENT_SAMPLES_MAX - first);
    memmove(ret_recent->samples, first, ret_recent->count * sizeof(*first));
}

double recent_samples_waiting(const struct reading *reading)
{
    return isnan(reading->waiting) ? reading->value : reading->waiting;
}

/* A longer time without a measurement is a gap, unless it is the wait for a turn. */
static int64_t unseen_ms(int64_t interval_ms, int64_t duration_ms, int64_t distance_ms)
{
    enum { GAP_INTERVALS = 4 };
    return MAX(distance_ms - GAP_INTERVALS * MAX(interval_ms, duration_ms), 0);
}

static bool is_gap(int64_t interval_ms, int64_t duration_ms, int64_t distance_ms)
{
    return unseen_ms(interval_ms, duration_ms, distance_ms) > 0;
}

int64_t recent_samples_unseen_ms(const struct recent_samples *recent, int64_t distance_ms)
{
    return unseen_ms(recent->interval_ms, recent->duration_ms, distance_ms);
}

bool recent_samples_is_gap(const struct recent_samples *recent, int64_t distance_ms)
{
    return recent_samples_unseen_ms(recent, distance_ms - recent->waited_ms) > 0;
}
