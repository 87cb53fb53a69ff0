#include "keys/bounds.h"

#include "base/memory.h"
#include "base/text.h"
#include "scale/metadata/general.h"
#include "scale/table/triggers.h"

#include <malloc.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

/*
 * What one trigger may take, and one call. A sanitizer makes code some five times slower, and on a
 * busy machine caches are cold, so that the least of some tries counts; what this is to find takes
 * seconds.
 */
enum {
    MAX_GROWTH = 64 << 10,
    MAX_PEAK = 1 << 20, /* while it is parsed */
    MAX_CPU_US = 5000,
    SANITIZED_CPU_US = 5 * MAX_CPU_US,
    TRIES = 20,
};

enum {
    LARGEST = 60 << 10,        /* nearly what a request may have (--max-message) */
    LARGE = (16 << 10) - 1024, /* nearly what the metadata of a trigger may have */
    HALF = LARGE / 2,          /* of each of a pair */
    MANY_PIECES = 64,          /* the most of a list */
    MAX_ENTRIES = 64,
};

/* ---- measuring ---- */

size_t __sanitizer_get_allocated_size(const volatile void *memory) __attribute__((weak));
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *))
    __attribute__((weak));

static bool has_hooks;
static size_t allocated, peak;

/* What glibc's malloc() takes for so many bytes. */
static size_t heap_bytes(size_t size)
{
    size_t whole = (size + 8 + 15) / 16 * 16;
    return whole < 32 ? 32 : whole;
}

static void on_malloc(const volatile void *memory, size_t size)
{
    (void)memory;
    allocated += heap_bytes(size);
    peak = allocated > peak ? allocated : peak;
}

static void on_free(const volatile void *memory)
{
    if (memory != NULL)
        allocated -= heap_bytes(__sanitizer_get_allocated_size(memory));
}

static void install_hooks(void)
{
    if (!has_hooks && __sanitizer_install_malloc_and_free_hooks != NULL)
        has_hooks = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0;
}

static size_t allocated_now(void)
{
    struct mallinfo2 info = mallinfo2();
    return has_hooks ? allocated : info.uordblks + info.hblkhd;
}

static int64_t cpu_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct cost {
    size_t growth;
    size_t peak;
    int64_t cpu_us;
    bool is_good; /* the trigger has no mistakes */
};

static void parse_once(const struct keys *keys, struct option_entry *entries, size_t count,
                       struct cost *ret_cost)
{
    const struct scaler *const scalers[] = {keys->scaler, NULL};
    const struct triggers_settings settings = {.scalers = scalers, .max = 20};
    struct triggers *triggers = triggers_new(&settings);
    struct trigger_ref ref = {"object", "shop", entries, count};
    struct trigger *trigger = NULL;
    struct error error = {0};
    size_t before = allocated_now();
    int64_t began_us = cpu_now_us();
    peak = allocated;
    bool is_found = triggers_find(triggers, &ref, 0, &trigger, &error);
    int64_t cpu_us = cpu_now_us() - began_us;
    size_t after = allocated_now();
    *ret_cost = (struct cost){.growth = after > before ? after - before : 0,
                              .peak = has_hooks ? peak - before : 0,
                              .cpu_us = cpu_us,
                              .is_good = is_found && !error_is_set(&trigger->parsed.mistakes)};
    error_done(&error);
    triggers_free(triggers);
}

/* ---- values ---- */

/* A value and, where its key needs others, these; the usual ones are added. */
struct value {
    const struct option *row;
    const char *shape; /* in words, for the report */
    char *text;
    const char *const *others;
};

struct worst {
    struct cost growth, cpu, peak;
    char growth_of[160], cpu_of[160], peak_of[160];
    size_t calls;
};

struct walk {
    const struct keys *keys;
    struct worst worst;
};

static bool is_given(const struct option_entry *entries, size_t count, const struct option *table,
                     const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (text_equal(entries[i].key, key) ||
            (option_find(table, key, OPTION_FROM_TRIGGER) != NULL &&
             option_find(table, key, OPTION_FROM_TRIGGER) ==
                 option_find(table, entries[i].key, OPTION_FROM_TRIGGER)))
            return true;
    return false;
}

static size_t add_pairs(const struct keys *keys, const char *const *pairs,
                        struct option_entry *entries, size_t count)
{
    for (; pairs != NULL && pairs[0] != NULL; pairs += 2)
        if (count < MAX_ENTRIES && !is_given(entries, count, keys->scaler->options, pairs[0]))
            entries[count++] = (struct option_entry){pairs[0], pairs[1]};
    return count;
}

static int64_t max_cpu_us(void)
{
    return has_hooks ? SANITIZED_CPU_US : MAX_CPU_US;
}

static void note(struct walk *walk, const struct value *one, const struct value *other,
                 const struct cost *cost)
{
    struct worst *worst = &walk->worst;
    char of[160];
    snprintf(of, sizeof(of), "%s: %s%s%s%s%s%s", one->row->key, one->shape,
             other == NULL ? "" : ", ", other == NULL ? "" : other->row->key,
             other == NULL ? "" : ": ", other == NULL ? "" : other->shape,
             cost->is_good ? "" : " (refused)");
    if (cost->growth > worst->growth.growth) {
        worst->growth = *cost;
        memcpy(worst->growth_of, of, sizeof(of));
    }
    if (cost->peak > worst->peak.peak) {
        worst->peak = *cost;
        memcpy(worst->peak_of, of, sizeof(of));
    }
    if (cost->cpu_us > worst->cpu.cpu_us) {
        worst->cpu = *cost;
        memcpy(worst->cpu_of, of, sizeof(of));
    }
    if (cost->growth > MAX_GROWTH)
        fail_msg("%s: a trigger takes %zu bytes with %s", walk->keys->scaler->name, cost->growth,
                 of);
    if (cost->peak > MAX_PEAK)
        fail_msg("%s: parsing takes %zu bytes with %s", walk->keys->scaler->name, cost->peak, of);
    if (cost->cpu_us > max_cpu_us())
        fail_msg("%s: a call takes %lld us of CPU with %s", walk->keys->scaler->name,
                 (long long)cost->cpu_us, of);
}

/* Fails at the first that takes too much: the next one may take seconds, or all memory. */
static struct cost try_values(struct walk *walk, const struct value *one, const struct value *other)
{
    const struct keys *keys = walk->keys;
    struct option_entry entries[MAX_ENTRIES] = {{"scaler", keys->scaler->name},
                                                {one->row->key, one->text}};
    size_t count = 2;
    struct cost cost;
    if (other != NULL)
        entries[count++] = (struct option_entry){other->row->key, other->text};
    count = add_pairs(keys, one->others, entries, count);
    count = add_pairs(keys, other == NULL ? NULL : other->others, entries, count);
    count = add_pairs(keys, keys->usual, entries, count);
    parse_once(keys, entries, count, &cost);
    for (int i = 1; i < TRIES && cost.cpu_us > max_cpu_us() / 2; i++) {
        int64_t before_us = cost.cpu_us;
        parse_once(keys, entries, count, &cost);
        cost.cpu_us = cost.cpu_us < before_us ? cost.cpu_us : before_us;
    }
    walk->worst.calls++;
    note(walk, one, other, &cost);
    return cost;
}

static char *repeat(const char *head, const char *unit, const char *tail, size_t count)
{
    struct text text = {0};
    text_add(&text, head);
    for (size_t i = 0; i < count; i++)
        text_add(&text, unit);
    text_add(&text, tail);
    return text_take(&text);
}

/* A value of `count` repetitions, or of levels where it is nested. */
struct shape {
    const char *name;
    const char *head;
    const char *unit;
    const char *middle; /* NULL: not nested */
    const char *closing;
};

static const struct shape shapes[] = {
    {"letters", "", "x", NULL, NULL},
    {"commas", "", ",", NULL, NULL},
    {"pieces", "", "a,", NULL, NULL},
    {"pairs", "", "a=b,", NULL, NULL},
    {"modes", "", "tls,", NULL, NULL},
    {"numbers", "1", ",1", NULL, NULL},
    {"ranges", "1-2", ",1-2", NULL, NULL},
    {"levels", "1=1", ",2=2", NULL, NULL},
    {"settings", "maxWait=60s", ",maxWait=60s", NULL, NULL},
    {"hosts", "a:1", ",a:1", NULL, NULL},
    {"URLs", "amqp://a:b@c/d", ",amqp://a:b@c/d", NULL, NULL},
    {"parameters", "http://a/?", "a=b&", NULL, NULL},
    {"escapes", "http://a/", "%41", NULL, NULL},
    {"words", "host=a", " port=1", NULL, NULL},
    {"lines", "[a]\n", "b = c\n", NULL, NULL},
    {"alternatives", "^a", "|a", NULL, NULL},
    {"any", "^", ".*", NULL, NULL},
    {"repetitions", "^", "(a+)+", NULL, NULL},
    {"counted repetitions", "^", "a{1,9}", NULL, NULL},
    {"open repetitions", "^", "a{9,}", NULL, NULL},
    {"ranges of letters", "^[", "a-z", "]", ""},
    {"groups", "^", "(", "a", ")"},
    {"repeated groups", "^", "(", "a", ")+"},
    {"counted groups", "^", "(", "a", "){1,9}"},
    {"optional groups", "^", "(", "a", "|b)?"},
    {"brackets", "", "[", "1", "]"},
    {"braces", "", "{\"a\":", "1", "}"},
};

static char *make(const struct shape *shape, size_t count)
{
    char *text =
        repeat(shape->head, shape->unit, shape->middle == NULL ? "" : shape->middle, count);
    if (shape->middle == NULL)
        return text;
    char *whole = repeat(text, shape->closing, "", count);
    free(text);
    return whole;
}

static size_t unit_length(const struct shape *shape)
{
    return strlen(shape->unit) + (shape->closing == NULL ? 0 : strlen(shape->closing));
}

static size_t count_for(const struct shape *shape, size_t bytes)
{
    size_t fixed = strlen(shape->head) + (shape->middle == NULL ? 0 : strlen(shape->middle));
    return (bytes - fixed) / unit_length(shape);
}

/* What a key needs besides, by the first of its cases that is taken. */
static const char *const *pairs_of(const struct keys *keys, const struct option *row)
{
    for (const struct key_case *one = keys->cases; one->verdict != 0; one++)
        if (one->verdict == KEY_TAKEN && one->pairs[1][strspn(one->pairs[1], " \t\n")] != '\0' &&
            option_find(keys->scaler->options, one->pairs[0], OPTION_FROM_TRIGGER) == row)
            return one->pairs;
    return NULL;
}

/* ---- the walk ---- */

/* Of each key the value of half the size that takes the most memory, and the one that takes the
 * most CPU. */
struct candidates {
    struct value growth, cpu;
    struct cost growth_cost, cpu_cost;
};

static void keep(struct value *kept, const struct value *value)
{
    free(kept->text);
    *kept = *value;
    kept->text = text_copy(value->text);
}

static bool beats(const struct cost *cost, const struct cost *other, size_t more)
{
    return cost->is_good != other->is_good ? cost->is_good : more > 0;
}

static void propose(struct candidates *candidates, const struct value *value,
                    const struct cost *cost)
{
    if (candidates->growth.text == NULL ||
        beats(cost, &candidates->growth_cost, cost->growth > candidates->growth_cost.growth)) {
        keep(&candidates->growth, value);
        candidates->growth_cost = *cost;
    }
    if (candidates->cpu.text == NULL ||
        beats(cost, &candidates->cpu_cost, cost->cpu_us > candidates->cpu_cost.cpu_us)) {
        keep(&candidates->cpu, value);
        candidates->cpu_cost = *cost;
    }
}

/* Deep values step by step, as what they cost may double with each level. */
static void walk_shape(struct walk *walk, const struct option *row, const struct shape *shape,
                       const char *const *others, struct candidates *candidates)
{
    size_t counts[] = {4,
                       8,
                       12,
                       16,
                       20,
                       MANY_PIECES,
                       count_for(shape, HALF),
                       count_for(shape, LARGE),
                       count_for(shape, LARGEST)};
    size_t first = shape->middle == NULL ? 5 : 0;
    size_t end = shape == shapes ? ARRAY_LENGTH(counts) : ARRAY_LENGTH(counts) - 1;
    for (size_t i = first; i < end; i++) {
        struct value value = {row, shape->name, make(shape, counts[i]), others};
        struct cost cost = try_values(walk, &value, NULL);
        if (strlen(value.text) <= HALF)
            propose(candidates, &value, &cost);
        free(value.text);
    }
}

/* A good value, longer, and many of it. */
static void walk_case(struct walk *walk, const struct option *row, const char *const *pairs,
                      struct candidates *candidates)
{
    _cleanup_(memory_free) char *many = text_format(",%s", pairs[1]);
    const struct shape own[] = {{"its value, longer", pairs[1], "x", NULL, NULL},
                                {"its value with a path", pairs[1], "/x", NULL, NULL},
                                {"its value with parameters", pairs[1], "&a=b", NULL, NULL},
                                {"its value, many times", pairs[1], many, NULL, NULL}};
    for (size_t i = 0; strlen(pairs[1]) < HALF / 2 && i < ARRAY_LENGTH(own); i++)
        walk_shape(walk, row, &own[i], pairs + 2, candidates);
}

static void walk_key(struct walk *walk, const struct option *row, struct candidates *candidates)
{
    bool is_text =
        row->type == OPTION_STRING || row->type == OPTION_LIST || row->type == OPTION_RANGES;
    const char *const *pairs = pairs_of(walk->keys, row);
    for (size_t i = 0; i < (is_text ? ARRAY_LENGTH(shapes) : 1); i++)
        walk_shape(walk, row, &shapes[i], pairs == NULL ? NULL : pairs + 2, candidates);
    if (pairs != NULL)
        walk_case(walk, row, pairs, candidates);
}

static void walk_pairs(struct walk *walk, const struct candidates *candidates, size_t rows)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = i + 1; j < rows; j++) {
            try_values(walk, &candidates[i].growth, &candidates[j].growth);
            if (candidates[i].cpu_cost.cpu_us > MAX_CPU_US / 10 ||
                candidates[j].cpu_cost.cpu_us > MAX_CPU_US / 10)
                try_values(walk, &candidates[i].cpu, &candidates[j].cpu);
        }
}

/* What libraries keep from their first use on is no trigger's. The usual values may be too short to
 * need a digest of OpenSSL. */
static void use_libraries_once(const struct keys *keys)
{
    struct option_entry entries[MAX_ENTRIES] = {{"scaler", keys->scaler->name}};
    unsigned char digest[EVP_MAX_MD_SIZE];
    struct cost cost;
    HMAC(EVP_sha256(), "", 0, (const unsigned char *)"", 0, digest, NULL);
    parse_once(keys, entries, add_pairs(keys, keys->usual, entries, 1), &cost);
}

void bounds_check(const struct keys *keys)
{
    const struct option *const tables[] = {keys->scaler->options, general_table};
    struct walk walk = {.keys = keys};
    size_t rows = 0;
    size_t own = option_count(tables[0]);
    _cleanup_(memory_free) struct candidates *candidates =
        memory_array(own + option_count(tables[1]), sizeof(*candidates));
    install_hooks();
    use_libraries_once(keys);
    /* General keys mean the same everywhere: one scaler's test tries them. */
    bool tries_general = text_equal(keys->scaler->name, "redis");
    for (size_t i = 0; i < (tries_general ? 2 : 1); i++)
        for (const struct option *row = tables[i]; row->key != NULL; row++)
            if (!text_equal(row->key, "scaler"))
                walk_key(&walk, row, &candidates[rows++]);
    walk_pairs(&walk, candidates, own);
    for (size_t i = 0; i < rows; i++) {
        free(candidates[i].growth.text);
        free(candidates[i].cpu.text);
    }
    const struct worst *worst = &walk.worst;
    print_message("%s: %zu calls\n", keys->scaler->name, worst->calls);
    print_message("  largest trigger: %.1f KiB (%s)\n", (double)worst->growth.growth / 1024,
                  worst->growth_of);
    if (has_hooks)
        print_message("  most while parsing: %.1f KiB (%s)\n", (double)worst->peak.peak / 1024,
                      worst->peak_of);
    print_message("  slowest call: %.1f ms of CPU (%s)\n", (double)worst->cpu.cpu_us / 1000,
                  worst->cpu_of);
}
