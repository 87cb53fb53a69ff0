#include "measure/client.h"

#include "base/memory.h"
#include "measure/remote.h"

#include <stdlib.h>

struct client {
    const struct scaler *scaler;
    void *own;             /* the scaler's, in this process */
    struct remote *remote; /* or the process that has it */
};

bool client_open(const struct scaler *scaler, const struct option_values *connection_values,
                 const char *program, int64_t deadline_ms, struct client **ret_client,
                 struct error *error)
{
    struct client client = {.scaler = scaler};
    bool good =
        program == NULL
            ? scaler->connect(connection_values->data, deadline_ms, &client.own, error)
            : remote_open(scaler, connection_values, program, deadline_ms, &client.remote, error);
    if (!good)
        return false;
    *ret_client = memory_new(sizeof(client));
    **ret_client = client;
    return true;
}

bool client_measure(struct client *client, struct probe *const *probes, size_t count,
                    int64_t deadline_ms, struct error *error)
{
    if (client->remote != NULL)
        return remote_measure(client->remote, probes, count, deadline_ms, error);
    return client->scaler->measure(client->own, probes, count, deadline_ms, error);
}

void client_disarm(struct client *client, const uint64_t *waker_ids, size_t count)
{
    if (client->remote != NULL)
        remote_disarm(client->remote, waker_ids, count);
    else
        for (size_t i = 0; i < count; i++)
            client->scaler->disarm(client->own, waker_ids[i]);
}

int client_descriptor(const struct client *client)
{
    if (client->remote != NULL)
        return remote_descriptor(client->remote);
    return client->scaler->descriptor == NULL ? -1 : client->scaler->descriptor(client->own);
}

bool client_hear(struct client *client)
{
    if (client->remote != NULL)
        return remote_hear(client->remote);
    client->scaler->hear(client->own);
    return true;
}

void client_close(struct client *client)
{
    if (client->remote != NULL)
        remote_close(client->remote);
    else
        client->scaler->disconnect(client->own);
    free(client);
}
