#include "base/memory.h"
#include "base/text.h"
#include "cli/subcommands.h"

#include <stdio.h>

static int help_main(int argc, char **argv);
static int version_main(int argc, char **argv);

static const struct subcommand {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *doc; /* NULL: not for people */
} subcommands[] = {
    {"serve", serve_main, "answer KEDA"},
    {"rehearse", rehearse_main, "play KEDA and the HPA against a running server"},
    {"simulate", simulate_main, "what KEDA and the HPA would do with a trace of work"},
    {"reference", reference_main, "print every key of every scaler"},
    {"agent", agent_main, NULL},
    {"version", version_main, "print the version"},
    {"help", help_main, "print this page"},
};

static int help_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("Backlog: an external scaler for KEDA.\n\n");
    for (size_t i = 0; i < ARRAY_LENGTH(subcommands); i++)
        if (subcommands[i].doc != NULL)
            printf("  backlog %-10s %s\n", subcommands[i].name, subcommands[i].doc);
    printf("\n`backlog serve --help` lists its flags.\n");
    return 0;
}

static int version_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("backlog %s\n", BACKLOG_VERSION);
    return 0;
}

int main(int argc, char **argv)
{
    const char *name = argc < 2 || text_equal(argv[1], "--help") ? "help"
                       : text_equal(argv[1], "--version")        ? "version"
                                                                 : argv[1];
    for (size_t i = 0; i < ARRAY_LENGTH(subcommands); i++)
        if (text_equal(subcommands[i].name, name))
            return subcommands[i].main(argc - 1, argv + 1);

    fprintf(stderr, "backlog: unknown subcommand \"%s\": `backlog help` lists them\n", name);
    return 2;
}
