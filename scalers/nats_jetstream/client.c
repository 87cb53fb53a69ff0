#include "client.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>

/* How long the measuring may be held up by the subscriber's connecting: some times what ours took. */
enum { MIN_SUBSCRIBER_MS = 400, MAX_SUBSCRIBER_MS = 1000, SUBSCRIBER_FACTOR = 3 };

static int64_t subscriber_ms(int64_t took_ms)
{
    int64_t wait_ms = MIN_SUBSCRIBER_MS + SUBSCRIBER_FACTOR * took_ms;
    return wait_ms < MAX_SUBSCRIBER_MS ? wait_ms : MAX_SUBSCRIBER_MS;
}

bool nats_client_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                         struct error *error)
{
    const struct nats_connection_options *from = connection_options;
    struct nats_client *client = memory_new(sizeof(*client));
    int64_t start_ms = clock_now_ms();
    bool good = false;
    if (from->monitoring_endpoint != NULL)
        good = nats_monitoring_connect(from, deadline_ms, &client->monitoring, error);
    else
        good = (client->connection = nats_connection_open(from, deadline_ms, error)) != NULL;
    client->subscriber.options = from;
    client->subscriber.connect_ms = subscriber_ms(clock_now_ms() - start_ms);
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
