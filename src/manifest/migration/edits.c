#include "manifest/migration/edits.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

void edits_add(struct edits *edits, size_t start, size_t end, const char *text)
{
    edits->items =
        memory_grow(edits->items, &edits->capacity, edits->count + 1, sizeof(*edits->items));
    edits->items[edits->count++] = (struct edit){start, end, text_copy(text)};
}

void edits_cut(struct edits *edits, size_t count)
{
    while (edits->count > count)
        free(edits->items[--edits->count].text);
}

void edits_done(struct edits *edits)
{
    edits_cut(edits, 0);
    free(edits->items);
    *edits = (struct edits){0};
}

static int compare_edits(const void *left, const void *right)
{
    const struct edit *one = left, *other = right;
    if (one->start != other->start)
        return one->start < other->start ? -1 : 1;
    return one->end < other->end ? -1 : one->end > other->end;
}

static bool is_overlapping(const struct edits *edits)
{
    for (size_t i = 0; i < edits->count; i++)
        if (edits->items[i].start > edits->items[i].end ||
            (i > 0 && edits->items[i].start < edits->items[i - 1].end))
            return true;
    return false;
}

/* The lines that an edit touches; none for one that puts whole lines between two. */
static void find_lines(const struct edit *edit, const struct lines *lines, size_t *ret_first,
                       size_t *ret_end)
{
    *ret_first = lines_find(lines, edit->start);
    *ret_end = lines_find(lines, edit->end);
    bool is_whole = lines->starts[*ret_end] == edit->end &&
                    lines->starts[*ret_first] == edit->start &&
                    (edit->text[0] == '\0' || text_ends_with(edit->text, "\n"));
    if (!is_whole && *ret_end < lines->count)
        (*ret_end)++;
}

/* What becomes of some lines. The caller frees it. */
static char *apply(const struct edit *edits, size_t count, const struct lines *lines, size_t first,
                   size_t end)
{
    struct text text = {0};
    size_t at = lines->starts[first];
    for (size_t i = 0; i < count; i++) {
        text_add_bytes(&text, lines->text + at, edits[i].start - at);
        text_add(&text, edits[i].text);
        at = edits[i].end;
    }
    text_add_bytes(&text, lines->text + at, lines->starts[end] - at);
    return text_take(&text);
}

bool edits_patch(struct edits *edits, const struct lines *lines, struct patch *ret_patch)
{
    if (edits->count > 0)
        qsort(edits->items, edits->count, sizeof(*edits->items), compare_edits);
    if (is_overlapping(edits))
        return false;
    for (size_t from = 0, to; from < edits->count; from = to) {
        size_t first, end;
        find_lines(&edits->items[from], lines, &first, &end);
        for (to = from + 1; to < edits->count; to++) {
            size_t next_first, next_end;
            find_lines(&edits->items[to], lines, &next_first, &next_end);
            if (next_first > end)
                break;
            end = next_end > end ? next_end : end;
        }
        patch_add(ret_patch, first, end - first,
                  apply(&edits->items[from], to - from, lines, first, end));
    }
    return true;
}
