/* All subcommands, as help lists them. */
#include "cli/command.h"

const struct command *const all_commands[] = {
    &command_serve,      &command_check, &command_migrate,  &command_compare,  &command_ask,
    &command_explain,    &command_watch, &command_rehearse, &command_simulate, &command_reference,
    &command_completion, &command_help,  &command_version,  &command_man,      &command_agent,
    &command_run_worker, NULL,
};
