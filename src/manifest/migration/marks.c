#include "manifest/migration/marks.h"

#include "base/memory.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char mark[] = "# backlog migrate: ";
static const char kept_mark[] = "#|";
static const char added[] = "added";
static const char in_place[] = "in place of";
static const char removed[] = "removed";
static const char many_lines[] = " lines";

void edits_add(struct edits *edits, size_t start, size_t end, const char *text)
{
    edits->items =
        memory_grow(edits->items, &edits->capacity, edits->count + 1, sizeof(*edits->items));
    edits->items[edits->count++] = (struct edit){start, end, text_copy(text)};
}

void edits_done(struct edits *edits)
{
    for (size_t i = 0; i < edits->count; i++)
        free(edits->items[i].text);
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

/* ---- words ---- */

/* The first word of a line: its key. "line" where it begins with none. */
static void add_word(struct text *text, const char *line, size_t length)
{
    size_t at = 0, end;
    while (at < length && strchr(" -{[\"'", line[at]) != NULL)
        at++;
    for (end = at; end < length; end++)
        if (strchr(" \t\r\n:,{}[]\"'#", line[end]) != NULL)
            break;
    if (end == at)
        text_add(text, "line");
    else
        text_add_bytes(text, line + at, end - at);
}

/* Of all lines, with ", " between. */
static void add_words(struct text *text, const char *lines, size_t length)
{
    for (size_t at = 0; at < length;) {
        const char *end = memchr(lines + at, '\n', length - at);
        size_t next = end == NULL ? length : (size_t)(end - lines) + 1;
        text_add(text, at == 0 ? "" : ", ");
        add_word(text, lines + at, next - at);
        at = next;
    }
}

static size_t indent_of(const char *line, size_t length)
{
    size_t indent = 0;
    while (indent < length && line[indent] == ' ')
        indent++;
    return indent;
}

static const char *line_end_of(const struct lines *lines)
{
    size_t first_end = lines->count == 0 ? 0 : lines->starts[1];
    return first_end >= 2 && lines->text[first_end - 2] == '\r' ? "\r\n" : "\n";
}

/* ---- making ---- */

/* What becomes of some lines. */
static void apply(const struct edit *edits, size_t count, const struct lines *lines, size_t first,
                  size_t end, struct text *ret_text)
{
    size_t at = lines->starts[first];
    for (size_t i = 0; i < count; i++) {
        text_add_bytes(ret_text, lines->text + at, edits[i].start - at);
        text_add(ret_text, edits[i].text);
        at = edits[i].end;
    }
    text_add_bytes(ret_text, lines->text + at, lines->starts[end] - at);
}

static bool ends_with_line(const char *text, size_t length)
{
    return length > 0 && text[length - 1] == '\n';
}

static void add_kept(struct text *text, const struct lines *lines, size_t line, size_t indent,
                     const char *line_end, bool is_last)
{
    const char *start = lines->text + lines->starts[line];
    size_t length = lines->starts[line + 1] - lines->starts[line];
    text_addf(text, "%*s%s", (int)indent, "", kept_mark);
    text_add_bytes(text, start, length);
    if (!ends_with_line(start, length) && !is_last)
        text_add(text, line_end);
}

/* The comment, what was there, and the new lines. */
static char *make_item(const struct lines *lines, size_t first, size_t end,
                       const struct text *new_lines)
{
    struct text text = {0};
    const char *line_end = line_end_of(lines);
    const char *new_bytes = new_lines->bytes == NULL ? "" : new_lines->bytes;
    const char *model = first < end ? lines->text + lines->starts[first] : new_bytes;
    size_t indent = indent_of(model, strlen(model));
    bool was_open = first < end && end == lines->count &&
                    !ends_with_line(lines->text, lines->starts[lines->count]);
    size_t new_length = new_lines->length;
    if (was_open && ends_with_line(new_bytes, new_length))
        new_length -= new_length > 1 && new_bytes[new_length - 2] == '\r' ? 2 : 1;
    text_addf(&text, "%*s%s", (int)indent, "", mark);
    add_words(&text, new_bytes, new_length);
    text_addf(&text, "%s%s", new_length == 0 ? "" : " ",
              new_length == 0 ? removed
              : first == end  ? added
                              : in_place);
    if (end - first > 1)
        text_addf(&text, " %zu%s", end - first, many_lines);
    text_addf(&text, "%s%s", first == end ? "" : ":", line_end);
    for (size_t line = first; line < end; line++)
        add_kept(&text, lines, line, indent, line_end, line + 1 == end && new_length == 0);
    text_add_bytes(&text, new_bytes, new_length);
    return text_take(&text);
}

/* The lines that an edit touches; none for one that puts whole lines between two. */
static void find_lines(const struct edit *edit, const struct lines *lines, size_t *ret_first,
                       size_t *ret_end)
{
    *ret_first = lines_find(lines, edit->start);
    *ret_end = lines_find(lines, edit->end);
    bool is_whole = lines->starts[*ret_end] == edit->end &&
                    lines->starts[*ret_first] == edit->start &&
                    (edit->text[0] == '\0' || ends_with_line(edit->text, strlen(edit->text)));
    if (!is_whole && *ret_end < lines->count)
        (*ret_end)++;
}

static bool is_overlapping(const struct edits *edits)
{
    for (size_t i = 0; i < edits->count; i++)
        if (edits->items[i].start > edits->items[i].end ||
            (i > 0 && edits->items[i].start < edits->items[i - 1].end))
            return true;
    return false;
}

bool marks_make(struct edits *edits, const struct lines *lines, struct patch *ret_patch)
{
    if (edits->count > 0)
        qsort(edits->items, edits->count, sizeof(*edits->items), compare_edits);
    if (is_overlapping(edits))
        return false;
    for (size_t from = 0, to; from < edits->count; from = to) {
        _cleanup_(text_done) struct text new_lines = {0};
        size_t first, end;
        find_lines(&edits->items[from], lines, &first, &end);
        for (to = from + 1; to < edits->count; to++) {
            size_t next_first, next_end;
            find_lines(&edits->items[to], lines, &next_first, &next_end);
            if (next_first > end)
                break;
            end = next_end > end ? next_end : end;
        }
        apply(&edits->items[from], to - from, lines, first, end, &new_lines);
        patch_add(ret_patch, first, end - first, make_item(lines, first, end, &new_lines));
    }
    return true;
}

/* ---- undoing ---- */

struct undo {
    const struct lines *lines;
    const char *path;
    struct error *error;
};

static const char *line_at(const struct lines *lines, size_t line, size_t *ret_length)
{
    *ret_length = lines->starts[line + 1] - lines->starts[line];
    return lines->text + lines->starts[line];
}

static size_t length_without_end(const char *line, size_t length)
{
    if (length > 0 && line[length - 1] == '\n')
        length--;
    if (length > 0 && line[length - 1] == '\r')
        length--;
    return length;
}

/* What stands behind the mark, without the end of the line; NULL of any other line. The caller frees it. */
static char *marked(const struct lines *lines, size_t line, size_t *ret_indent)
{
    size_t length;
    const char *start = line_at(lines, line, &length);
    size_t indent = indent_of(start, length);
    if (length - indent < strlen(mark) || memcmp(start + indent, mark, strlen(mark)) != 0)
        return NULL;
    *ret_indent = indent;
    const char *words = start + indent + strlen(mark);
    return text_copy_bytes(words, length_without_end(words, length - indent - strlen(mark)));
}

static bool is_kept(const struct lines *lines, size_t line, size_t indent)
{
    size_t length;
    if (line >= lines->count)
        return false;
    const char *start = line_at(lines, line, &length);
    return indent_of(start, length) == indent && length - indent >= strlen(kept_mark) &&
           memcmp(start + indent, kept_mark, strlen(kept_mark)) == 0;
}

/* A comment that begins as the mark does, but for capitals and blanks: somebody has edited it. */
static bool is_nearly_marked(const struct lines *lines, size_t line)
{
    static const char words[] = "#backlogmigrate:";
    size_t length, matched = 0;
    const char *start = line_at(lines, line, &length);
    for (size_t at = 0; at < length && words[matched] != '\0'; at++)
        if (start[at] != ' ' && start[at] != '\t' &&
            tolower((unsigned char)start[at]) != words[matched++])
            return false;
    return words[matched] == '\0';
}

/* A kept line of YAML, such as `#|  - type: kafka`, that no mark is above. Other comments may begin alike. */
static bool is_left_over(const struct lines *lines, size_t line)
{
    size_t length;
    const char *start = line_at(lines, line, &length);
    size_t at = indent_of(start, length);
    if (length - at < strlen(kept_mark) || memcmp(start + at, kept_mark, strlen(kept_mark)) != 0)
        return false;
    at += strlen(kept_mark);
    size_t first = at;
    while (at < length && strchr(" -{[\"'", start[at]) != NULL)
        at++;
    size_t key = at;
    while (at < length && (isalnum((unsigned char)start[at]) || strchr("_-\"'", start[at]) != NULL))
        at++;
    bool ends = at + 1 < length && start[at] == ':' && strchr(" \r\n", start[at + 1]) != NULL;
    return ends && at > key && key >= first + 2; /* a trigger is indented */
}

/* The words are those of the lines that follow, which it counts. */
static bool count_new(const struct undo *undo, char *words, size_t first, size_t *ret_count)
{
    char *rest = NULL;
    *ret_count = 0;
    for (char *word = strtok_r(words, ", ", &rest); word != NULL;
         word = strtok_r(NULL, ", ", &rest)) {
        _cleanup_(text_done) struct text found = {0};
        size_t line = first + (*ret_count)++;
        size_t length = 0;
        const char *start = line < undo->lines->count ? line_at(undo->lines, line, &length) : "";
        add_word(&found, start, length);
        if (line >= undo->lines->count || !text_equal(found.bytes, word))
            return error_invalid(undo->error,
                                 "%s:%zu: \"%s\" was here when the trigger was migrated: somebody "
                                 "has changed it since. What was there before stands in the "
                                 "comment above: put it back by hand",
                                 undo->path, line + 1, word);
    }
    return true;
}

/* The kept lines, as they were. The end of the last is that of the last line here. */
static char *restore(const struct lines *lines, size_t first, size_t count, size_t indent,
                     size_t last)
{
    struct text text = {0};
    size_t length;
    for (size_t line = first; line < first + count; line++) {
        const char *start = line_at(lines, line, &length);
        size_t skipped = indent + strlen(kept_mark);
        bool is_last = line + 1 == first + count;
        text_add_bytes(&text, start + skipped,
                       (is_last ? length_without_end(start, length) : length) - skipped);
    }
    if (count > 0) {
        const char *start = line_at(lines, last, &length);
        size_t kept = length_without_end(start, length);
        text_add_bytes(&text, start + kept, length - kept);
    }
    return text_take(&text);
}

static bool refuse_changed(const struct undo *undo, size_t line)
{
    return error_invalid(undo->error,
                         "%s:%zu: this comment of backlog migrate was changed. Nothing is taken "
                         "back: do it by hand",
                         undo->path, line + 1);
}

/* How many lines are kept; what says so is cut off: of "removed 3 lines:" stays "removed". False where somebody has
 * edited it. */
static bool cut_count(char *words, size_t *ret_count)
{
    size_t length = strlen(words);
    *ret_count = 0;
    if (length == 0 || words[length - 1] != ':')
        return true;
    words[length - 1] = '\0';
    *ret_count = 1;
    if (!text_ends_with(words, many_lines))
        return true;
    words[length - 1 - strlen(many_lines)] = '\0';
    char *space = strrchr(words, ' '), *end = NULL;
    if (space == NULL || !isdigit((unsigned char)space[1]))
        return false;
    *ret_count = strtoul(space + 1, &end, 10);
    *space = '\0';
    return *end == '\0' && *ret_count > 1;
}

static bool undo_one(const struct undo *undo, char *words, size_t line, size_t indent,
                     struct patch *patch, size_t *ret_next)
{
    size_t count = 0, kept = 0, fresh = 0;
    bool is_good = cut_count(words, &count);
    bool is_added = count == 0 && text_ends_with(words, added) && strchr(words, ' ') != NULL;
    bool is_replaced = count > 0 && text_ends_with(words, in_place);
    bool is_removed = count > 0 && text_equal(words, removed);
    if (!is_good || (!is_added && !is_replaced && !is_removed))
        return refuse_changed(undo, line);
    words[strlen(words) - strlen(is_added ? added : is_replaced ? in_place : removed)] = '\0';
    while (!is_added && is_kept(undo->lines, line + 1 + kept, indent))
        kept++;
    if (kept != count)
        return error_invalid(undo->error,
                             "%s:%zu: backlog migrate kept %zu line%s below this one, and %zu "
                             "start%s with %s now. Nothing is taken back: do it by hand",
                             undo->path, line + 1, count, text_plural(count), kept,
                             kept == 1 ? "s" : "", kept_mark);
    if (!count_new(undo, words, line + 1 + kept, &fresh))
        return false;
    if (fresh == 0 && !is_removed)
        return refuse_changed(undo, line);
    *ret_next = line + 1 + kept + fresh;
    patch_add(patch, line, *ret_next - line,
              restore(undo->lines, line + 1, kept, indent, *ret_next - 1));
    return true;
}

bool marks_undo(const struct lines *lines, const char *path, struct patch *ret_patch,
                struct error *error)
{
    const struct undo undo = {lines, path, error};
    for (size_t line = 0; line < lines->count;) {
        size_t indent = 0;
        _cleanup_(memory_free) char *words = marked(lines, line, &indent);
        if (words == NULL && is_nearly_marked(lines, line))
            return refuse_changed(&undo, line);
        if (words == NULL && is_left_over(lines, line))
            return error_invalid(error,
                                 "%s:%zu: the comment of backlog migrate above this line was "
                                 "changed. Nothing is taken back: do it by hand",
                                 path, line + 1);
        if (words == NULL)
            line++;
        else if (!undo_one(&undo, words, line, indent, ret_patch, &line))
            return false;
    }
    return true;
}
