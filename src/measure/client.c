#include "measure/client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "measure/agent/agent_client.h"

#include <stdlib.h>

struct client {
    const struct scaler *scaler;
    void *own;                  /* the scaler's, in this process */
    struct agent_client *agent; /* or the process that has it */
};

bool client_open(const struct scaler *scaler, const struct option_values *connection_values,
                 const struct agent_origin *agent, int64_t timeout_ms, struct client **ret_client,
                 struct error *error)
{
    struct client client = {.scaler = scaler};
    bool good = agent == NULL ? scaler->connect(connection_values->data,
                                                clock_now_ms() + timeout_ms, &client.own, error)
                              : agent_client_open(scaler, connection_values, agent, timeout_ms,
                                                  &client.agent, error);
    if (!good)
        return false;
    *ret_client = memory_new(sizeof(client));
    **ret_client = client;
    return true;
}

bool client_measure(struct client *client, struct feed *feed, struct error *error)
{
    if (client->agent != NULL)
        return agent_client_measure(client->agent, feed, error);
    return client->scaler->measure(client->own, feed, error);
}

void client_close(struct client *client)
{
    if (client->agent != NULL)
        agent_client_close(client->agent);
    else
        client->scaler->disconnect(client->own);
    free(client);
}

const char *client_state_name(enum client_state state)
{
    static const char *const names[] = {
        [CLIENT_DISCONNECTED] = "not connected",
        [CLIENT_CONNECTED] = "connected",
        [CLIENT_FAILED] = "failed",
    };
    return names[state];
}
