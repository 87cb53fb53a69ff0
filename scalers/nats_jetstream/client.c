#include "nats_jetstream/client.h"

#include "base/memory.h"

#include <stdlib.h>

bool nats_client_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                         struct error *error)
{
    const struct nats_connection_options *from = connection_options;
    struct nats_client *client = memory_new(sizeof(*client));
    bool good = false;
    if (from->monitoring_endpoint != NULL)
        good = nats_monitoring_connect(from, deadline_ms, &client->monitoring, error);
    else
        good = (client->connection = nats_connection_open(from, deadline_ms, error)) != NULL;
    client->subscriber.options = from;
    if (!good) {
        nats_client_disconnect(client);
        return false;
    }
    *ret_client = client;
    return true;
}

void nats_client_disconnect(void *client_)
{
    struct nats_client *client = client_;
    nats_subscriber_done(&client->subscriber);
    if (client->connection != NULL)
        nats_connection_close(client->connection);
    if (client->monitoring != NULL)
        nats_monitoring_disconnect(client->monitoring);
    free(client);
}
