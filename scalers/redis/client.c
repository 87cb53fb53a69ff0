#include "redis/client.h"

#include <stdlib.h>

void redis_client_disconnect(void *argument)
{
    struct redis_client *client = argument;
    redis_subscriber_done(&client->subscriber);
    redis_sentinels_free(client->sentinels);
    redis_links_done(&client->links);
    redis_key_types_done(&client->key_types);
    redis_server_done(&client->server);
    error_done(&client->member.failure);
    free(client);
}

void redis_client_init(struct redis_client *client)
{
    redis_subscriber_init(&client->subscriber, &client->server);
    redis_links_init(&client->links, client, &client->server, &client->subscriber);
}
