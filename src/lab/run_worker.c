#include "cli/command.h"

#include "lab/worker_supervisor.h"

static int run_worker(const struct command_line *line, struct error *error)
{
    (void)error;
    return worker_supervisor_run(line->operands[0], line->operands[1]);
}

const struct command command_run_worker = {
    .name = WORKER_SUPERVISOR_COMMAND,
    .summary = "internal: the process of one worker",
    .about = "Internal: `backlog rehearse --worker` starts it; it has a shell run the worker's "
             "command, and ends with all that this started.",
    .operands = "PARENT COMMAND",
    .min_operands = 2,
    .max_operands = 2,
    .is_internal = true,
    .run = run_worker,
};
