/* All subcommands: what knows of each of them is no part of cli/. */
#include "cli/command.h"

#define COMMAND_POINTER(name) &command_##name,

const struct command *const all_commands[] = {COMMANDS(COMMAND_POINTER) NULL};
