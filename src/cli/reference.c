/*
 * The reference: every key of every scaler of this build, written from the option tables. As Markdown it
 * is scalers/README.md, which a test compares.
 */
#include "cli/subcommands.h"

#include "base/memory.h"
#include "base/text.h"
#include "cli/flags.h"
#include "cli/serve_flags.h"
#include "config/value.h"
#include "measure/scaler.h"
#include "scale/general.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char about[] =
    "Usage: backlog reference [--format markdown]\n\n"
    "Prints every key of every scaler: what it allows, its default, what it means.";

enum format { FORMAT_TEXT, FORMAT_MARKDOWN };

static const char *const formats[] = {"text", "markdown", NULL};

struct flags {
    int format;
};

static const struct option table[] = {
    {.key = "format",
     .type = OPTION_CHOICE,
     OPTION_FIELD(struct flags, format),
     .fallback = "text",
     .choices = formats,
     .doc = "of the output"},
    {0},
};

static const char *const scope_titles[] = {
    [OPTION_CONNECTION] = "The connection",
    [OPTION_QUERY] = "What is measured",
    [OPTION_TARGET] = "What is answered",
};

static const char introduction[] =
    "<!-- Written by `./dev reference` from the scalers' option tables. -->\n"
    "# Scalers\n\n"
    "A trigger says `scaler: NAME` and the keys below, which are those of KEDA's built-in scaler "
    "of that\n"
    "name unless it says otherwise. `KEYFromEnv` takes the value from a variable of the worker's\n"
    "container. Keys of the connection can stand in the connections file instead, as `KEY` or, "
    "read from\n"
    "a file, as `KEYFile`; a trigger then says `connectionName: NAME`. Values are trimmed, and an "
    "empty\n"
    "one counts as absent. An unknown key is a mistake.\n";

static const char limits_words[] = "What is beyond one of them is refused with RESOURCE_EXHAUSTED, "
                                   "and the text names the flag; a full\n"
                                   "table of triggers drops the one that nobody has asked for "
                                   "longest. Those of clients' connections are\n"
                                   "told in docs/security.md.";

static char *default_of(const struct option *row)
{
    if (row->flags & OPTION_REQUIRED)
        return text_copy("required");
    return text_copy(row->fallback == NULL ? "" : row->fallback);
}

/* A `|` would end the cell. */
static void print_cell(const char *text)
{
    for (; *text != '\0'; text++)
        printf(*text == '|' ? "\\|" : "%c", *text);
}

/* `dashes` stand before a flag, and nothing before a key. */
static void print_row(const struct option *row, const char *dashes, enum format format)
{
    bool hidden = row->flags & (OPTION_SECRET | OPTION_URL);
    _cleanup_(memory_free) char *allowed = value_allowed(row);
    _cleanup_(memory_free) char *standard = default_of(row);
    if (format == FORMAT_TEXT) {
        printf("  %s%-*s %s\n  %36s ", dashes, 36 - (int)strlen(dashes), row->key, row->doc, "");
        printf("%s%s%s%s%s\n", allowed, hidden ? "; never shown" : "",
               standard[0] == '\0' ? "" : " [", standard, standard[0] == '\0' ? "" : "]");
        return;
    }
    printf("| `%s%s`", dashes, row->key);
    if (row->alias != NULL)
        printf(" (%s`%s`)", row->flags & OPTION_ALIAS_IN_FILE ? "in the file also " : "also ",
               row->alias);
    printf(" | ");
    print_cell(allowed);
    printf("%s | %s | ", hidden ? "; never shown" : "", standard);
    print_cell(row->doc);
    printf(" |\n");
}

static void print_head(const char *title, const char *what, enum format format)
{
    if (format == FORMAT_TEXT)
        printf("\n %s:\n", title);
    else
        printf("\n### %s\n\n| %s | allowed | default | meaning |\n|---|---|---|---|\n", title,
               what);
}

static void print_scope(const struct option *rows, enum option_scope scope, const char *title,
                        enum format format)
{
    bool begun = false;
    for (const struct option *row = rows; row->key != NULL; row++) {
        if (row->scope != scope || row->type == OPTION_UNSUPPORTED)
            continue;
        if (!begun)
            print_head(title, "key", format);
        begun = true;
        print_row(row, "", format);
    }
}

static const struct option *next_unsupported(const struct option *row, const char *doc)
{
    while (row->key != NULL &&
           (row->type != OPTION_UNSUPPORTED || (doc != NULL && !text_equal(row->doc, doc))))
        row++;
    return row->key == NULL ? NULL : row;
}

/* Those that are told the same stand together, at the first of them. */
static void print_unsupported(const struct option *rows, enum format format)
{
    const struct option *row = next_unsupported(rows, NULL);
    if (row == NULL)
        return;
    printf(format == FORMAT_TEXT ? "\n Not supported here:\n" : "\n### Not supported here\n\n");
    for (; row != NULL; row = next_unsupported(row + 1, NULL)) {
        if (next_unsupported(rows, row->doc) != row)
            continue;
        printf(format == FORMAT_TEXT ? "  " : "- ");
        for (const struct option *same = row; same != NULL;
             same = next_unsupported(same + 1, row->doc))
            printf(format == FORMAT_TEXT ? "%s%s" : "%s`%s`", same == row ? "" : ", ", same->key);
        printf(": %s%s\n", row->doc, format == FORMAT_TEXT ? "" : ".");
    }
}

static void print_limits(enum format format)
{
    if (format == FORMAT_MARKDOWN)
        printf("\n## The server's limits\n\n%s\n", limits_words);
    print_head("Flags of `backlog serve`", "flag", format);
    for (const struct option *row = serve_flags; row->key != NULL; row++)
        if (text_starts_with(row->key, "max-"))
            print_row(row, "--", format);
}

static void print_differences(const struct scaler *scaler, enum format format)
{
    if (scaler->differences == NULL)
        return;
    printf(format == FORMAT_TEXT ? "\n Differs from KEDA:\n" : "\n### Differs from KEDA\n\n");
    for (const char *line = scaler->differences; *line != '\0'; line += strcspn(line, "\n") + 1)
        printf("%s%.*s\n", format == FORMAT_TEXT ? "  - " : "- ", (int)strcspn(line, "\n"), line);
}

static void print_scaler(const struct scaler *scaler, enum format format)
{
    printf(format == FORMAT_TEXT ? "%s: %s\n" : "\n## %s\n\n%s.\n", scaler->name, scaler->summary);
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        print_scope(scaler->options, (enum option_scope)scope, scope_titles[scope], format);
    print_unsupported(scaler->options, format);
    print_differences(scaler, format);
    if (format == FORMAT_TEXT)
        printf("\n");
}

static int compare_names(const void *left, const void *right)
{
    const struct scaler *const *one = left;
    const struct scaler *const *other = right;
    return strcmp((*one)->name, (*other)->name);
}

static void print_all(enum format format)
{
    size_t count = 0;
    while (scaler_list[count] != NULL)
        count++;
    _cleanup_(memory_free) const struct scaler **sorted = memory_array(count, sizeof(*sorted));
    memcpy(sorted, scaler_list, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_names);

    if (format == FORMAT_MARKDOWN)
        printf("%s", introduction);
    if (format == FORMAT_MARKDOWN)
        printf("\n## Every trigger\n");
    print_scope(general_table, OPTION_TARGET, "Keys", format);
    if (format == FORMAT_TEXT)
        printf("\n");
    for (size_t i = 0; i < count; i++)
        if (sorted[i]->absent == NULL)
            print_scaler(sorted[i], format);
    print_limits(format);
}

int reference_main(int argc, char **argv)
{
    _cleanup_(error_done) struct error error = {0};
    struct option_values *values = NULL;
    bool helped = false;
    if (!flags_parse(argc, argv, table, sizeof(struct flags), about, &values, &helped, &error)) {
        fprintf(stderr, "backlog reference: %s\n", error_text(&error));
        return 2;
    }
    if (!helped)
        print_all((enum format)((const struct flags *)values->data)->format);
    option_values_free(values);
    return 0;
}
