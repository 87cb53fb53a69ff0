#include "manifest/migration/patch.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { CONTEXT_LINES = 3 };

/* ---- lines ---- */

void lines_init(struct lines *lines, const char *text, size_t length)
{
    size_t capacity = 0;
    *lines = (struct lines){.text = text};
    for (size_t at = 0; at < length; lines->count++) {
        lines->starts =
            memory_grow(lines->starts, &capacity, lines->count + 2, sizeof(*lines->starts));
        lines->starts[lines->count] = at;
        const char *end = memchr(text + at, '\n', length - at);
        at = end == NULL ? length : (size_t)(end - text) + 1;
    }
    lines->starts = memory_grow(lines->starts, &capacity, lines->count + 1, sizeof(*lines->starts));
    lines->starts[lines->count] = length;
}

void lines_done(struct lines *lines)
{
    free(lines->starts);
    *lines = (struct lines){0};
}

size_t lines_find(const struct lines *lines, size_t byte)
{
    size_t low = 0, high = lines->count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (lines->starts[middle] <= byte)
            low = middle;
        else
            high = middle;
    }
    return byte >= lines->starts[lines->count] ? lines->count : low;
}

static void add_lines(struct text *text, const struct lines *lines, size_t from, size_t to)
{
    text_add_bytes(text, lines->text + lines->starts[from],
                   lines->starts[to] - lines->starts[from]);
}

/* ---- patches ---- */

void patch_add(struct patch *patch, size_t first, size_t count, char *text)
{
    patch->items =
        memory_grow(patch->items, &patch->capacity, patch->count + 1, sizeof(*patch->items));
    patch->items[patch->count++] = (struct patch_item){first, count, text};
}

void patch_done(struct patch *patch)
{
    for (size_t i = 0; i < patch->count; i++)
        free(patch->items[i].text);
    free(patch->items);
    *patch = (struct patch){0};
}

void patch_apply(const struct patch *patch, const struct lines *lines, struct text *ret_text)
{
    size_t at = 0;
    for (size_t i = 0; i < patch->count; i++) {
        add_lines(ret_text, lines, at, patch->items[i].first);
        text_add(ret_text, patch->items[i].text);
        at = patch->items[i].first + patch->items[i].count;
    }
    add_lines(ret_text, lines, at, lines->count);
}

/* ---- diff ---- */

static void add_marked(struct text *diff, char mark, const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        const char *end = memchr(text + at, '\n', length - at);
        size_t next = end == NULL ? length : (size_t)(end - text) + 1;
        text_add_bytes(diff, &mark, 1);
        text_add_bytes(diff, text + at, next - at);
        if (end == NULL)
            text_add(diff, "\n\\ No newline at end of file\n");
        at = next;
    }
}

static void add_marked_lines(struct text *diff, char mark, const struct lines *lines, size_t from,
                             size_t to)
{
    add_marked(diff, mark, lines->text + lines->starts[from],
               lines->starts[to] - lines->starts[from]);
}

static size_t count_lines(const char *text)
{
    size_t count = 0;
    for (const char *at = text; *at != '\0'; count++) {
        const char *end = strchr(at, '\n');
        at = end == NULL ? at + strlen(at) : end + 1;
    }
    return count;
}

/* As diff writes a range: a range of no lines is named by the line before it. */
static void add_range(struct text *diff, char mark, size_t first, size_t count)
{
    text_addf(diff, "%c%zu", mark, count == 0 ? first : first + 1);
    if (count != 1)
        text_addf(diff, ",%zu", count);
}

/* One hunk: the items from `from` to `to`, which are near to each other. `shift`: by how many lines
 * the text in front of them has grown. */
static void add_hunk(struct text *diff, const struct patch *patch, size_t from, size_t to,
                     const struct lines *lines, ptrdiff_t *shift)
{
    const struct patch_item *last = &patch->items[to - 1];
    size_t first = patch->items[from].first;
    size_t begin = first < CONTEXT_LINES ? 0 : first - CONTEXT_LINES;
    size_t end = last->first + last->count + CONTEXT_LINES;
    end = end > lines->count ? lines->count : end;
    ptrdiff_t growth = 0;
    for (size_t i = from; i < to; i++)
        growth += (ptrdiff_t)count_lines(patch->items[i].text) - (ptrdiff_t)patch->items[i].count;
    text_add(diff, "@@ ");
    add_range(diff, '-', begin, end - begin);
    text_add(diff, " ");
    add_range(diff, '+', (size_t)((ptrdiff_t)begin + *shift),
              (size_t)((ptrdiff_t)(end - begin) + growth));
    text_add(diff, " @@\n");
    *shift += growth;
    for (size_t i = from; i < to; i++) {
        const struct patch_item *item = &patch->items[i];
        add_marked_lines(diff, ' ', lines, begin, item->first);
        add_marked_lines(diff, '-', lines, item->first, item->first + item->count);
        add_marked(diff, '+', item->text, strlen(item->text));
        begin = item->first + item->count;
    }
    add_marked_lines(diff, ' ', lines, begin, end);
}

void patch_diff(const struct patch *patch, const struct lines *lines, const char *path,
                struct text *ret_diff)
{
    ptrdiff_t shift = 0;
    bool is_relative = path[0] != '/';
    if (patch->count == 0)
        return;
    text_addf(ret_diff, "--- %s%s\n+++ %s%s\n", is_relative ? "a/" : "", path,
              is_relative ? "b/" : "", path);
    for (size_t from = 0, to; from < patch->count; from = to) {
        for (to = from + 1; to < patch->count; to++) {
            const struct patch_item *before = &patch->items[to - 1];
            if (patch->items[to].first - (before->first + before->count) >
                (size_t)2 * CONTEXT_LINES)
                break;
        }
        add_hunk(ret_diff, patch, from, to, lines, &shift);
    }
}
