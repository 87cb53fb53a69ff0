#include "rabbitmq/management.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "rabbitmq/http.h"
#include "rabbitmq/round.h"

#include <stdlib.h>

enum {
    /* Totals of a vhost of this many queues are cheap; beyond, twenty queues cost as much as a GET. */
    CHEAP_QUEUES = 1000,
    QUEUES_A_GET = 20,
    GETS_MOST = 20,          /* queues asked one by one where they may be listed, too */
    REST_MS = 60 * 1000,     /* after totals hung or lacked the counts */
    SIZE_MS = 5 * 60 * 1000, /* how long the size of the vhost is believed */
};

struct rabbitmq_management {
    struct rabbitmq_http *http;
    char *vhost;
    char *listing;    /* the path of the vhost's queues */
    bool keeps_rates; /* the broker does: a queue without any had no messages yet */
    size_t queues;    /* of the vhost when it was listed last; 0: not known */
    int64_t queues_until_ms;
    int64_t totals_rest_until_ms;
    int64_t listing_rest_until_ms; /* after it was too large */
};

static void release_client(struct rabbitmq_management **client)
{
    if (*client != NULL)
        rabbitmq_management_disconnect(*client);
}

/* Whether a broker that answers keeps rates: with statistics disabled, or with rates_mode none, it has
 * none for any queue. */
static bool get_overview(struct rabbitmq_management *client, int64_t deadline_ms,
                         struct error *error)
{
    _cleanup_(http_answer_done) struct http_answer answer = {0};
    rabbitmq_http_ask(client->http, "/api/overview?columns=rates_mode,disable_stats", NULL,
                      deadline_ms);
    if (!rabbitmq_http_take(client->http, deadline_ms, &answer))
        return error_unavailable(error, "%s gave no answer in time",
                                 rabbitmq_http_name(client->http));
    if (answer.outcome != HTTP_GOT) {
        error_move(error, &answer.error);
        return false;
    }
    const char *mode = json_string_value(json_object_get(answer.json, "rates_mode"));
    client->keeps_rates = mode != NULL && !text_equal(mode, "none") &&
                          !json_is_true(json_object_get(answer.json, "disable_stats"));
    return true;
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
    if (!rabbitmq_http_log_in(client->http, deadline_ms, error) ||
        !get_overview(client, deadline_ms, error))
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

static size_t wanted(const struct round *round, size_t count)
{
    size_t left = 0;
    for (size_t i = 0; i < count; i++)
        left += round_wants(round, &round->asked[i]);
    return left;
}

static bool run(struct rabbitmq_management *client, struct round *round, struct error *error)
{
    bool usable = round_run(round, error);
    int64_t until_ms = clock_now_ms() + SIZE_MS;
    if (round->too_large)
        client->listing_rest_until_ms = until_ms;
    if (round->listed > 0) {
        client->queues = round->listed;
        client->queues_until_ms = until_ms;
    }
    return usable;
}

static bool worth_listing(const struct rabbitmq_management *client, size_t queues, int64_t now_ms)
{
    if (queues == 0 || now_ms < client->listing_rest_until_ms)
        return false;
    return queues > GETS_MOST || now_ms >= client->queues_until_ms ||
           client->queues <= CHEAP_QUEUES + QUEUES_A_GET * queues;
}

/* Totals in a part of the time, so that statistics have the rest where totals hang; from then on they
 * have all of it. */
static bool totals(struct rabbitmq_management *client, struct round *round, int64_t deadline_ms,
                   struct error *error)
{
    int64_t now_ms = clock_now_ms();
    round->totals = true;
    round->list = worth_listing(client, wanted(round, round->queues), now_ms);
    round->gets = 0;
    round->deadline_ms = now_ms + (deadline_ms - now_ms) * 3 / 5;
    bool usable = run(client, round, error);
    /* Of streams they tell nothing, which says nothing of the other queues. */
    if (round->timed_out || (round->lacking && !round->counted))
        client->totals_rest_until_ms = clock_now_ms() + REST_MS;
    return usable;
}

/* What is not ended yet, from the statistics. */
static bool statistics(struct rabbitmq_management *client, struct round *round, int64_t deadline_ms,
                       struct error *error)
{
    round->totals = false;
    round->list = false;
    round->deadline_ms = deadline_ms;

    /* Where they are listed, too, a few are asked for first: a listing may take too long, and a client
     * that answers nothing is thrown away with all that it has learnt. */
    size_t left = wanted(round, round->queues);
    bool all = left <= GETS_MOST + client->queues / QUEUES_A_GET ||
               clock_now_ms() < client->listing_rest_until_ms;
    round->gets = all ? left : GETS_MOST;
    if (!run(client, round, error))
        return false;
    if (all)
        return true;
    round->list = true;
    round->gets = 0;
    return run(client, round, error);
}

static void fill(struct round *round, struct probe *const *probes)
{
    for (size_t i = 0; i < round->count; i++) {
        const struct rabbitmq_query *query = probes[i]->query;
        round->asked[i] = (struct asked){.query = query, .probe = probes[i]};
        round->queues += !query->use_regex;
    }
    qsort(round->asked, round->count, sizeof(struct asked), asked_compare);
}

bool rabbitmq_management_measure(struct rabbitmq_management *client, struct probe *const *probes,
                                 size_t count, int64_t deadline_ms, struct error *error)
{
    _cleanup_(memory_free) struct asked *asked = memory_array(count, sizeof(*asked));
    struct round round = {
        .http = client->http,
        .vhost = client->vhost,
        .listing = client->listing,
        .keeps_rates = client->keeps_rates,
        .asked = asked,
        .count = count,
    };
    fill(&round, probes);

    if (!rabbitmq_http_log_in(client->http, deadline_ms, error))
        return false;
    bool totals_first = clock_now_ms() >= client->totals_rest_until_ms;
    if (totals_first && !totals(client, &round, deadline_ms, error))
        return false;
    round.totals = false;
    if (wanted(&round, count) > 0 && !statistics(client, &round, deadline_ms, error))
        return false;
    if (!totals_first && round.timed_out)
        client->totals_rest_until_ms = 0; /* statistics do no better: totals may */
    return true;
}
