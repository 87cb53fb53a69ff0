/* The man page backlog(1), from the commands' tables; the build writes it. */
#include "cli/command.h"

#include "base/memory.h"
#include "cli/help.h"

#include <stdio.h>

static void section(struct page *page, const char *title)
{
    text_addf(&page->text, ".SH %s\n", title);
}

/* A paragraph without .PP before it, as the first of a section. */
static void line(struct page *page, const char *words)
{
    page_add_escaped(&page->text, words);
    text_add(&page->text, "\n");
}

static void write_commands(struct page *page)
{
    section(page, "COMMANDS");
    for (size_t i = 0; command_list[i] != NULL; i++)
        if (!command_list[i]->is_internal)
            page_term(page, command_list[i]->name, command_list[i]->summary);
    page_term(page, "-h, --help", "help; behind a command, that of the command");
    page_term(page, "-V, --version", "the version");
}

static void write_command(const struct command *command, struct page *page)
{
    _cleanup_(memory_free) char *usage = help_usage(command);
    text_add(&page->text, ".SS ");
    page_add_escaped(&page->text, usage);
    text_add(&page->text, "\n");
    help_write_command(command, page);
    if (command->topic.flag != NULL)
        command->topic.write(page);
}

static void write_end(struct page *page)
{
    section(page, "VALUES");
    line(page, help_about_values);
    section(page, "ENVIRONMENT");
    _cleanup_(memory_free) char *environment = help_about_environment(&command_serve);
    line(page, environment);
    line(page,
         "The variables of other commands have the command's name: BACKLOG_WATCH_INTERVAL for "
         "--interval of backlog watch.");
    section(page, "SIGNALS");
    line(page, "Of backlog serve:");
    page_term(page, "SIGTERM, SIGINT",
              "end streams, answer the calls in progress for at most --grace, and exit 0");
    page_term(page, "SIGHUP", "read the connections file and the certificates again now");
    page_term(page, "SIGUSR1", "log debug messages, too; once more: log as --log-level says");
    section(page, "EXIT STATUS");
    page_term(page, "0", "done");
    page_term(page, "1", "failed; the last line on standard error says why");
    page_term(page, "2",
              "the command line or the environment is wrong; standard error names each mistake");
    section(page, "SEE ALSO");
    line(page, "https://keda.sh/docs/latest/concepts/external-scalers/");
}

static int run_man(const struct command_line *command_line, struct error *error)
{
    struct page page = {.format = PAGE_MAN};
    (void)command_line;
    (void)error;
    text_addf(&page.text, ".TH BACKLOG 1 \"\" \"backlog %s\" \"User Commands\"\n", BACKLOG_VERSION);
    section(&page, "NAME");
    line(&page, "backlog - external scaler for KEDA");
    section(&page, "SYNOPSIS");
    line(&page, "backlog COMMAND [FLAG ...]");
    section(&page, "DESCRIPTION");
    line(&page, "Backlog answers KEDA's external and external-push triggers: how much work waits "
                "in Kafka, NATS "
                "JetStream, RabbitMQ, Redis, PostgreSQL, Prometheus and HTTP APIs.");
    write_commands(&page);
    section(&page, "DETAILS");
    for (size_t i = 0; command_list[i] != NULL; i++)
        if (!command_list[i]->is_internal && command_list[i]->flags != NULL)
            write_command(command_list[i], &page);
    write_end(&page);
    fputs(page.text.bytes, stdout);
    text_done(&page.text);
    return 0;
}

const struct command command_man = {
    .name = "man",
    .summary = "print the man page, as roff",
    .about = "Prints the man page backlog(1) as roff. `cmake --install` installs it.",
    .examples = {{"read it", "backlog man | man -l -"}},
    .is_internal = true,
    .run = run_man,
};
