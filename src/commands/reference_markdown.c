#include "commands/reference_form.h"

static const char introduction[] =
    "<!-- Written by `./dev reference` from the scalers' option tables. -->\n"
    "# Keys, flags and limits\n\n"
    "A trigger has `scaler: NAME` and the keys of this scaler. They are the keys of KEDA's "
    "built-in scaler;\n\"Differs from KEDA\" lists the exceptions. An unknown key is an "
    "error.\n\n"
    "- *Connection keys* can be in the connections file instead, as `KEY`, or as `KEYFile` to "
    "read a file. The\n  trigger then has `connectionName: NAME`.\n"
    "- *Query keys* say what is measured, *target keys* how many replicas follow.\n"
    "- `KEYFromEnv` takes the value from a variable of the worker's container.\n"
    "- Values are trimmed. An empty value counts as missing.\n\n"
    "| section | keys of |\n|---|---|\n"
    "| [every trigger](#every-trigger) | intervals, holding, scaling policies |\n";

static const char client_limits_words[] =
    "A client that exceeds one of these is disconnected or has to wait. `--client-limits "
    "NAME=NUMBER,...` "
    "sets those\nwithout a flag of their own; `backlog_limit_hits_total` counts by the same names. "
    "Denial-of-service test "
    "results:\n[tests](../test/attacks/README.md#denial-of-service-test-results).";

/* A `|` would end the cell. */
static void add_cell(const char *words, struct text *page)
{
    for (; *words != '\0'; words++)
        text_addf(page, *words == '|' ? "\\|" : "%c", *words);
}

static void begin_triggers(const struct scaler *const *scalers, struct text *page)
{
    text_add(page, introduction);
    for (; *scalers != NULL; scalers++)
        text_addf(page, "| [%s](#%s) | %s |\n", (*scalers)->name, (*scalers)->name,
                  (*scalers)->summary);
    text_add(page, "| [the server](#the-servers-flags-and-limits) | flags and limits |\n\n"
                   "## Every trigger\n");
}

static void begin_scaler(const struct scaler *scaler, struct text *page)
{
    text_addf(page, "\n## %s\n\n%s.\n", scaler->name, scaler->summary);
}

static void begin_server(struct text *page)
{
    text_add(page, "\n## The server's flags and limits\n");
}

static void end_section(struct text *page)
{
    (void)page;
}

static void begin_table(const char *title, const char *what, struct text *page)
{
    text_addf(page, "\n### %s\n\n| %s | allowed | default | meaning |\n|---|---|---|---|\n", title,
              what);
}

static void add_row(const struct reference_row *row, struct text *page)
{
    const struct option *option = row->option;
    text_addf(page, "| `%s%s`", row->dashes, option->key);
    if (option->alias != NULL)
        text_addf(page, " (%s`%s`)",
                  option->flags & OPTION_ALIAS_IN_FILE ? "in the file also " : "also ",
                  option->alias);
    text_add(page, " | ");
    add_cell(row->allowed, page);
    text_addf(page, "%s | %s | ", option->flags & OPTION_NEVER_SHOWN ? " (secret)" : "",
              row->standard);
    add_cell(option->doc, page);
    text_add(page, " |\n");
}

static void refer_to_table(const char *title, const char *scaler, struct text *page)
{
    text_addf(page, "\n### %s\n\nThe same as of [%s](#%s).\n", title, scaler, scaler);
}

static void begin_list(const char *title, struct text *page)
{
    text_addf(page, "\n### %s\n\n", title);
}

static void add_unsupported(const char *keys_and_reason, struct text *page)
{
    text_addf(page, "- %s.\n", keys_and_reason);
}

static void add_difference(const char *sentence, struct text *page)
{
    text_addf(page, "- %s\n", sentence);
}

static void begin_limits(const char *transport, struct text *page)
{
    text_addf(page,
              "\n### Of clients, with `--transport %s`\n\n%s\n\n"
              "| limit | number | set by | why |\n|---|---|---|---|\n",
              transport, client_limits_words);
}

static void add_limit(const struct reference_limit *limit, struct text *page)
{
    const char *set_by = limit->limit->set_by;
    text_addf(page, "| `%s` | %s | %s | %s |\n", limit->limit->name, limit->number,
              set_by == NULL ? "" : set_by, limit->limit->reason);
}

const struct reference_form reference_markdown = {
    .quote = "`",
    .begin_triggers = begin_triggers,
    .begin_scaler = begin_scaler,
    .begin_server = begin_server,
    .end_section = end_section,
    .begin_table = begin_table,
    .add_row = add_row,
    .refer_to_table = refer_to_table,
    .begin_list = begin_list,
    .add_unsupported = add_unsupported,
    .add_difference = add_difference,
    .begin_limits = begin_limits,
    .add_limit = add_limit,
};
