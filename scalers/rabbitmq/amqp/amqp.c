#include "rabbitmq/amqp/amqp.h"

#include "base/clock.h"
#include "base/memory.h"
#include "rabbitmq/amqp/connection_login.h"
#include "rabbitmq/amqp/deadlines.h"
#include "rabbitmq/amqp/declarer.h"

#include <stdlib.h>

struct rabbitmq_amqp {
    struct rabbitmq_amqp_connection connection;
    struct rabbitmq_declarer declarer;
};

bool rabbitmq_amqp_connect(const struct rabbitmq_connection_options *options,
                           const struct rabbitmq_url *url, int64_t deadline_ms,
                           struct rabbitmq_amqp **ret_client, struct error *error)
{
    struct rabbitmq_amqp *client = memory_new(sizeof(*client));
    rabbitmq_declarer_init(&client->declarer, &client->connection);
    if (!rabbitmq_amqp_connection_open(&client->connection, options, url, deadline_ms, error) ||
        !rabbitmq_amqp_connection_log_in(&client->connection, url, deadline_ms, error)) {
        rabbitmq_amqp_disconnect(client);
        return false;
    }
    *ret_client = client;
    return true;
}

void rabbitmq_amqp_disconnect(struct rabbitmq_amqp *client)
{
    rabbitmq_declarer_done(&client->declarer);
    rabbitmq_amqp_connection_close(&client->connection);
    free(client);
}

static void take_tasks(struct rabbitmq_declarer *declarer, struct feed *feed)
{
    for (struct task *task; (task = feed_take(feed)) != NULL;)
        rabbitmq_declarer_add(declarer, task);
}

bool rabbitmq_amqp_measure(struct rabbitmq_amqp *client, struct feed *feed, struct error *error)
{
    struct rabbitmq_amqp_connection *connection = &client->connection;
    struct rabbitmq_declarer *declarer = &client->declarer;
    while (!feed_is_stopping(feed)) {
        int64_t next_ms;
        int64_t flush_ms;
        take_tasks(declarer, feed);
        if (!rabbitmq_declarer_receive(declarer, error) ||
            !rabbitmq_declarer_send(declarer, error) ||
            !rabbitmq_deadlines_check(declarer, &next_ms, error) ||
            !rabbitmq_amqp_connection_flush(connection, &flush_ms, error))
            return false;
        struct pollfd socket = {.fd = connection->socket.fd,
                                .events = rabbitmq_amqp_connection_events(connection)};
        feed_wait(feed, &socket, 1, clock_earlier(next_ms, flush_ms));
    }
    rabbitmq_declarer_abandon(declarer);
    return true;
}
