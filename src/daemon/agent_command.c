#include "cli/command.h"

#include "measure/agent/agent.h"
#include "measure/agent/agent_launch.h"

#include <sys/stat.h>

/* Whether the server has started us, with its two descriptors. */
static bool has_server(void)
{
    struct stat socket;
    struct stat notifications;
    return fstat(AGENT_SOCKET, &socket) == 0 && S_ISSOCK(socket.st_mode) &&
           fstat(AGENT_NOTIFICATIONS, &notifications) == 0 && S_ISFIFO(notifications.st_mode);
}

static void check_agent(const struct command_line *line, struct text *mistakes)
{
    (void)line;
    if (!has_server())
        command_mistake(mistakes,
                        "internal: `backlog serve` starts it for a connection whose client "
                        "library may crash; there is nothing to run by hand");
}

static int run_agent(const struct command_line *line, struct error *error)
{
    (void)line;
    (void)error;
    return agent_run(scaler_list);
}

const struct command command_agent = {
    .name = "agent",
    .summary = "internal: the process of one connection",
    .about = "Internal: `backlog serve` starts it, as a process of its own for one connection "
             "whose client "
             "library may crash or take memory without a bound (Kafka, NATS, PostgreSQL; all with "
             "--all-in-agents). It cannot be run by hand.",
    .is_internal = true,
    .check = check_agent,
    .run = run_agent,
};
