#include "kafka/selection.h"

#include "base/memory.h"
#include "base/text.h"
#include "shared/regex.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST_NAME = 249 }; /* Kafka's own limit */

enum kafka_selection_kind kafka_selection_kind(const char *topic)
{
    return topic == NULL     ? KAFKA_SELECTION_OF_GROUP
           : topic[0] == '^' ? KAFKA_SELECTION_OF_PATTERN
                             : KAFKA_SELECTION_OF_NAMES;
}

/* Between two names. */
static const char separator[] = ",";

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

void kafka_selection_init(struct kafka_selection *selection, const char *topic)
{
    *selection = (struct kafka_selection){.kind = kafka_selection_kind(topic)};
    if (selection->kind != KAFKA_SELECTION_OF_NAMES)
        return;
    size_t count = text_count_pieces(topic, separator);
    selection->names = memory_array(count, sizeof(*selection->names));
    for (size_t i = 0; i < count; i++)
        selection->names[i] = text_take_piece(&topic, separator);
    qsort(selection->names, count, sizeof(*selection->names), compare_names);
    for (size_t i = 0; i < count; i++)
        if (selection->count > 0 &&
            text_equal(selection->names[selection->count - 1], selection->names[i]))
            free(selection->names[i]);
        else
            selection->names[selection->count++] = selection->names[i];
}

void kafka_selection_done(struct kafka_selection *selection)
{
    for (size_t i = 0; i < selection->count; i++)
        free(selection->names[i]);
    free(selection->names);
}

size_t kafka_selection_bytes(const char *topic)
{
    enum { PER_NAME = sizeof(char *) + 32 }; /* what malloc() adds, and rounds up */
    return kafka_selection_kind(topic) == KAFKA_SELECTION_OF_NAMES
               ? strlen(topic) + text_count_pieces(topic, separator) * PER_NAME
               : 0;
}

char *kafka_selection_text(const char *topic)
{
    if (kafka_selection_kind(topic) != KAFKA_SELECTION_OF_NAMES)
        return text_copy(topic);
    size_t count = text_count_pieces(topic, separator);
    struct text words = {0};
    for (size_t i = 0; i < count; i++) {
        _cleanup_(memory_free) char *piece = text_take_piece(&topic, separator);
        text_add(&words, i == 0 ? "" : separator);
        text_add(&words, piece);
    }
    return text_take(&words);
}

static bool is_name(const char *name)
{
    size_t length =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return length > 0 && length <= LONGEST_NAME && name[length] == '\0';
}

static void check_names(const char *topic, struct error *mistakes)
{
    size_t count = text_count_pieces(topic, separator);
    if (count > KAFKA_SELECTION_MAX_TOPICS) {
        error_add(mistakes, "topic must have at most %d names", KAFKA_SELECTION_MAX_TOPICS);
        return;
    }
    for (size_t i = 1; i <= count; i++) {
        _cleanup_(memory_free) char *name = text_take_piece(&topic, separator);
        if (is_name(name))
            continue;
        error_add(mistakes,
                  "topic: number %zu is not a name of at most %d letters, digits, dots, "
                  "underscores and hyphens (several go between commas; a regular expression "
                  "begins with ^)",
                  i, LONGEST_NAME);
        return;
    }
}

static void check_pattern(const char *pattern, struct error *mistakes)
{
    _cleanup_(error_done) struct error why = {0};
    _cleanup_(regex_free) struct regex *regex = NULL;
    if (!regex_compile(pattern, &regex, &why))
        error_add(mistakes, "topic %s", error_text(&why));
}

void kafka_selection_check(const char *topic, struct error *mistakes)
{
    enum kafka_selection_kind kind = kafka_selection_kind(topic);
    if (kind == KAFKA_SELECTION_OF_NAMES)
        check_names(topic, mistakes);
    if (kind == KAFKA_SELECTION_OF_PATTERN)
        check_pattern(topic, mistakes);
}
