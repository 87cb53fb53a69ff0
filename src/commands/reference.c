/*
 * The reference: every key of every scaler of this build, and the server's flags and limits,
 * written from their tables. As Markdown it is scalers/README.md, which a test compares.
 */
#include "cli/command.h"

#include "base/memory.h"
#include "base/system/file.h"
#include "base/text.h"
#include "commands/reference_json.h"
#include "config/value.h"
#include "daemon/serve_flags.h"
#include "measure/scaler.h"
#include "scale/general.h"
#include "scale/triggers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum format { FORMAT_TEXT, FORMAT_MARKDOWN, FORMAT_JSON };

static const char *const formats[] = {"text", "markdown", "json", NULL};

struct flags {
    int format;
    const char *check;
};

static const struct option table[] = {
    {.key = "output",
     .type = OPTION_CHOICE,
     OPTION_FIELD(struct flags, format),
     .group = "Output",
     .value_name = "FORMAT",
     .default_value = "text",
     .choices = formats,
     .doc = "format of the output"},
    {.key = "check",
     .type = OPTION_STRING,
     OPTION_FIELD(struct flags, check),
     .value_name = "FILE",
     .doc = "print nothing, and fail if the file is not the whole reference as Markdown"},
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
    "A trigger sets `scaler: NAME` and the keys below, which are those of KEDA's built-in scaler "
    "of that\n"
    "name unless stated otherwise. `KEYFromEnv` takes the value from a variable of the worker's\n"
    "container. Keys of the connection can stand in the connections file instead, as `KEY` or, "
    "read from\n"
    "a file, as `KEYFile`; a trigger then sets `connectionName: NAME`. Values are trimmed, and an "
    "empty\n"
    "one counts as absent. An unknown key is a mistake.\n";

static const char client_limits_words[] =
    "A client that exceeds one of these is disconnected or has to wait. `--client-limits "
    "NAME=NUMBER,...` "
    "sets those\nwithout a flag of their own; `backlog_limit_hits_total` counts by the same names. "
    "Denial-of-service test results:\n[tests](../test/README.md#denial-of-service-test-results).";

/* What is written, and how. */
struct output {
    struct text text;
    enum format format;
};

static char *default_of(const struct option *row)
{
    if (row->flags & OPTION_REQUIRED)
        return text_copy("required");
    return text_copy(row->default_value == NULL ? "" : row->default_value);
}

/* `dashes` stand before a flag, and nothing before a key. */
static char *allowed_of(const struct option *row, const char *dashes)
{
    bool has_value = dashes[0] == '\0' || row->type != OPTION_BOOL;
    return has_value ? value_allowed(row) : text_copy("no value");
}

/* A `|` would end the cell. */
static void print_cell(const char *text, struct output *page)
{
    for (; *text != '\0'; text++)
        text_addf(&page->text, *text == '|' ? "\\|" : "%c", *text);
}

static void print_term(const char *term, const char *words, struct output *output)
{
    struct page page = {.format = PAGE_TEXT, .text = output->text};
    page_term(&page, term, words);
    output->text = page.text;
}

static void print_row(const struct option *row, const char *dashes, struct output *page)
{
    bool hidden = row->flags & OPTION_NEVER_SHOWN;
    _cleanup_(memory_free) char *allowed = allowed_of(row, dashes);
    _cleanup_(memory_free) char *standard = default_of(row);
    if (page->format == FORMAT_TEXT) {
        _cleanup_(memory_free) char *words =
            text_format("%s; %s%s%s%s%s", row->doc, allowed, hidden ? "; never shown" : "",
                        standard[0] == '\0' ? "" : " [", standard, standard[0] == '\0' ? "" : "]");
        _cleanup_(memory_free) char *name = text_format("%s%s", dashes, row->key);
        print_term(name, words, page);
        return;
    }
    text_addf(&page->text, "| `%s%s`", dashes, row->key);
    if (row->alias != NULL)
        text_addf(&page->text, " (%s`%s`)",
                  row->flags & OPTION_ALIAS_IN_FILE ? "in the file also " : "also ", row->alias);
    text_addf(&page->text, " | ");
    print_cell(allowed, page);
    text_addf(&page->text, "%s | %s | ", hidden ? "; never shown" : "", standard);
    print_cell(row->doc, page);
    text_addf(&page->text, " |\n");
}

static void print_head(const char *title, const char *what, struct output *page)
{
    if (page->format == FORMAT_TEXT)
        text_addf(&page->text, "\n %s:\n", title);
    else
        text_addf(&page->text,
                  "\n### %s\n\n| %s | allowed | default | meaning |\n|---|---|---|---|\n", title,
                  what);
}

static void print_scope(const struct option *rows, enum option_scope scope, const char *title,
                        struct output *page)
{
    bool begun = false;
    for (const struct option *row = rows; row->key != NULL; row++) {
        if (row->scope != scope || row->type == OPTION_UNSUPPORTED)
            continue;
        if (!begun)
            print_head(title, "key", page);
        begun = true;
        print_row(row, "", page);
    }
}

static const struct option *next_unsupported(const struct option *row, const char *doc)
{
    while (row->key != NULL &&
           (row->type != OPTION_UNSUPPORTED || (doc != NULL && !text_equal(row->doc, doc))))
        row++;
    return row->key == NULL ? NULL : row;
}

/* Rows with the same text stand together, at the first of them. */
static void print_unsupported(const struct option *rows, struct output *page)
{
    const struct option *row = next_unsupported(rows, NULL);
    if (row == NULL)
        return;
    text_addf(&page->text, page->format == FORMAT_TEXT ? "\n Not supported here:\n"
                                                       : "\n### Not supported here\n\n");
    for (; row != NULL; row = next_unsupported(row + 1, NULL)) {
        if (next_unsupported(rows, row->doc) != row)
            continue;
        text_addf(&page->text, page->format == FORMAT_TEXT ? "  " : "- ");
        _cleanup_(text_done) struct text line = {0};
        for (const struct option *same = row; same != NULL;
             same = next_unsupported(same + 1, row->doc))
            text_addf(&line, page->format == FORMAT_TEXT ? "%s%s" : "%s`%s`",
                      same == row ? "" : ", ", same->key);
        text_addf(&line, ": %s", row->doc);
        if (page->format == FORMAT_TEXT)
            page_wrap(&page->text, line.bytes, 2, 4);
        else
            text_addf(&page->text, "%s.\n", line.bytes);
    }
}

static void print_client_limit(const struct limit *limit, struct output *page)
{
    _cleanup_(memory_free) char *number = serve_limit_number(limit);
    _cleanup_(memory_free) char *words =
        text_format("%s [%s%s%s]", limit->reason, number, limit->set_by == NULL ? "" : "; set by ",
                    limit->set_by == NULL ? "" : limit->set_by);
    if (page->format == FORMAT_TEXT)
        print_term(limit->name, words, page);
    else
        text_addf(&page->text, "| `%s` | %s | %s | %s |\n", limit->name, number,
                  limit->set_by == NULL ? "" : limit->set_by, limit->reason);
}

static void print_client_limits(const struct transport *transport, struct output *page)
{
    if (transport->limits == NULL)
        return;
    text_addf(&page->text,
              page->format == FORMAT_TEXT ? "\n Of clients, with --transport %s:\n"
                                          : "\n### Of clients, with `--transport %s`\n\n",
              transport->name);
    if (page->format == FORMAT_MARKDOWN)
        text_addf(&page->text, "%s\n\n| limit | number | set by | why |\n|---|---|---|---|\n",
                  client_limits_words);
    for (const struct limit *limit = transport->limits; limit->name != NULL; limit++)
        print_client_limit(limit, page);
}

static void print_refusals(struct output *page)
{
    if (page->format == FORMAT_MARKDOWN)
        text_addf(&page->text, "\n## The server's flags and limits\n");
    text_addf(
        &page->text,
        "\nWhat exceeds a limit is refused with RESOURCE_EXHAUSTED, and the message names the "
        "flag; a full table\n"
        "of triggers drops the one not called for longest. Where `--trigger-memory` is used up, "
        "only triggers without\n"
        "a call for %d s make room for a new one. Limits without a flag: the metadata of a trigger "
        "may have %d keys\n"
        "and %d KiB, a list in it 64 pieces.\n\n"
        "A connection of the connections file may have `namespaces`, a list of names or "
        "patterns: in others it\n"
        "is refused with PERMISSION_DENIED. So is, with `--deny-inline-connections`, a "
        "trigger that names no\n"
        "connection.\n",
        TRIGGERS_IN_USE_MS / 1000, TRIGGERS_MAX_KEYS, TRIGGERS_MAX_METADATA >> 10);
}

static void print_server(struct output *page)
{
    print_refusals(page);
    print_head("Flags of `backlog serve`", "flag", page);
    for (const struct option *row = serve_flags; row->key != NULL; row++)
        print_row(row, "--", page);
    for (size_t i = 0; transport_list[i] != NULL; i++)
        print_client_limits(transport_list[i], page);
}

static void print_differences(const struct scaler *scaler, struct output *page)
{
    if (scaler->differences == NULL)
        return;
    text_addf(&page->text, page->format == FORMAT_TEXT ? "\n Differs from KEDA:\n"
                                                       : "\n### Differs from KEDA\n\n");
    for (const char *line = scaler->differences; *line != '\0'; line += strcspn(line, "\n") + 1) {
        _cleanup_(memory_free) char *words = text_copy_bytes(line, strcspn(line, "\n"));
        text_add(&page->text, page->format == FORMAT_TEXT ? "  - " : "- ");
        if (page->format == FORMAT_TEXT)
            page_wrap(&page->text, words, 4, 4);
        else
            text_addf(&page->text, "%s\n", words);
    }
}

static void print_scaler(const struct scaler *scaler, struct output *page)
{
    text_addf(&page->text, page->format == FORMAT_TEXT ? "%s: %s\n" : "\n## %s\n\n%s.\n",
              scaler->name, scaler->summary);
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        print_scope(scaler->options, (enum option_scope)scope, scope_titles[scope], page);
    print_unsupported(scaler->options, page);
    print_differences(scaler, page);
    if (page->format == FORMAT_TEXT)
        text_addf(&page->text, "\n");
}

static int compare_names(const void *left, const void *right)
{
    const struct scaler *const *one = left;
    const struct scaler *const *other = right;
    return strcmp((*one)->name, (*other)->name);
}

static void print_all(struct output *page)
{
    size_t count = 0;
    while (scaler_list[count] != NULL)
        count++;
    _cleanup_(memory_free) const struct scaler **sorted = memory_array(count, sizeof(*sorted));
    memcpy(sorted, scaler_list, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_names);

    if (page->format == FORMAT_MARKDOWN)
        text_addf(&page->text, "%s\n## Every trigger\n", introduction);
    print_scope(general_table, OPTION_TARGET, "Keys", page);
    if (page->format == FORMAT_TEXT)
        text_addf(&page->text, "\n");
    for (size_t i = 0; i < count; i++)
        if (sorted[i]->absent == NULL)
            print_scaler(sorted[i], page);
    print_server(page);
}

/* Names the first line that differs. */
static bool check_file(const char *path, const char *wanted, struct error *error)
{
    enum { MAX_BYTES = 4 << 20 };
    _cleanup_(text_done) struct text file = {0};
    int line = 1;
    if (!file_read(path, MAX_BYTES, &file, error))
        return false;
    const char *found = file.bytes == NULL ? "" : file.bytes;
    for (; *found == *wanted && *found != '\0'; found++, wanted++)
        line += *found == '\n';
    if (*found == *wanted)
        return true;
    return error_invalid(error, "%s is out of date from line %d on: run ./dev reference", path,
                         line);
}

static bool print(const struct flags *flags, const struct scaler *scaler, struct error *error)
{
    if (flags->check == NULL && flags->format == FORMAT_JSON) {
        _cleanup_(memory_free) char *json = reference_json(scaler);
        fputs(json, stdout);
        return true;
    }
    struct output page = {.format =
                              flags->check == NULL ? (enum format)flags->format : FORMAT_MARKDOWN};
    if (scaler != NULL)
        print_scaler(scaler, &page);
    else
        print_all(&page);
    bool good = flags->check == NULL || check_file(flags->check, page.text.bytes, error);
    if (flags->check == NULL)
        fputs(page.text.bytes + strspn(page.text.bytes, "\n"), stdout);
    text_done(&page.text);
    return good;
}

/* ---- the command ---- */

static const char *const *scaler_names(void)
{
    enum { MAX_SCALERS = 64 };
    static const char *names[MAX_SCALERS + 1];
    size_t count = 0;
    for (size_t i = 0; scaler_list[i] != NULL && count < MAX_SCALERS; i++)
        if (scaler_list[i]->absent == NULL)
            names[count++] = scaler_list[i]->name;
    return names;
}

static void check_reference(const struct command_line *line, struct text *mistakes)
{
    const struct flags *flags = line->flags;
    if (line->operand_count > 0 && flags->check != NULL)
        command_mistake(mistakes, "--check compares the whole reference: leave out %s",
                        line->operands[0]);
    if (line->operand_count == 0 || scaler_find(scaler_list, line->operands[0]) != NULL)
        return;
    _cleanup_(text_done) struct text names = {0};
    for (const char *const *name = scaler_names(); *name != NULL; name++)
        text_addf(&names, "%s%s", names.length == 0 ? "" : ", ", *name);
    command_mistake(mistakes, "unknown scaler \"%s\": there are %s", line->operands[0],
                    names.bytes);
}

static int run_reference(const struct command_line *line, struct error *error)
{
    const struct scaler *scaler =
        line->operand_count == 0 ? NULL : scaler_find(scaler_list, line->operands[0]);
    return print(line->flags, scaler, error) ? 0 : 1;
}

const struct command command_reference = {
    .name = "reference",
    .summary = "print every key of every scaler",
    .operands = "[SCALER]",
    .max_operands = 1,
    .operand_words = scaler_names,
    .about = "Prints every key of every scaler, or of one, and every flag of the server: what it "
             "allows, its "
             "default, what it means.",
    .exit_status = "0 printed; 1 with --check: the file is out of date",
    .examples = {{"the keys of one scaler", "backlog reference kafka"},
                 {"everything, for a program", "backlog reference --output json"},
                 {"everything, as a page", "backlog reference --output markdown >reference.md"}},
    .flags = table,
    .flags_size = sizeof(struct flags),
    .check = check_reference,
    .run = run_reference,
};
