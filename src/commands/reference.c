/*
 * The reference: every key of every scaler of this build, and the server's flags and limits,
 * written from their tables. As Markdown it is scalers/README.md, which a test compares.
 */
#include "cli/command.h"

#include "base/memory.h"
#include "base/system/file.h"
#include "base/text.h"
#include "commands/reference_form.h"
#include "commands/reference_json.h"
#include "config/value.h"
#include "daemon/serve_flags.h"
#include "measure/scaler.h"
#include "scale/metadata/general.h"
#include "scale/table/triggers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum format { FORMAT_TEXT, FORMAT_MARKDOWN, FORMAT_JSON };

static const char *const formats[] = {"text", "markdown", "json", NULL};

static const struct reference_form *const forms[] = {
    [FORMAT_TEXT] = &reference_text,
    [FORMAT_MARKDOWN] = &reference_markdown,
};

struct reference_flags {
    int format;
    const char *check;
};

static const struct option table[] = {
    {.key = "output",
     .type = OPTION_CHOICE,
     OPTION_FIELD(struct reference_flags, format),
     .group = "Output",
     .value_name = "FORMAT",
     .default_value = "text",
     .choices = formats,
     .doc = "format of the output"},
    {.key = "check",
     .type = OPTION_STRING,
     OPTION_FIELD(struct reference_flags, check),
     .value_name = "FILE",
     .doc = "print nothing, and fail if the file is not the whole reference as Markdown"},
    {0},
};

static const char *const scope_titles[] = {
    [OPTION_CONNECTION] = "Connection keys",
    [OPTION_QUERY] = "Query keys",
    [OPTION_TARGET] = "Target keys",
};

/* What is written, and how. */
struct output {
    struct text text;
    const struct reference_form *form;
};

static void print_row(const struct option *option, const char *dashes, struct output *output)
{
    bool is_switch = dashes[0] != '\0' && option->type == OPTION_BOOL;
    _cleanup_(memory_free) char *allowed =
        is_switch ? text_copy("no value") : value_allowed(option);
    const char *standard = option->flags & OPTION_REQUIRED ? "required"
                           : option->default_value == NULL ? ""
                                                           : option->default_value;
    output->form->add_row(&(struct reference_row){option, dashes, allowed, standard},
                          &output->text);
}

static void print_scope(const struct option *rows, enum option_scope scope, const char *title,
                        struct output *output)
{
    bool has_begun = false;
    for (const struct option *row = rows; row->key != NULL; row++) {
        if (row->scope != scope || row->type == OPTION_UNSUPPORTED)
            continue;
        if (!has_begun)
            output->form->begin_table(title, "key", &output->text);
        has_begun = true;
        print_row(row, "", output);
    }
}

static char *scope_text(const struct scaler *scaler, enum option_scope scope,
                        const struct reference_form *form)
{
    struct output output = {.form = form};
    print_scope(scaler->options, scope, scope_titles[scope], &output);
    return text_take(&output.text);
}

/* The scaler with the shortest name that has the same keys, or NULL: several scalers are of one
 * source. */
static const struct scaler *scaler_with_same(const struct scaler *scaler, enum option_scope scope,
                                             const struct reference_form *form)
{
    _cleanup_(memory_free) char *own = scope_text(scaler, scope, form);
    const struct scaler *found = NULL;
    for (size_t i = 0; scaler_list[i] != NULL; i++) {
        const struct scaler *other = scaler_list[i];
        const char *shortest = found == NULL ? scaler->name : found->name;
        if (other->absent != NULL || strlen(other->name) >= strlen(shortest))
            continue;
        _cleanup_(memory_free) char *text = scope_text(other, scope, form);
        if (text_equal(text, own))
            found = other;
    }
    return found;
}

static const struct option *next_unsupported(const struct option *row, const char *doc)
{
    while (row->key != NULL &&
           (row->type != OPTION_UNSUPPORTED || (doc != NULL && !text_equal(row->doc, doc))))
        row++;
    return row->key == NULL ? NULL : row;
}

/* Rows with the same text stand together, at the first of them. */
static void print_unsupported(const struct option *rows, struct output *output)
{
    const struct reference_form *form = output->form;
    const struct option *row = next_unsupported(rows, NULL);
    if (row != NULL)
        form->begin_list("Not supported here", &output->text);
    for (; row != NULL; row = next_unsupported(row + 1, NULL)) {
        if (next_unsupported(rows, row->doc) != row)
            continue;
        _cleanup_(text_done) struct text line = {0};
        for (const struct option *same = row; same != NULL;
             same = next_unsupported(same + 1, row->doc))
            text_addf(&line, "%s%s%s%s", same == row ? "" : ", ", form->quote, same->key,
                      form->quote);
        text_addf(&line, ": %s", row->doc);
        form->add_unsupported(line.bytes, &output->text);
    }
}

static void print_differences(const struct scaler *scaler, struct output *output)
{
    if (scaler->differences == NULL)
        return;
    output->form->begin_list("Differs from KEDA", &output->text);
    for (const char *line = scaler->differences; *line != '\0'; line += strcspn(line, "\n") + 1) {
        _cleanup_(memory_free) char *sentence = text_copy_bytes(line, strcspn(line, "\n"));
        output->form->add_difference(sentence, &output->text);
    }
}

/* On a page of all scalers a table that another one has, too, is a link to it. */
static void print_scaler(const struct scaler *scaler, bool is_alone, struct output *output)
{
    const struct reference_form *form = output->form;
    form->begin_scaler(scaler, &output->text);
    for (int i = 0; i < OPTION_SCOPES; i++) {
        enum option_scope scope = (enum option_scope)i;
        const struct scaler *same =
            is_alone || form->refer_to_table == NULL ? NULL : scaler_with_same(scaler, scope, form);
        if (same == NULL)
            print_scope(scaler->options, scope, scope_titles[scope], output);
        else
            form->refer_to_table(scope_titles[scope], same->name, &output->text);
    }
    print_unsupported(scaler->options, output);
    print_differences(scaler, output);
    output->form->end_section(&output->text);
}

static void print_client_limits(const struct transport *transport, struct output *output)
{
    if (transport->limits == NULL)
        return;
    output->form->begin_limits(transport->name, &output->text);
    for (const struct limit *limit = transport->limits; limit->name != NULL; limit++) {
        _cleanup_(memory_free) char *number = serve_limit_number(limit);
        output->form->add_limit(&(struct reference_limit){limit, number}, &output->text);
    }
}

static void print_refusals(struct output *output)
{
    text_addf(
        &output->text,
        "\nA call beyond a limit is refused with RESOURCE_EXHAUSTED, and the message names the "
        "flag. Where\n"
        "`--max-triggers` is used up, triggers without a call for %d s make room for a new one, "
        "the\n"
        "one without a call for longest first. Limits without a flag: the metadata of a trigger\n"
        "may have %d keys and %d KiB, a list in it 64 pieces.\n\n"
        "If a connection of the connections file has `namespaces`, a list of names or patterns, "
        "other namespaces get\n"
        "PERMISSION_DENIED. With `--deny-inline-connections` so does a trigger without "
        "`connectionName`,\n"
        "unless `--kubernetes-allow-authentications` permits its TriggerAuthentication.\n",
        TRIGGERS_IN_USE_MS / 1000, OPTION_MAX_KEYS, OPTION_MAX_METADATA >> 10);
}

static void print_server(struct output *output)
{
    output->form->begin_server(&output->text);
    print_refusals(output);
    output->form->begin_table("Flags of `backlog serve`", "flag", &output->text);
    for (const struct option *row = serve_flags; row->key != NULL; row++)
        print_row(row, "--", output);
    for (size_t i = 0; transport_list[i] != NULL; i++)
        print_client_limits(transport_list[i], output);
}

static int compare_names(const void *left, const void *right)
{
    const struct scaler *const *one = left;
    const struct scaler *const *other = right;
    return strcmp((*one)->name, (*other)->name);
}

static void print_all(struct output *output)
{
    size_t all = 0;
    size_t count = 0;
    while (scaler_list[all] != NULL)
        all++;
    _cleanup_(memory_free) const struct scaler **sorted = memory_array(all + 1, sizeof(*sorted));
    for (size_t i = 0; i < all; i++)
        if (scaler_list[i]->absent == NULL)
            sorted[count++] = scaler_list[i];
    qsort(sorted, count, sizeof(*sorted), compare_names);

    output->form->begin_triggers(sorted, &output->text);
    print_scope(general_table, OPTION_TARGET, "Keys", output);
    output->form->end_section(&output->text);
    for (size_t i = 0; i < count; i++)
        print_scaler(sorted[i], false, output);
    print_server(output);
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

/* Of all scalers and the server, or of one; the caller frees it. */
static char *reference_as(const struct reference_form *form, const struct scaler *only)
{
    struct output output = {.form = form};
    if (only != NULL)
        print_scaler(only, true, &output);
    else
        print_all(&output);
    return text_take(&output.text);
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
    const struct reference_flags *flags = line->flags;
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
    const struct reference_flags *flags = line->flags;
    if (flags->check != NULL) {
        _cleanup_(memory_free) char *wanted = reference_as(&reference_markdown, NULL);
        return check_file(flags->check, wanted, error) ? 0 : 1;
    }
    _cleanup_(memory_free) char *page = flags->format == FORMAT_JSON
                                            ? reference_json(scaler)
                                            : reference_as(forms[flags->format], scaler);
    fputs(page + strspn(page, "\n"), stdout);
    return 0;
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
    .flags_size = sizeof(struct reference_flags),
    .check = check_reference,
    .run = run_reference,
};
