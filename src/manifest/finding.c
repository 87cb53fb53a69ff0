#include "manifest/finding.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdlib.h>

const char *const finding_level_names[FINDING_LEVELS] = {
    [FINDING_ERROR] = "error", [FINDING_WARNING] = "warning", [FINDING_NOTE] = "note"};

void finding_add(struct findings *findings, const struct finding_place *place,
                 enum finding_level level, const char *format, ...)
{
    struct text text = {0};
    va_list arguments;
    va_start(arguments, format);
    text_addv(&text, format, arguments);
    va_end(arguments);
    findings->items = memory_grow(findings->items, &findings->capacity, findings->count + 1,
                                  sizeof(*findings->items));
    findings->items[findings->count++] = (struct finding){
        .path = place->path,
        .line = place->line,
        .level = level,
        .object = text_copy(place->object == NULL ? "" : place->object),
        .text = text_take(&text),
    };
    findings->counts[level]++;
}

/* With its place before the sort: what is of the same line stays in order. */
struct sorted_finding {
    struct finding finding;
    size_t index;
};

static int compare_lines(const void *left, const void *right)
{
    const struct sorted_finding *one = left, *other = right;
    if (one->finding.line != other->finding.line)
        return one->finding.line < other->finding.line ? -1 : 1;
    return one->index < other->index ? -1 : one->index > other->index;
}

static void sort_lines(struct finding *items, size_t count)
{
    _cleanup_(memory_free) struct sorted_finding *sorted = memory_array(count, sizeof(*sorted));
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct sorted_finding){items[i], i};
    qsort(sorted, count, sizeof(*sorted), compare_lines);
    for (size_t i = 0; i < count; i++)
        items[i] = sorted[i].finding;
}

void findings_sort(struct findings *findings)
{
    for (size_t from = 0, to; from < findings->count; from = to) {
        for (to = from + 1; to < findings->count; to++)
            if (findings->items[to].path != findings->items[from].path)
                break;
        sort_lines(&findings->items[from], to - from);
    }
}

void findings_done(struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        free(findings->items[i].object);
        free(findings->items[i].text);
    }
    free(findings->items);
    *findings = (struct findings){0};
}
