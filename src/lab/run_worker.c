#include "cli/command.h"

#include "lab/worker_group.h"

static int run_worker(const struct command_line *line, struct error *error)
{
    (void)error;
    return worker_group_exec(line->operands[0], line->operands[1]);
}

const struct command command_run_worker = {
    .name = WORKER_GROUP_COMMAND,
    .summary = "internal: the process of one worker",
    .about = "Internal: `backlog rehearse --worker` starts it; it becomes the shell that runs the "
             "worker's command, and ends with the rehearsal.",
    .operands = "PARENT COMMAND",
    .min_operands = 2,
    .max_operands = 2,
    .is_internal = true,
    .run = run_worker,
};
