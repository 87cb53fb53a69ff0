#include "rabbitmq/amqp/amqp.h"

#include "base/clock.h"
#include "base/memory.h"
#include "rabbitmq/amqp/connection_login.h"
#include "rabbitmq/amqp/deadlines.h"
#include "rabbitmq/amqp/declarer.h"

#include <stdlib.h>
#include <sys/param.h>

struct rabbitmq_amqp {
    const struct rabbitmq_connection_options *options;
    int64_t connect_ms; /* what connecting may take */
    struct rabbitmq_amqp_connection connection;
    struct rabbitmq_declarer declarer;
};

bool rabbitmq_amqp_connect(const struct rabbitmq_connection_options *options,
                           const struct rabbitmq_url *url, int64_t deadline_ms,
                           struct rabbitmq_amqp **ret_client, struct error *error)
{
    struct rabbitmq_amqp *client = memory_new(sizeof(*client));
    client->options = options;
    client->connect_ms = deadline_ms - clock_now_ms();
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

static bool take_turn(struct rabbitmq_amqp *client, struct feed *feed, struct error *error)
{
    struct rabbitmq_amqp_connection *connection = &client->connection;
    struct rabbitmq_declarer *declarer = &client->declarer;
    int64_t next_ms;
    int64_t flush_ms;
    take_tasks(declarer, feed);
    if (!rabbitmq_declarer_receive(declarer, error) || !rabbitmq_declarer_send(declarer, error) ||
        !rabbitmq_deadlines_check(declarer, &next_ms, error) ||
        !rabbitmq_amqp_connection_flush(connection, &flush_ms, error))
        return false;
    struct pollfd socket = {.fd = connection->socket.fd,
                            .events = rabbitmq_amqp_connection_events(connection)};
    feed_wait(feed, &socket, 1, clock_earlier(next_ms, flush_ms));
    return true;
}

/* A connection that was closed as it had one channel too many is made again, with half of those
 * that it had: the limit is for all connections of the user, and there may be a second replica.
 * False: it had none, or was lost for another reason, or there is no new one. */
static bool connect_with_fewer_channels(struct rabbitmq_amqp *client, struct error *error)
{
    struct rabbitmq_amqp_connection *connection = &client->connection;
    struct rabbitmq_declarer *declarer = &client->declarer;
    int channels = rabbitmq_channels_count_open(&declarer->slots.channels);
    if (!connection->has_too_many_channels || channels == 0)
        return false;
    error_done(error);
    rabbitmq_requests_return(&declarer->requests);
    rabbitmq_declarer_done(declarer);
    rabbitmq_declarer_init(declarer, connection);
    rabbitmq_amqp_connection_close(connection);

    _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = {0};
    int64_t deadline_ms = clock_now_ms() + client->connect_ms;
    if (!rabbitmq_url_parse(client->options, &url, error) ||
        !rabbitmq_amqp_connection_open(connection, client->options, &url, deadline_ms, error) ||
        !rabbitmq_amqp_connection_log_in(connection, &url, deadline_ms, error))
        return false;
    connection->max_channels = MIN(connection->max_channels, (channels + 1) / 2);
    return true;
}

bool rabbitmq_amqp_measure(struct rabbitmq_amqp *client, struct feed *feed, struct error *error)
{
    while (!feed_is_stopping(feed))
        if (!take_turn(client, feed, error) && !connect_with_fewer_channels(client, error))
            return false;
    rabbitmq_declarer_abandon(&client->declarer);
    return true;
}
