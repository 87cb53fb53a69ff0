#include "nats_jetstream/client/client.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "nats_jetstream/client/configs.h"
#include "nats_jetstream/client/connection.h"
#include "nats_jetstream/client/subscriber.h"
#include "nats_jetstream/consumer_info.h"
#include "nats_jetstream/limits.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* After so many requests the replies that are there are taken, so that they do not pile up. */
enum { REQUESTS_AT_ONCE = 64 };

struct nats_client {
    struct nats_client_connection *connection; /* configurations are requested on it, too */
    struct nats_subscriber subscriber;
    struct nats_configs *configs;
    bool has_unsettled; /* requests whose reply has defaults, of which more is known now */
};

struct nats_client *nats_client_connect(const struct nats_connection_options *options,
                                        int64_t deadline_ms, struct error *error)
{
    struct nats_client_connection *connection =
        nats_client_connection_open(options, deadline_ms, error);
    if (connection == NULL)
        return NULL;
    struct nats_client *client = memory_new(sizeof(*client));
    client->connection = connection;
    client->configs = nats_configs_new(connection);
    client->subscriber.options = options;
    client->subscriber.configs = client->configs;
    return client;
}

void nats_client_disconnect(struct nats_client *client)
{
    nats_subscriber_done(&client->subscriber);
    nats_configs_free(client->configs);
    nats_client_connection_close(client->connection);
    free(client);
}

/* ---- what is late ---- */

static void time_out(struct nats_request *request)
{
    _cleanup_(error_done) struct error error = {0};
    struct task *task = request->task;
    if (request->state == NATS_REQUEST_UNSETTLED)
        nats_configs_explain_silence(task->query, &error);
    nats_request_free(request);
    if (error_is_set(&error))
        task_time_out_with(task, &error);
    else
        task_time_out(task);
}

/* Returns when to look again: at once where a task has ended, since the feed may have another then.
 */
static int64_t handle_due(struct nats_client_connection *connection, int64_t now_ms)
{
    int64_t next_ms = CLOCK_NEVER;
    bool has_ended = false;
    if (now_ms < connection->next_due_ms)
        return connection->next_due_ms;
    struct nats_request *request = connection->requests;
    while (request != NULL) {
        struct nats_request *following = request->next;
        if (now_ms >= request->task->deadline_ms) {
            time_out(request);
            has_ended = true;
        } else
            next_ms = clock_earlier(next_ms, request->task->deadline_ms);
        request = following;
    }
    connection->next_due_ms = next_ms;
    return has_ended ? now_ms : next_ms;
}

/* NULL: all have a reply. */
static const struct nats_request *oldest_sent(const struct nats_client_connection *connection)
{
    const struct nats_request *request = connection->requests;
    while (request != NULL && request->state != NATS_REQUEST_SENT)
        request = request->next;
    return request;
}

/* Lowers *ret_next_ms to when to call it again. Returns NATS_OK, or why the connection is of no
 * further use.
 *
 * Where nothing at all was received in half of a task's time, a dead server is found by a ping, and
 * distinguished from a consumer without a leader. */
static natsStatus check_measuring(struct nats_client *client, int64_t *ret_next_ms)
{
    struct nats_client_connection *connection = client->connection;
    int64_t now_ms = clock_now_ms();
    if (nats_client_connection_is_closed(connection))
        return NATS_CONNECTION_CLOSED;
    const struct nats_request *oldest = oldest_sent(connection);
    if (oldest != NULL) {
        int64_t timeout_ms = oldest->task->timeout_ms;
        int64_t since_ms = nats_client_connection_silent_since_ms(connection, oldest);
        int64_t ping_ms = since_ms + timeout_ms / 2;
        if (now_ms >= ping_ms) {
            natsStatus status = nats_client_connection_ping(connection, now_ms);
            if (status != NATS_OK && now_ms >= since_ms + timeout_ms)
                return status;
            ping_ms = status == NATS_OK ? now_ms + timeout_ms / 2 : CLOCK_NEVER;
        }
        *ret_next_ms = clock_earlier(*ret_next_ms, ping_ms);
    }
    *ret_next_ms = clock_earlier(*ret_next_ms, handle_due(connection, now_ms));
    return NATS_OK;
}

/* Those in flight on the subscriber's connection are measured again, on the other one. */
static void return_subscribers(struct nats_client *client)
{
    struct nats_client_connection *connection = client->subscriber.connection;
    struct nats_request *request;
    struct nats_request *next;
    DL_FOREACH_SAFE(connection->requests, request, next) {
        struct task *task = request->task;
        nats_request_free(request);
        task_return(task, false);
    }
}

static void lose_subscriber(struct nats_client *client)
{
    return_subscribers(client);
    nats_subscriber_lose(&client->subscriber);
}

/* As check_measuring(). It is not pinged, as measuring does not wait for it: nats.c itself finds
 * out whether its server is dead. */
static void check_subscriber(struct nats_client *client, int64_t *ret_next_ms)
{
    struct nats_client_connection *connection = client->subscriber.connection;
    int64_t now_ms = clock_now_ms();
    if (connection == NULL)
        return;
    *ret_next_ms = clock_earlier(*ret_next_ms, handle_due(connection, now_ms));
    if (nats_client_connection_is_closed(connection)) {
        lose_subscriber(client);
        *ret_next_ms = now_ms;
        return;
    }
    const struct nats_request *oldest = oldest_sent(connection);
    if (oldest == NULL)
        return;
    int64_t next_ms =
        nats_client_connection_silent_since_ms(connection, oldest) + oldest->task->timeout_ms / 2;
    if (now_ms >= next_ms) {
        return_subscribers(client);
        nats_subscriber_rest(&client->subscriber, now_ms);
        next_ms = now_ms;
    }
    *ret_next_ms = clock_earlier(*ret_next_ms, next_ms);
}

/* ---- replies ---- */

static void explain_no_responders(const struct nats_query *query, struct error *error)
{
    const char *key = query->api_prefix != NULL ? "apiPrefix" : "domain";
    const char *value = query->api_prefix != NULL ? query->api_prefix : query->domain;
    if (value != NULL)
        error_unavailable(
            error, "no JetStream answers for stream \"%s\" and consumer \"%s\": check %s \"%s\"",
            query->stream, query->consumer, key, value);
    else
        error_unavailable(
            error,
            "no JetStream answers for stream \"%s\" and consumer \"%s\": it is disabled on "
            "this server or for this account, or is in a domain (set domain)",
            query->stream, query->consumer);
}

/* Its reply has come: the task is to be ended. */
static struct task *end_request(struct nats_client *client, struct nats_request *request)
{
    struct task *task = request->task;
    bool is_subscriber = request->connection == client->subscriber.connection;
    nats_request_free(request);
    if (is_subscriber)
        nats_subscriber_confirm(&client->subscriber, task);
    return task;
}

/* Defaults are the reading if the stream has one replica. No other reply will follow, as NATS
 * delivers the first only. */
static void settle(struct nats_client *client, struct nats_request *request)
{
    _cleanup_(error_done) struct error error = {0};
    const struct reading reading = request->reading;
    switch (nats_configs_find_or_request_single_replica(client->configs, request->task->query,
                                                        clock_now_ms(), &error)) {
    case NATS_CONFIGS_KNOWN:
        task_answer(end_request(client, request), &reading);
        break;
    case NATS_CONFIGS_IMPOSSIBLE:
        task_fail(end_request(client, request), &error);
        break;
    case NATS_CONFIGS_REQUESTED:
        request->state = NATS_REQUEST_UNSETTLED;
        break;
    }
}

static void settle_all_of(struct nats_client *client, struct nats_client_connection *connection)
{
    struct nats_request *request = connection == NULL ? NULL : connection->requests;
    while (request != NULL) {
        struct nats_request *next = request->next;
        if (request->state == NATS_REQUEST_UNSETTLED)
            settle(client, request);
        request = next;
    }
}

/* Once for many replies: it goes through all requests. */
static void settle_all(struct nats_client *client)
{
    if (!client->has_unsettled)
        return;
    client->has_unsettled = false;
    settle_all_of(client, client->connection);
    settle_all_of(client, client->subscriber.connection);
}

static void take_info(struct nats_client *client, struct nats_request *request, natsMsg *message)
{
    _cleanup_(error_done) struct error error = {0};
    struct reading reading;
    struct nats_consumer_origin origin;
    const struct nats_query *query = request->task->query;
    if (natsMsg_IsNoResponders(message)) {
        explain_no_responders(query, &error);
        task_fail(end_request(client, request), &error);
        return;
    }
    if (!nats_consumer_info_parse(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message),
                                  query, &reading, &origin, &error)) {
        task_fail(end_request(client, request), &error);
        return;
    }
    switch (origin.source) {
    case NATS_CONSUMER_NO_LEADER:
        nats_consumer_info_no_leader(query, &error);
        task_fail(end_request(client, request), &error);
        break;
    case NATS_CONSUMER_DEFAULTS:
        request->reading = reading;
        settle(client, request);
        break;
    case NATS_CONSUMER_COUNTED:
        nats_consumer_info_note(&origin, request->task);
        task_answer(end_request(client, request), &reading);
        break;
    }
}

/* A reply that nobody waits for any more is ignored. */
static void take_message(struct nats_client *client, struct nats_client_connection *connection,
                         natsMsg *message)
{
    uint64_t number = nats_client_connection_number(connection, message);
    connection->received_ms = clock_now_ms();
    struct nats_request *request = nats_client_connection_find(connection, number);
    if (request != NULL && request->state == NATS_REQUEST_SENT)
        take_info(client, request, message);
    else if (connection == client->connection)
        client->has_unsettled |= nats_configs_take(client->configs, number, message);
}

/* Those of requests come in the order of these, so it is one of the first. */
static void take_refusal(struct nats_client *client, struct nats_client_connection *connection,
                         const struct nats_refusal *refusal)
{
    struct nats_request *request = connection->requests;
    if (refusal->is_of_subscription) {
        nats_subscriber_deny(&client->subscriber, refusal);
        return;
    }
    if (connection == client->connection && nats_configs_deny(client->configs, refusal)) {
        client->has_unsettled = true;
        return;
    }
    while (request != NULL && !nats_refusal_is_of(refusal, request->subject))
        request = request->next;
    if (request != NULL)
        task_failf(end_request(client, request), "NATS at %s: %s", connection->servers,
                   refusal->words);
}

static void take_events(struct nats_client *client, struct nats_client_connection *connection)
{
    size_t count = 0;
    struct nats_event *taken = nats_events_take(connection->events, &count);
    for (size_t i = 0; i < count; i++) {
        if (taken[i].message != NULL) {
            take_message(client, connection, taken[i].message);
            natsMsg_Destroy(TAKE(taken[i].message)); /* its headers may be parsed now */
        } else
            take_refusal(client, connection, &taken[i].refusal);
    }
    nats_events_done(taken, count);
    settle_all(client);
}

static void take_all_events(struct nats_client *client)
{
    take_events(client, client->connection);
    if (client->subscriber.connection != NULL)
        take_events(client, client->subscriber.connection);
}

/* ---- requests ---- */

static natsStatus send_task(struct nats_client *client, struct task *task, struct text *subject)
{
    const struct nats_query *query = task->query;
    text_clear(subject);
    nats_add_api(subject, query);
    text_addf(subject, ".CONSUMER.INFO.%s.%s", query->stream, query->consumer);
    if (!nats_subscriber_subscribe(&client->subscriber, task))
        return nats_client_connection_send_task(client->connection, subject->bytes, task);
    struct nats_client_connection *connection = client->subscriber.connection;
    if (nats_client_connection_send_task(connection, subject->bytes, task) != NATS_OK)
        lose_subscriber(client);
    return NATS_OK;
}

static natsStatus send_tasks(struct nats_client *client, struct feed *feed)
{
    _cleanup_(text_done) struct text subject = {0};
    natsStatus status = NATS_OK;
    size_t sent = 0;
    for (struct task *task; status == NATS_OK && (task = feed_take(feed)) != NULL;) {
        status = send_task(client, task, &subject);
        if (++sent % REQUESTS_AT_ONCE == 0)
            take_all_events(client);
    }
    return status;
}

static void end_subscriptions(struct nats_client *client, struct feed *feed)
{
    uint64_t id = 0;
    while (feed_next_unsubscribe(feed, &id))
        nats_subscriber_unsubscribe(&client->subscriber, id);
}

/* ---- the loop ---- */

static bool has_work(const struct nats_client *client)
{
    const struct nats_client_connection *subscribers = client->subscriber.connection;
    return client->connection->requests != NULL ||
           (subscribers != NULL && subscribers->requests != NULL) ||
           nats_subscriber_is_needed(&client->subscriber);
}

static void wait_for_events(const struct nats_client *client, struct feed *feed, int64_t until_ms)
{
    const struct nats_client_connection *connections[] = {client->connection,
                                                          client->subscriber.connection};
    struct pollfd descriptors[ARRAY_LENGTH(connections) + 1];
    size_t count = 0;
    int connector = nats_connector_descriptor(&client->subscriber.connector);
    if (connector >= 0)
        descriptors[count++] = (struct pollfd){.fd = connector, .events = POLLIN};
    for (size_t i = 0; i < ARRAY_LENGTH(connections); i++)
        if (connections[i] != NULL)
            descriptors[count++] = (struct pollfd){
                .fd = nats_events_descriptor(connections[i]->events), .events = POLLIN};
    feed_wait(feed, descriptors, count, until_ms);
}

/* Takes what there is before anything counts as late, and waits. */
static natsStatus turn(struct nats_client *client, struct feed *feed)
{
    int64_t next_ms = CLOCK_NEVER;
    take_all_events(client);
    check_subscriber(client, &next_ms);
    natsStatus status = check_measuring(client, &next_ms);
    if (status == NATS_OK && has_work(client))
        wait_for_events(client, feed, next_ms);
    return status;
}

bool nats_client_measure(struct nats_client *client, struct feed *feed, struct error *error)
{
    natsStatus status = NATS_OK;
    while (status == NATS_OK && !feed_is_stopping(feed)) {
        end_subscriptions(client, feed);
        nats_subscriber_take(&client->subscriber);
        status = send_tasks(client, feed);
        if (status == NATS_OK && !has_work(client))
            break;
        if (status == NATS_OK)
            status = turn(client, feed);
    }
    nats_client_connection_abandon(client->connection);
    if (client->subscriber.connection != NULL)
        nats_client_connection_abandon(client->subscriber.connection);
    return status == NATS_OK || nats_client_connection_broken(client->connection, status, error);
}
