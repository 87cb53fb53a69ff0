#include "nats_jetstream/client/client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "nats_jetstream/client/connection.h"
#include "nats_jetstream/client/replicas.h"
#include "nats_jetstream/client/subscriber.h"
#include "nats_jetstream/consumer_info.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* After so many requests the replies that are there are taken, so that they do not pile up. */
enum { REQUESTS_AT_ONCE = 64 };

struct nats_client {
    struct nats_client_connection *connection;
    struct nats_subscriber subscriber;
    struct nats_replicas *replicas;
    bool has_unsettled; /* replies with defaults, of which more is known now */
};

struct nats_client *nats_client_connect(const struct nats_connection_options *options,
                                        int64_t deadline_ms, struct error *error)
{
    struct nats_client_connection *connection =
        nats_client_connection_open(NATS_ROLE_MEASURING, options, deadline_ms, error);
    if (connection == NULL)
        return NULL;
    struct nats_client *client = memory_new(sizeof(*client));
    client->connection = connection;
    client->subscriber.options = options;
    client->replicas = nats_replicas_new(connection);
    return client;
}

void nats_client_disconnect(struct nats_client *client)
{
    nats_subscriber_done(&client->subscriber);
    nats_replicas_free(client->replicas);
    nats_client_connection_close(client->connection);
    free(client);
}

/* ---- what each connection is for ---- */

/* What is done with what happens to a connection. */
struct role {
    /* Takes a reply to what was requested besides tasks. False: it is to none of that. */
    bool (*take_reply)(struct nats_client *client, uint64_t number, natsMsg *message);

    /* The same, of a right that the user lacks. */
    bool (*take_refusal)(struct nats_client *client, const struct nats_refusal *refusal);

    /* A task's request has its reply; NULL: nothing is done. */
    void (*confirm)(struct nats_client *client, struct task *task);

    /* Ends what is late, and finds out whether the connection still works, where it is silent.
     * Lowers *ret_next_ms to when to call it again. Else says why it is of no further use. */
    natsStatus (*check)(struct nats_client *client, int64_t *ret_next_ms);

    /* The connection is of no further use. Returns NATS_OK, or why the client is not, either. */
    natsStatus (*lose)(struct nats_client *client, natsStatus status);
};

/* ---- what is late ---- */

static void time_out_request(struct nats_client_connection *connection,
                             struct nats_request *request)
{
    _cleanup_(error_done) struct error error = {0};
    struct task *task = request->task;
    bool has_defaults = request->has_defaults;
    nats_client_connection_remove(connection, request);
    if (has_defaults) {
        nats_replicas_explain_silence(task->query, &error);
        task_time_out_with(task, &error);
    } else
        task_time_out(task);
}

/* Returns when to look again: at once where a task has ended, since the feed may have another then.
 */
static int64_t time_out(struct nats_client_connection *connection, int64_t now_ms)
{
    int64_t next_ms = CLOCK_NEVER;
    bool has_ended = false;
    if (now_ms < connection->next_deadline_ms)
        return connection->next_deadline_ms;
    struct nats_request *request = connection->requests;
    while (request != NULL) {
        struct nats_request *following = request->next;
        int64_t deadline_ms = request->task->deadline_ms;
        if (now_ms >= deadline_ms) {
            time_out_request(connection, request);
            has_ended = true;
        } else if (deadline_ms < next_ms)
            next_ms = deadline_ms;
        request = following;
    }
    connection->next_deadline_ms = next_ms;
    return has_ended ? now_ms : next_ms;
}

/* ---- the role of measuring ---- */

static bool take_replicas(struct nats_client *client, uint64_t number, natsMsg *message)
{
    if (!nats_replicas_take(client->replicas, number, message))
        return false;
    client->has_unsettled = true;
    return true;
}

static bool deny_replicas(struct nats_client *client, const struct nats_refusal *refusal)
{
    if (!nats_replicas_deny(client->replicas, refusal))
        return false;
    client->has_unsettled = true;
    return true;
}

/* Tasks of which nothing at all was received in half of their time: a dead server is found by a
 * ping, and distinguished from a consumer without a leader. */
static natsStatus check_silence(struct nats_client_connection *connection, int64_t now_ms,
                                int64_t *ret_next_ms)
{
    const struct nats_request *oldest = connection->requests;
    if (nats_client_connection_is_closed(connection))
        return NATS_CONNECTION_CLOSED;
    if (oldest == NULL)
        return NATS_OK;
    int64_t since_ms = nats_client_connection_silent_since_ms(connection, oldest);
    int64_t ping_ms = since_ms + oldest->task->timeout_ms / 2;
    if (now_ms >= ping_ms) {
        natsStatus status = nats_client_connection_ping(connection, now_ms);
        if (status != NATS_OK)
            return now_ms < since_ms + oldest->task->timeout_ms ? NATS_OK : status;
        ping_ms = now_ms + oldest->task->timeout_ms / 2;
    }
    *ret_next_ms = clock_earlier(*ret_next_ms, ping_ms);
    return NATS_OK;
}

static natsStatus check_measuring(struct nats_client *client, int64_t *ret_next_ms)
{
    int64_t now_ms = clock_now_ms();
    natsStatus status = check_silence(client->connection, now_ms, ret_next_ms);
    if (status == NATS_OK)
        *ret_next_ms = clock_earlier(*ret_next_ms, time_out(client->connection, now_ms));
    return status;
}

static natsStatus lose_client(struct nats_client *client, natsStatus status)
{
    (void)client;
    return status;
}

/* ---- the role of subscribing ---- */

static bool take_subjects(struct nats_client *client, uint64_t number, natsMsg *message)
{
    return nats_subjects_take(client->subscriber.subjects, number, message);
}

static bool deny_subscription(struct nats_client *client, const struct nats_refusal *refusal)
{
    if (!refusal->is_of_subscription)
        return nats_subjects_deny(client->subscriber.subjects, refusal);
    nats_subscriber_deny(&client->subscriber, refusal);
    return true;
}

static void confirm_subscription(struct nats_client *client, struct task *task)
{
    nats_subscriber_confirm(&client->subscriber, task);
}

/* Those in flight on it are measured again, on the other connection. */
static void return_subscribers(struct nats_client *client)
{
    struct nats_client_connection *connection = client->subscriber.connection;
    while (connection->requests != NULL) {
        struct task *task = connection->requests->task;
        nats_client_connection_remove(connection, connection->requests);
        task_return(task, false);
    }
}

static natsStatus lose_subscriber(struct nats_client *client, natsStatus status)
{
    (void)status;
    return_subscribers(client);
    nats_subscriber_lose(&client->subscriber);
    return NATS_OK;
}

/* The subscriber's is not pinged, as measuring does not wait for it: nats.c itself finds out
 * whether its server is dead. */
static natsStatus check_subscribing(struct nats_client *client, int64_t *ret_next_ms)
{
    struct nats_client_connection *connection = client->subscriber.connection;
    int64_t now_ms = clock_now_ms();
    *ret_next_ms = clock_earlier(*ret_next_ms, time_out(connection, now_ms));
    const struct nats_request *oldest = connection->requests;
    if (nats_client_connection_is_closed(connection))
        return NATS_CONNECTION_CLOSED;
    while (oldest != NULL && oldest->has_defaults) /* answered: it waits for the other connection */
        oldest = oldest->next;
    if (oldest == NULL)
        return NATS_OK;
    int64_t since_ms = nats_client_connection_silent_since_ms(connection, oldest);
    int64_t next_ms = since_ms + oldest->task->timeout_ms / 2;
    if (now_ms >= next_ms) {
        return_subscribers(client);
        nats_subscriber_rest(&client->subscriber, now_ms);
        next_ms = now_ms;
    }
    *ret_next_ms = clock_earlier(*ret_next_ms, next_ms);
    return NATS_OK;
}

static const struct role roles[] = {
    [NATS_ROLE_MEASURING] = {.take_reply = take_replicas,
                             .take_refusal = deny_replicas,
                             .check = check_measuring,
                             .lose = lose_client},
    [NATS_ROLE_SUBSCRIBING] = {.take_reply = take_subjects,
                               .take_refusal = deny_subscription,
                               .confirm = confirm_subscription,
                               .check = check_subscribing,
                               .lose = lose_subscriber},
};

static const struct role *role_of(const struct nats_client_connection *connection)
{
    return &roles[connection->role];
}

/* ---- replies ---- */

static void explain_no_responders(struct task *task)
{
    const struct nats_query *query = task->query;
    const char *key = query->api_prefix != NULL ? "apiPrefix" : "domain";
    const char *value = query->api_prefix != NULL ? query->api_prefix : query->domain;
    if (value != NULL)
        task_failf(task,
                   "no JetStream answers for stream \"%s\" and consumer \"%s\": check %s \"%s\"",
                   query->stream, query->consumer, key, value);
    else
        task_failf(task,
                   "no JetStream answers for stream \"%s\" and consumer \"%s\": it is disabled on "
                   "this server or for this account, or is in a domain (set domain)",
                   query->stream, query->consumer);
}

static struct task *end_request(struct nats_client *client,
                                struct nats_client_connection *connection,
                                struct nats_request *request)
{
    struct task *task = request->task;
    nats_client_connection_remove(connection, request);
    if (role_of(connection)->confirm != NULL)
        role_of(connection)->confirm(client, task);
    return task;
}

/* Where the reply has defaults: they are the reading if the stream has one replica. No other reply
 * will follow, as NATS delivers the first only. */
static void settle_defaults(struct nats_client *client, struct nats_client_connection *connection,
                            struct nats_request *request)
{
    _cleanup_(error_done) struct error error = {0};
    const struct reading reading = request->reading;
    switch (nats_replicas_find(client->replicas, request->task->query, &error)) {
    case NATS_REPLICAS_SINGLE:
        task_answer(end_request(client, connection, request), &reading);
        break;
    case NATS_REPLICAS_NOT_SINGLE:
        task_fail(end_request(client, connection, request), &error);
        break;
    case NATS_REPLICAS_REQUESTED:
        request->has_defaults = true;
        break;
    }
}

static void settle_connection(struct nats_client *client, struct nats_client_connection *connection)
{
    struct nats_request *request = connection == NULL ? NULL : connection->requests;
    while (request != NULL) {
        struct nats_request *next = request->next;
        if (request->has_defaults)
            settle_defaults(client, connection, request);
        request = next;
    }
}

/* Once for many replies: it goes through all requests. */
static void settle_all(struct nats_client *client)
{
    if (!client->has_unsettled)
        return;
    client->has_unsettled = false;
    settle_connection(client, client->connection);
    settle_connection(client, client->subscriber.connection);
}

static void take_info(struct nats_client *client, struct nats_client_connection *connection,
                      struct nats_request *request, natsMsg *message)
{
    _cleanup_(error_done) struct error error = {0};
    struct reading reading;
    enum nats_consumer_source source;
    const struct nats_query *query = request->task->query;
    if (natsMsg_IsNoResponders(message)) {
        explain_no_responders(end_request(client, connection, request));
        return;
    }
    if (!nats_consumer_info_parse(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message),
                                  query, &reading, &source, &error)) {
        task_fail(end_request(client, connection, request), &error);
        return;
    }
    switch (source) {
    case NATS_CONSUMER_NO_LEADER:
        nats_consumer_info_no_leader(query, &error);
        task_fail(end_request(client, connection, request), &error);
        break;
    case NATS_CONSUMER_DEFAULTS:
        request->reading = reading;
        settle_defaults(client, connection, request);
        break;
    case NATS_CONSUMER_COUNTED:
        task_answer(end_request(client, connection, request), &reading);
        break;
    }
}

/* A reply that nobody waits for any more is ignored. */
static void take_message(struct nats_client *client, struct nats_client_connection *connection,
                         natsMsg *message)
{
    uint64_t number = nats_client_connection_number(connection, message);
    connection->received_ms = clock_now_ms();
    if (role_of(connection)->take_reply(client, number, message))
        return;
    struct nats_request *request = nats_client_connection_find(connection, number);
    if (request != NULL)
        take_info(client, connection, request, message);
}

/* They come in the order of the requests, so it is one of the first. */
static void fail_refused(struct nats_client *client, struct nats_client_connection *connection,
                         const struct nats_refusal *refusal)
{
    struct nats_request *request = connection->requests;
    while (request != NULL && !nats_refusal_is_of(refusal, request->subject))
        request = request->next;
    if (request != NULL)
        task_failf(end_request(client, connection, request), "NATS at %s: %s", connection->servers,
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
        } else if (!role_of(connection)->take_refusal(client, &taken[i].refusal))
            fail_refused(client, connection, &taken[i].refusal);
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
    natsStatus status = nats_client_connection_send_task(connection, subject->bytes, task);
    return status == NATS_OK ? status : role_of(connection)->lose(client, status);
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

/* A connection that there may be. */
static natsStatus check(struct nats_client *client, struct nats_client_connection *connection,
                        int64_t *ret_next_ms)
{
    if (connection == NULL)
        return NATS_OK;
    natsStatus status = role_of(connection)->check(client, ret_next_ms);
    if (status == NATS_OK)
        return status;
    *ret_next_ms = 0;
    return role_of(connection)->lose(client, status);
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
    natsStatus status = check(client, client->subscriber.connection, &next_ms);
    if (status == NATS_OK)
        status = check(client, client->connection, &next_ms);
    if (status == NATS_OK && has_work(client))
        wait_for_events(client, feed, next_ms);
    return status;
}

static void abandon(struct nats_client_connection *connection)
{
    while (connection != NULL && connection->requests != NULL)
        nats_client_connection_remove(connection, connection->requests);
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
    abandon(client->connection);
    abandon(client->subscriber.connection);
    return status == NATS_OK || nats_client_connection_broken(client->connection, status, error);
}
