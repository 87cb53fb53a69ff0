#include "cli/subcommands.h"

#include "measure/agent_client.h"

/* Started by the server for an isolated scaler, never by a person. */
int agent_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return agent_run(scaler_list);
}
