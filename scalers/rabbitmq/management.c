#include "rabbitmq/management.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "rabbitmq/http.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS "columns=name,messages_ready,messages_unacknowledged"
#define TOTALS "disable_stats=true&enable_queue_totals=true&"

enum {
    /* Totals of a vhost of this many queues are cheap; beyond, twenty queues cost as much as a GET. */
    CHEAP_QUEUES = 1000,
    QUEUES_A_GET = 20,
    GETS_MOST = 20,          /* queues asked one by one */
    REST_MS = 60 * 1000,     /* after totals hung or lacked the counts */
    SIZE_MS = 5 * 60 * 1000, /* how long the size of the vhost is believed */
};

struct rabbitmq_management {
    struct rabbitmq_http *http;
    char *vhost;
    char *listing; /* the path of the vhost's queues */
    size_t queues; /* of the vhost when it was listed last; 0: not known */
    int64_t queues_until_ms;
    int64_t totals_rest_until_ms;
};

/* A queue that is asked for. */
struct asked {
    const char *name;
    struct probe *probe;
    bool listed; /* the listing had it, be it without counts */
};

static void release_json(json_t **json)
{
    json_decref(*json);
}

static void release_client(struct rabbitmq_management **client)
{
    if (*client != NULL)
        rabbitmq_management_disconnect(*client);
}

bool rabbitmq_management_connect(const struct rabbitmq_connection *options,
                                 const struct rabbitmq_url *url, int64_t deadline_ms,
                                 struct rabbitmq_management **ret_client, struct error *error)
{
    _cleanup_(release_client) struct rabbitmq_management *client = memory_new(sizeof(*client));
    _cleanup_(memory_free) char *vhost = rabbitmq_url_escaped(url->vhost);
    client->vhost = text_copy(url->vhost);
    client->listing = text_format("/api/queues/%s", vhost);
    client->http = rabbitmq_http_new(options, url);

    _cleanup_(release_json) json_t *json = NULL;
    if (rabbitmq_http_get(client->http, "/api/whoami", deadline_ms, &json, error) != HTTP_GOT)
        return false;
    *ret_client = TAKE(client);
    return true;
}

void rabbitmq_management_disconnect(struct rabbitmq_management *client)
{
    rabbitmq_http_free(client->http);
    free(client->vhost);
    free(client->listing);
    free(client);
}

/* Whether the JSON of a queue has its counts; if so its probe is answered. */
static bool answer(struct probe *probe, const json_t *queue)
{
    const json_t *ready = json_object_get(queue, "messages_ready");
    const json_t *unacknowledged = json_object_get(queue, "messages_unacknowledged");
    if (!json_is_number(ready) || !json_is_number(unacknowledged))
        return false;

    struct reading reading = READING_UNKNOWN;
    reading.waiting = json_number_value(ready);
    reading.in_flight = json_number_value(unacknowledged);
    probe_answer(probe, &reading);
    return true;
}

static void fail_missing(const struct rabbitmq_management *client, const struct asked *asked)
{
    probe_failf(asked->probe, "queue '%s': NOT_FOUND - no queue '%s' in vhost '%s'", asked->name,
                asked->name, client->vhost);
}

static void fail_without_counts(const struct asked *asked)
{
    probe_failf(asked->probe,
                "queue '%s': the management API does not tell messages_ready and "
                "messages_unacknowledged of it: it is new or down, or the broker's statistics are "
                "disabled (management_agent.disable_metrics_collector); an amqp:// host needs none",
                asked->name);
}

static int compare(const void *left, const void *right)
{
    return strcmp(((const struct asked *)left)->name, ((const struct asked *)right)->name);
}

static struct asked *find(struct asked *asked, size_t count, const char *name)
{
    struct asked key = {.name = name};
    return bsearch(&key, asked, count, sizeof(*asked), compare);
}

/* Answers from a listing. Returns whether it had the counts of all that it listed. */
static bool answer_all(struct asked *asked, size_t count, const json_t *listing)
{
    bool complete = true;
    size_t i;
    const json_t *queue;
    json_array_foreach(listing, i, queue)
    {
        const char *name = json_string_value(json_object_get(queue, "name"));
        struct asked *found = name == NULL ? NULL : find(asked, count, name);
        if (found == NULL)
            continue;
        found->listed = true;
        complete = answer(found->probe, queue) && complete;
    }
    return complete;
}

/* Lists the vhost once and answers all from it, but those of which it has no counts. */
static enum http_outcome list(struct rabbitmq_management *client, struct asked *asked, size_t count,
                              const char *query, int64_t deadline_ms, bool *ret_complete,
                              struct error *error)
{
    _cleanup_(memory_free) char *path = text_format("%s?%s", client->listing, query);
    _cleanup_(release_json) json_t *listing = NULL;
    enum http_outcome outcome = rabbitmq_http_get(client->http, path, deadline_ms, &listing, error);
    if (outcome != HTTP_GOT)
        return outcome;
    if (!json_is_array(listing)) {
        error_unavailable(error, "RabbitMQ's management API answered no list of queues");
        return HTTP_FAILED;
    }
    client->queues = json_array_size(listing);
    client->queues_until_ms = clock_now_ms() + SIZE_MS;
    *ret_complete = answer_all(asked, count, listing);
    for (size_t i = 0; i < count; i++)
        if (!asked[i].listed)
            fail_missing(client, &asked[i]);
    return HTTP_GOT;
}

static enum http_outcome get_one(struct rabbitmq_management *client, const struct asked *asked,
                                 int64_t deadline_ms, struct error *error)
{
    _cleanup_(memory_free) char *name = rabbitmq_url_escaped(asked->name);
    _cleanup_(memory_free) char *path = text_format("%s/%s?" COLUMNS, client->listing, name);
    _cleanup_(release_json) json_t *queue = NULL;
    enum http_outcome outcome = rabbitmq_http_get(client->http, path, deadline_ms, &queue, error);
    if (outcome == HTTP_NOT_FOUND)
        fail_missing(client, asked);
    else if (outcome == HTTP_GOT && !answer(asked->probe, queue))
        fail_without_counts(asked);
    return outcome;
}

static size_t not_ended(const struct asked *asked, size_t count)
{
    size_t left = 0;
    for (size_t i = 0; i < count; i++)
        left += !asked[i].probe->ended;
    return left;
}

/* Asks for the first of those that are not ended, one by one. */
static enum http_outcome get_each(struct rabbitmq_management *client, const struct asked *asked,
                                  size_t count, size_t most, int64_t deadline_ms,
                                  struct error *error)
{
    for (size_t i = 0; i < count && most > 0; i++) {
        if (asked[i].probe->ended)
            continue;
        most--;
        enum http_outcome outcome = get_one(client, &asked[i], deadline_ms, error);
        if (outcome == HTTP_TIMED_OUT || outcome == HTTP_FAILED)
            return outcome;
        error_done(error);
    }
    return HTTP_GOT;
}

/* What is not ended yet, from the statistics. */
static enum http_outcome statistics(struct rabbitmq_management *client, struct asked *asked,
                                    size_t count, int64_t deadline_ms, struct error *error)
{
    /* Where they are listed, too, a few are asked for first: a listing may take too long, and a client
     * that answers nothing is thrown away with all that it has learnt. */
    size_t left = not_ended(asked, count);
    size_t most = left <= GETS_MOST + client->queues / QUEUES_A_GET ? left : GETS_MOST;
    enum http_outcome outcome = get_each(client, asked, count, most, deadline_ms, error);
    if (outcome != HTTP_GOT || most == left)
        return outcome;

    bool complete = false;
    outcome = list(client, asked, count, COLUMNS, deadline_ms, &complete, error);
    for (size_t i = 0; outcome == HTTP_GOT && i < count; i++)
        fail_without_counts(&asked[i]);
    return outcome;
}

/* Totals in a part of the time, so that statistics have the rest where totals hang; from then on they
 * have all of it. */
static enum http_outcome totals(struct rabbitmq_management *client, struct asked *asked,
                                size_t count, int64_t deadline_ms, struct error *error)
{
    int64_t now_ms = clock_now_ms();
    bool complete = false;
    enum http_outcome outcome = list(client, asked, count, TOTALS COLUMNS,
                                     now_ms + (deadline_ms - now_ms) * 3 / 5, &complete, error);
    if (outcome == HTTP_TIMED_OUT || (outcome == HTTP_GOT && !complete))
        client->totals_rest_until_ms = clock_now_ms() + REST_MS;
    return outcome;
}

static bool worth_totals(const struct rabbitmq_management *client, size_t count, int64_t now_ms)
{
    if (now_ms < client->totals_rest_until_ms)
        return false;
    return count > GETS_MOST || now_ms >= client->queues_until_ms ||
           client->queues <= CHEAP_QUEUES + QUEUES_A_GET * count;
}

bool rabbitmq_management_measure(struct rabbitmq_management *client, struct probe *const *probes,
                                 size_t count, int64_t deadline_ms, struct error *error)
{
    _cleanup_(memory_free) struct asked *asked = memory_array(count, sizeof(*asked));
    for (size_t i = 0; i < count; i++) {
        const struct rabbitmq_query *query = probes[i]->query;
        asked[i] = (struct asked){.name = query->queue_name, .probe = probes[i]};
    }
    qsort(asked, count, sizeof(*asked), compare);

    _cleanup_(error_done) struct error why = {0};
    enum http_outcome outcome = HTTP_GOT;
    bool totals_first = worth_totals(client, count, clock_now_ms());
    if (totals_first)
        outcome = totals(client, asked, count, deadline_ms, &why);
    if ((outcome == HTTP_GOT || outcome == HTTP_TIMED_OUT) && not_ended(asked, count) > 0)
        outcome = statistics(client, asked, count, deadline_ms, &why);
    if (outcome == HTTP_TIMED_OUT && !totals_first)
        client->totals_rest_until_ms = 0; /* they do no better: totals may */

    if (outcome == HTTP_GOT || outcome == HTTP_TIMED_OUT)
        return true;
    error_move(error, &why);
    return outcome == HTTP_NOT_FOUND ? error_prefix(error, "vhost '%s'", client->vhost) : false;
}
