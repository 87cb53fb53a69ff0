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

/* Insertion: what came in order stays so, and there are few out of order. */
void findings_sort(struct findings *findings)
{
    for (size_t i = 1; i < findings->count; i++) {
        struct finding moved = findings->items[i];
        size_t at = i;
        while (at > 0 && findings->items[at - 1].path == moved.path &&
               findings->items[at - 1].line > moved.line) {
            findings->items[at] = findings->items[at - 1];
            at--;
        }
        findings->items[at] = moved;
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
