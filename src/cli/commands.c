/* How a subcommand is found and run. */
#include "base/memory.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/flags.h"
#include "cli/help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct command *const no_commands[] = {NULL};
const struct command *const *command_list = no_commands;

const struct command *command_find(const char *name)
{
    for (size_t i = 0; command_list[i] != NULL; i++)
        if (text_equal(command_list[i]->name, name))
            return command_list[i];
    return NULL;
}

/* ---- help and version ---- */

static void print_page(struct page *page)
{
    fputs(page->text.bytes, stdout);
    text_done(&page->text);
}

static void print_overview(void)
{
    struct page page = {.format = PAGE_TEXT};
    help_write_overview(command_list, &page);
    print_page(&page);
}

static void print_command(const struct command *command)
{
    struct page page = {.format = PAGE_TEXT};
    help_write_command(command, &page);
    print_page(&page);
}

static void print_topic(const struct command *command)
{
    struct page page = {.format = PAGE_TEXT};
    command->topic.write(&page);
    print_page(&page);
}

static void print_version(void)
{
    printf("backlog %s\n", BACKLOG_VERSION);
}

/* "unknown command ..., did you mean ...?" */
static void add_unknown_command(const char *name, struct text *mistakes)
{
    struct text_nearest nearest;
    text_nearest_begin(name, &nearest);
    for (size_t i = 0; command_list[i] != NULL; i++)
        if (!command_list[i]->is_internal)
            text_nearest_offer(&nearest, command_list[i]->name);
    if (nearest.nearest != NULL)
        command_mistake(mistakes, "unknown command \"%s\": did you mean \"%s\"?", name,
                        nearest.nearest);
    else
        command_mistake(mistakes, "unknown command \"%s\"", name);
}

static void check_help(const struct command_line *line, struct text *mistakes)
{
    if (line->operand_count > 0 && command_find(line->operands[0]) == NULL)
        add_unknown_command(line->operands[0], mistakes);
}

static int run_help(const struct command_line *line, struct error *error)
{
    (void)error;
    if (line->operand_count == 0)
        print_overview();
    else
        print_command(command_find(line->operands[0]));
    return 0;
}

static const char *const *command_names(void)
{
    static const char *names[COMMAND_LIST_MAX];
    size_t count = 0;
    for (size_t i = 0; command_list[i] != NULL && count < COMMAND_LIST_MAX - 1; i++)
        if (!command_list[i]->is_internal)
            names[count++] = command_list[i]->name;
    return names;
}

const struct command command_help = {
    .name = "help",
    .summary = "show what a command does, and its flags",
    .operands = "[COMMAND]",
    .max_operands = 1,
    .operand_words = command_names,
    .about = "Shows the commands, or what one of them does and its flags.",
    .exit_status = "0 shown",
    .check = check_help,
    .run = run_help,
};

/* ---- running one ---- */

/* A page that was cut short, on a full disk, must not pass for a whole one. */
static int check_output(int status)
{
    bool is_written = !ferror(stdout);
    if (fflush(stdout) == 0 && is_written)
        return status;
    fprintf(stderr, "backlog: cannot write to standard output: %s\n", strerror(errno));
    return status == 0 ? 1 : status;
}

/* `name` is that of the subcommand, or NULL. */
static int refuse(const char *name, const struct text *mistakes)
{
    const char *space = name == NULL ? "" : " ";
    name = name == NULL ? "" : name;
    for (const char *line = mistakes->bytes; *line != '\0';) {
        int length = (int)strcspn(line, "\n");
        fprintf(stderr, "backlog%s%s: %.*s\n", space, name, length, line);
        line += length + 1;
    }
    fprintf(stderr, "`backlog%s%s --help` shows what is allowed.\n", space, name);
    return EXIT_USAGE;
}

static int run_parsed(const struct command *command, const struct flags *flags)
{
    _cleanup_(error_done) struct error error = {0};
    const struct command_line line = {
        .command = command,
        .flags = flags->values->data,
        .values = flags->values,
        .from_environment = flags->from_environment,
        .operands = flags->operands,
        .operand_count = flags->operand_count,
    };
    int status = 0;
    if (flags->request == FLAGS_HELP)
        print_command(command);
    else if (flags->request == FLAGS_TOPIC)
        print_topic(command);
    else if (flags->request == FLAGS_VERSION)
        print_version();
    else
        status = command->run(&line, &error);
    if (error_is_set(&error)) {
        fflush(stdout);
        fprintf(stderr, "backlog %s: ", command->name);
        console_print(stderr, error_text(&error));
        fputs("\n", stderr);
        status = status == 0 ? 1 : status;
    }
    return check_output(status);
}

int command_run(const struct command *command, int argc, char **argv)
{
    _cleanup_(text_done) struct text mistakes = {0};
    _cleanup_(flags_done) struct flags flags;
    if (!flags_parse(command, argc, argv, &flags, &mistakes))
        return refuse(command->name, &mistakes);
    return run_parsed(command, &flags);
}

static int run_without_command(const char *word)
{
    _cleanup_(text_done) struct text mistakes = {0};
    if (word == NULL || text_equal(word, "-h") || text_equal(word, "--help"))
        print_overview();
    else if (text_equal(word, "-V") || text_equal(word, "--version"))
        print_version();
    else {
        if (word[0] == '-')
            command_mistake(&mistakes, "unknown flag %s: flags follow the command", word);
        else
            add_unknown_command(word, &mistakes);
        return refuse(NULL, &mistakes);
    }
    return check_output(0);
}

int command_main(const struct command *const list[], int argc, char **argv)
{
    command_list = list;
    const struct command *command = argc < 2 ? NULL : command_find(argv[1]);
    return command == NULL ? run_without_command(argc < 2 ? NULL : argv[1])
                           : command_run(command, argc - 1, argv + 1);
}
