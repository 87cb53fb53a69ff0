/*
 * A subcommand of `backlog`: one file of src/commands, src/daemon or src/lab, which ends with one
 * of these structs. From it come the parser, --help, the man page and the completions of shells.
 *
 * To add a subcommand: write src/commands/NAME.c (or in src/lab, src/daemon) with a
 * `const struct command command_NAME`, add NAME to COMMANDS below and the file to CMakeLists.txt.
 * commands.c finds and runs it.
 *
 * To add a flag: a field in the command's struct of flags, and a row in its table. A row has the
 * key, type, default, limits and doc of any option (config/option_table.h), and besides:
 *
 *     .group       on the first flag of a group: its title; the rows behind it belong to it
 *     .value_name  FILE, ADDRESS, ...: what help shows as its value; shells complete a FILE
 *     .alias       one letter: `-f`
 *     .flags       OPTION_REQUIRED, where there is no default
 *
 * The doc is half a sentence without a full stop. It says what the flag is for; type and default
 * are added. A flag never holds a secret: it is logged, and everybody on the machine sees it.
 *
 * Each flag is also an environment variable: BACKLOG_MAX_STREAMS for --max-streams. Kubernetes sets
 * BACKLOG_PORT, BACKLOG_PORT_*, BACKLOG_SERVICE_* and more for a Service named backlog, so no flag
 * may be named `port`, `port-*` or `service-*`. A flag of `serve` is a value of the chart, too: run
 * ./dev reference, and see CHART_FLAGS in tools/chart/generate.py.
 *
 * Threads: the main thread, before there is another.
 */
#ifndef BACKLOG_CLI_COMMAND_H
#define BACKLOG_CLI_COMMAND_H

#include "base/error.h"
#include "base/text.h"
#include "cli/page.h"
#include "config/option.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COMMAND_MAX_EXAMPLES = 3 };

/* 1 is of `run`: something failed. */
enum { EXIT_USAGE = 2 };

struct command_example {
    const char *doc; /* one line */
    const char *line;
};

/* A help page of its own, for what would make --help too long. */
struct command_topic {
    const char *flag; /* "help-limits" */
    const char *doc;
    void (*write)(struct page *page);
};

/* The command line of one call. Everything lives until `run` has returned. */
struct command_line {
    const struct command *command;
    const void *flags;                  /* the command's struct */
    const struct option_values *values; /* option_is_given(): by a flag or a variable */
    uint64_t from_environment;          /* a bit for each row of the table */
    const char *const *operands;
    size_t operand_count;
};

struct command {
    const char *name;
    const char *summary;  /* half a line, as a verb: "answer KEDA" */
    const char *operands; /* as the usage shows them: "TRACE.csv"; NULL: none */
    size_t min_operands, max_operands;
    const char *const *(*operand_words)(
        void);               /* what the first can be, and NULL; for the completion; may be NULL */
    const char *about;       /* paragraphs, with an empty line between */
    const char *exit_status; /* "0 no mistake; 1 mistakes"; help adds 2, of wrong usage. Of all but
                                the internal ones */
    struct command_example examples[COMMAND_MAX_EXAMPLES];
    const struct option *flags;      /* all of scope OPTION_CONNECTION, which is 0; NULL: none */
    size_t flags_size;               /* of the struct */
    void (*more)(struct page *page); /* at the end of --help; may be NULL */
    struct command_topic topic;      /* may be absent */
    bool is_internal;                /* in no list */
    bool is_server; /* BACKLOG_LISTEN is its --listen, without the command's name */

    /* Adds what is wrong with the flags together, or with the operands: one command_mistake() each.
     * Pure: no files, no network. May be NULL. */
    void (*check)(const struct command_line *line, struct text *mistakes);
    /* The exit status. Where `error` is set, it is printed and the status is at least 1. */
    int (*run)(const struct command_line *line, struct error *error);
};

/* All subcommands, as help lists them. */
#define COMMANDS(COMMAND)                                                                          \
    COMMAND(serve)                                                                                 \
    COMMAND(check)                                                                                 \
    COMMAND(migrate)                                                                               \
    COMMAND(compare)                                                                               \
    COMMAND(ask)                                                                                   \
    COMMAND(explain)                                                                               \
    COMMAND(watch)                                                                                 \
    COMMAND(rehearse)                                                                              \
    COMMAND(simulate)                                                                              \
    COMMAND(reference)                                                                             \
    COMMAND(completion)                                                                            \
    COMMAND(help)                                                                                  \
    COMMAND(version)                                                                               \
    COMMAND(man)                                                                                   \
    COMMAND(agent)                                                                                 \
    COMMAND(run_worker)

#define COMMAND_DECLARATION(name) extern const struct command command_##name;
COMMANDS(COMMAND_DECLARATION)

enum { COMMAND_LIST_MAX = 32 };

/* Ends with NULL. In command_list.c, for main() and tests. */
extern const struct command *const all_commands[];

/* The list that command_main() was called with; an empty one before. */
extern const struct command *const *command_list;

/* NULL: there is none of this name. For tests, too. */
const struct command *command_find(const char *name);

/* For `check`: a mistake of the user's, which names the flag: `--speed "x" must be ...`. */
void command_mistake(struct text *mistakes, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* `backlog` as a whole; argv[0] is the program. `list` is borrowed for good. Returns the exit
 * status; what it could not write is a failure. */
int command_main(const struct command *const list[], int argc, char **argv);

/* One subcommand; argv[0] is its name. For tests, too. */
int command_run(const struct command *command, int argc, char **argv);

#endif
