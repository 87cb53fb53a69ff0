#include "cli/help.h"

#include "base/memory.h"
#include "cli/flags.h"

#include <string.h>

const char help_about_values[] =
    "A DURATION has a unit: 5s, 1m30s or 500ms. `--flag VALUE` and `--flag=VALUE` are the same.";

/* One of two words, where there is one, shows what becomes of "-". */
static const struct option *example_flag(const struct command *command)
{
    const struct option *example = NULL;
    for (const struct option *row = command->flags; row->key != NULL; row++) {
        if (text_equal(row->key, "log-level"))
            return row;
        if (row->flags & OPTION_NO_VARIABLE)
            continue;
        if (example == NULL || (strchr(example->key, '-') == NULL && strchr(row->key, '-') != NULL))
            example = row;
    }
    return example;
}

char *help_about_environment(const struct command *command)
{
    const struct option *example = example_flag(command);
    _cleanup_(memory_free) char *variable = flags_variable(command, example);
    _cleanup_(text_done) struct text without = {0};
    for (const struct option *row = command->flags; row->key != NULL; row++)
        if (row->flags & OPTION_NO_VARIABLE)
            text_addf(&without, "%s--%s", without.length == 0 ? "" : ", ", row->key);
    return text_format("Each flag is also an environment variable: %s for --%s%s%s. A flag "
                       "overrides its variable; a variable that is empty is an error, and one that "
                       "belongs to no flag is ignored.",
                       variable, example->key, without.length == 0 ? "" : "; except ",
                       without.length == 0 ? "" : without.bytes);
}

const char *help_value_name(const struct option *row)
{
    if (row->value_name != NULL)
        return row->value_name;
    switch (row->type) {
    case OPTION_BOOL:
        return NULL;
    case OPTION_INT:
    case OPTION_FLOAT:
        return "NUMBER";
    case OPTION_DURATION:
        return "DURATION";
    case OPTION_CHOICE:
        return "NAME";
    case OPTION_LIST:
        return "LIST";
    default:
        return "TEXT";
    }
}

static void write_flag(const struct option *row, struct page *page)
{
    const char *value = help_value_name(row);
    _cleanup_(memory_free) char *term =
        text_format("%s%s%s--%s%s%s", row->alias == NULL ? "" : "-",
                    row->alias == NULL ? "" : row->alias, row->alias == NULL ? "" : ", ", row->key,
                    value == NULL ? "" : " ", value == NULL ? "" : value);
    _cleanup_(text_done) struct text doc = {0};
    text_add(&doc, row->doc);
    for (size_t i = 0; row->type == OPTION_CHOICE && row->choices[i] != NULL; i++)
        text_addf(&doc, "%s%s",
                  i == 0                        ? ": "
                  : row->choices[i + 1] == NULL ? " or "
                                                : ", ",
                  row->choices[i]);
    if (row->flags & OPTION_REQUIRED)
        text_add(&doc, " (required)");
    else if (value != NULL && row->default_value != NULL)
        text_addf(&doc, " (default: %s)", row->default_value);
    page_term(page, term, doc.bytes);
}

static void write_flags(const struct command *command, struct page *page)
{
    const struct option *row = command->flags;
    if (row == NULL || row->group == NULL)
        page_heading(page, "Flags");
    for (; row != NULL && row->key != NULL; row++) {
        if (row->group != NULL)
            page_heading(page, row->group);
        write_flag(row, page);
    }
    if (page->format == PAGE_MAN)
        return; /* of all commands */
    if (command->flags != NULL)
        page_heading(page, "Help");
    _cleanup_(memory_free) char *topic =
        command->topic.flag == NULL ? NULL : text_format("--%s", command->topic.flag);
    if (topic != NULL)
        page_term(page, topic, command->topic.doc);
    page_term(page, "-h, --help", "this page");
    page_term(page, "-V, --version", "the version");
}

static void write_examples(const struct command *command, struct page *page)
{
    if (command->examples[0].line == NULL)
        return;
    page_heading(page, "Examples");
    for (size_t i = 0; i < COMMAND_MAX_EXAMPLES && command->examples[i].line != NULL; i++)
        page_example(page, command->examples[i].doc, command->examples[i].line);
}

char *help_usage(const struct command *command)
{
    return text_format("backlog %s%s%s%s", command->name, command->operands == NULL ? "" : " ",
                       command->operands == NULL ? "" : command->operands,
                       command->flags == NULL ? "" : " [FLAG ...]");
}

void help_write_command(const struct command *command, struct page *page)
{
    _cleanup_(memory_free) char *usage = help_usage(command);
    if (page->format == PAGE_TEXT)
        text_addf(&page->text, "Usage: %s\n", usage);
    page_paragraphs(page, command->about);
    _cleanup_(memory_free) char *status =
        text_format("Exit status: %s; 2 wrong usage.",
                    command->exit_status == NULL ? "0 done; 1 failed" : command->exit_status);
    page_paragraphs(page, status);
    write_examples(command, page);
    write_flags(command, page);
    if (command->more != NULL)
        command->more(page);
    if (page->format == PAGE_TEXT && command->flags != NULL) {
        page_paragraphs(page, help_about_values);
        _cleanup_(memory_free) char *environment = help_about_environment(command);
        page_paragraphs(page, environment);
    }
}

void help_write_overview(const struct command *const list[], struct page *page)
{
    text_add(&page->text, "Usage: backlog COMMAND [FLAG ...]\n");
    page_paragraphs(page,
                    "An external scaler for KEDA: how much work waits in Kafka, NATS JetStream, "
                    "RabbitMQ, Redis, PostgreSQL, Prometheus and HTTP APIs.");
    page_heading(page, "Commands");
    for (size_t i = 0; list[i] != NULL; i++)
        if (!list[i]->is_internal)
            page_term(page, list[i]->name, list[i]->summary);
    page_heading(page, "Examples");
    page_example(page, "answer KEDA on port 9090, with metrics on port 9091",
                 "backlog serve --http :9091 --config connections.yaml");
    page_example(page, "see what KEDA and the HPA would do with a ScaledObject",
                 "backlog rehearse -f scaledobject.yaml --server localhost:9090");
    page_example(page, "every key of the scaler for Kafka", "backlog reference kafka");
    page_heading(page, "Flags");
    page_term(page, "-h, --help", "this page; `backlog help COMMAND` shows that of a command");
    page_term(page, "-V, --version", "the version");
}
