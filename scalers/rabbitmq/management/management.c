#include "rabbitmq/management/management.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "rabbitmq/management/leaders.h"
#include "rabbitmq/management/management_internal.h"
#include "rabbitmq/management/rates.h"

#include <stdlib.h>
#include <utlist.h>

enum {
    TIMEOUT_MS = 10 * 1000, /* of a task; the option `timeout` overrides it */
    SLOW_MS = 1000,         /* a request that takes longer while others wait is isolated */
    MAX_ISOLATED = 2,
};

/* ---- connecting ---- */

static void release_client(struct rabbitmq_management **client)
{
    if (*client != NULL)
        rabbitmq_management_disconnect(*client);
}

static void request_overview(struct rabbitmq_management *client, int64_t deadline_ms)
{
    rabbitmq_http_get(client->http,
                      "/api/overview?columns=rates_mode,disable_stats,object_totals.queues",
                      RABBITMQ_HTTP_REPLY_BYTES, client, deadline_ms);
}

/* Whether the broker keeps rates: with statistics disabled, or with rates_mode none, it has none
 * for any queue. */
static void take_overview(struct rabbitmq_management *client, const json_t *overview)
{
    const char *mode = json_string_value(json_object_get(overview, "rates_mode"));
    client->vhost.keeps_rates = mode != NULL && !text_equal(mode, "none") &&
                                !json_is_true(json_object_get(overview, "disable_stats"));
    json_int_t queues =
        json_integer_value(json_object_get(json_object_get(overview, "object_totals"), "queues"));
    client->queues = queues > 0 ? (size_t)queues : 0;
}

/* Of a broker that answers. */
static bool get_overview(struct rabbitmq_management *client, int64_t deadline_ms,
                         struct error *error)
{
    _cleanup_(rabbitmq_http_answer_done) struct rabbitmq_http_answer answer = {0};
    int64_t timeout_ms = clock_now_ms() + client->timeout_ms;
    request_overview(client, clock_earlier(timeout_ms, deadline_ms));
    rabbitmq_http_wait_one(client->http, &answer);
    if (answer.outcome != RABBITMQ_HTTP_GOT) {
        error_move(error, &answer.error);
        return false;
    }
    take_overview(client, answer.json);
    return true;
}

bool rabbitmq_management_connect(const struct rabbitmq_connection_options *options,
                                 const struct rabbitmq_url *url, int64_t deadline_ms,
                                 struct rabbitmq_management **ret_client, struct error *error)
{
    _cleanup_(release_client) struct rabbitmq_management *client = memory_new(sizeof(*client));
    _cleanup_(memory_free) char *vhost = rabbitmq_url_escaped(url->vhost);
    client->vhost.name = text_copy(url->vhost);
    client->vhost.path = text_format("/api/queues/%s", vhost);
    client->vhost.leaders = rabbitmq_leaders_new(scaler_reconnects(), clock_now_ms());
    client->vhost.rates = rabbitmq_rates_new();
    client->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
    client->listings[RABBITMQ_SOURCE_STATISTICS].source = RABBITMQ_SOURCE_STATISTICS;
    client->http = rabbitmq_http_new(options, url);
    if (!rabbitmq_http_log_in(client->http, deadline_ms, error) ||
        !get_overview(client, deadline_ms, error))
        return false;
    if (scaler_reconnects())
        rabbitmq_preference_note_restart(&client->preference, clock_now_ms());
    *ret_client = TAKE(client);
    return true;
}

void rabbitmq_management_disconnect(struct rabbitmq_management *client)
{
    rabbitmq_http_free(client->http);
    rabbitmq_leaders_free(client->vhost.leaders);
    rabbitmq_rates_free(client->vhost.rates);
    free(client->vhost.name);
    free(client->vhost.path);
    free(client);
}

/* ---- answers ---- */

/* The broker may have just started: what is known of its leaders is of before. */
static void note_restart(struct rabbitmq_management *client)
{
    int64_t now_ms = clock_now_ms();
    rabbitmq_preference_note_restart(&client->preference, now_ms);
    rabbitmq_leaders_free(client->vhost.leaders);
    client->vhost.leaders = rabbitmq_leaders_new(true, now_ms);
}

/* The broker answered; before the answer is taken. */
static void note_reached(struct rabbitmq_management *client)
{
    struct rabbitmq_preference *preference = &client->preference;
    int64_t now_ms = clock_now_ms();
    if (rabbitmq_preference_may_have_restarted(preference, now_ms) &&
        (preference->is_silent || rabbitmq_preference_is_back(preference, now_ms)))
        note_restart(client);
}

static void use_statistics(struct rabbitmq_management *client, struct rabbitmq_lookup *lookup)
{
    rabbitmq_lookup_use_statistics(lookup);
    rabbitmq_management_wait(client, lookup);
}

static void take_result(struct rabbitmq_management *client, struct rabbitmq_lookup *lookup,
                        enum rabbitmq_lookup_result result)
{
    if (result == RABBITMQ_LOOKUP_UNCOUNTED)
        rabbitmq_preference_note_uncounted(&client->preference, clock_now_ms());
    if (result == RABBITMQ_LOOKUP_ENDED || result == RABBITMQ_LOOKUP_UNCOUNTED)
        rabbitmq_lookup_drop(lookup);
    else if (result == RABBITMQ_LOOKUP_LACKING)
        use_statistics(client, lookup);
    else
        rabbitmq_management_wait(client, lookup);
}

/* Of a queue that is known to hang, as others were answered after it was isolated, a time-out says
 * nothing of the broker. */
static void time_out(struct rabbitmq_management *client, struct rabbitmq_lookup *lookup)
{
    int64_t answered_ms = client->preference.answered_ms;
    bool is_known = lookup->task->isolate && answered_ms > 0 && client->isolated_ms <= answered_ms;
    if (!is_known)
        rabbitmq_preference_note_silence(&client->preference, lookup->request_ms);
    task_time_out(lookup->task);
    rabbitmq_lookup_drop(lookup);
}

/* The listing did not come. Statistics are the last to be listed: if they are too large or refused,
 * each queue gets a GET; if they are late, its tasks fail. */
static void give_up_listing(struct rabbitmq_management *client, struct rabbitmq_listing *listing,
                            const struct rabbitmq_http_answer *answer)
{
    bool is_late = answer->outcome == RABBITMQ_HTTP_TIMED_OUT;
    bool is_too_large = answer->outcome == RABBITMQ_HTTP_TOO_LARGE;
    bool is_unreached = answer->outcome == RABBITMQ_HTTP_NO_BROKER;
    bool is_refused = answer->outcome == RABBITMQ_HTTP_BROKEN || is_unreached;
    if (is_unreached)
        rabbitmq_preference_note_unreached(&client->preference, listing->sent_ms);
    if (is_late)
        rabbitmq_preference_note_timeout(&client->preference, listing->source, listing->sent_ms,
                                         clock_now_ms());
    else if (is_too_large)
        rabbitmq_preference_note_too_large(&client->preference, clock_now_ms());
    else if (is_refused)
        rabbitmq_preference_note_refused(&client->preference, listing->source, listing->sent_ms,
                                         clock_now_ms());
    struct rabbitmq_lookup *lookup;
    struct rabbitmq_lookup *next;
    DL_FOREACH_SAFE(listing->lookups, lookup, next) {
        if (is_too_large || is_refused || listing->source == RABBITMQ_SOURCE_TOTALS)
            use_statistics(client, lookup);
        else if (is_late)
            time_out(client, lookup);
        else {
            rabbitmq_lookup_fail(lookup, &answer->error);
            rabbitmq_lookup_drop(lookup);
        }
    }
}

static bool fail_client(const struct rabbitmq_management *client,
                        struct rabbitmq_http_answer *answer, struct error *error)
{
    error_move(error, &answer->error);
    return answer->outcome == RABBITMQ_HTTP_NOT_FOUND
               ? error_prefix(error, "vhost '%s'", client->vhost.name)
               : false;
}

/* Returns false where the client is of no further use. */
static bool take_listing_answer(struct rabbitmq_management *client,
                                struct rabbitmq_listing *listing,
                                struct rabbitmq_http_answer *answer, struct error *error)
{
    listing->is_in_flight = false;
    switch (answer->outcome) {
    case RABBITMQ_HTTP_GOT:
        break;
    case RABBITMQ_HTTP_NOT_FOUND:
    case RABBITMQ_HTTP_BAD_REQUEST:
    case RABBITMQ_HTTP_REFUSED:
    case RABBITMQ_HTTP_FAILED:
        return fail_client(client, answer, error);
    case RABBITMQ_HTTP_BROKEN:
    case RABBITMQ_HTTP_NO_BROKER:
    case RABBITMQ_HTTP_TIMED_OUT:
    case RABBITMQ_HTTP_TOO_LARGE:
        give_up_listing(client, listing, answer);
        return true;
    }
    note_reached(client);
    const struct json_text queues = {answer->list.bytes, answer->list.length};
    if (!rabbitmq_listing_take(listing, queues, &client->vhost, &client->preference))
        return error_unavailable(error, "%s: unexpected reply: no list of queues",
                                 rabbitmq_http_name(client->http));
    while (listing->lookups != NULL)
        rabbitmq_management_wait(client, listing->lookups);
    return true;
}

static void take_page(struct rabbitmq_management *client, struct rabbitmq_lookup *lookup,
                      const json_t *page, enum rabbitmq_doubt doubt)
{
    bool counted;
    bool totals = lookup->source == RABBITMQ_SOURCE_TOTALS;
    bool can_be_listed = rabbitmq_preference_may_list(&client->preference, clock_now_ms());
    enum rabbitmq_lookup_result result =
        rabbitmq_lookup_take_page(lookup, &client->vhost, page, doubt, can_be_listed, &counted);
    if (totals && counted)
        rabbitmq_preference_note_counted(&client->preference, clock_now_ms());
    else if (result == RABBITMQ_LOOKUP_LACKING && doubt != RABBITMQ_CUT)
        rabbitmq_preference_note_lacking(&client->preference, clock_now_ms());
    if (result == RABBITMQ_LOOKUP_NEXT && rabbitmq_lookup_is_listable(lookup))
        rabbitmq_preference_note_pages(&client->preference, clock_now_ms());
    take_result(client, lookup, result);
}

/* What concerns nobody else: a name or a pattern that the broker does not take, a time-out. */
static void fail_alone(struct rabbitmq_management *client, struct rabbitmq_lookup *lookup,
                       const struct rabbitmq_http_answer *answer)
{
    if (answer->outcome == RABBITMQ_HTTP_NO_BROKER)
        rabbitmq_preference_note_unreached(&client->preference, lookup->request_ms);
    bool is_late = answer->outcome == RABBITMQ_HTTP_TIMED_OUT;
    if (is_late)
        rabbitmq_preference_note_timeout(&client->preference, lookup->source, lookup->request_ms,
                                         clock_now_ms());
    if (is_late && lookup->source == RABBITMQ_SOURCE_TOTALS) {
        use_statistics(client, lookup);
        return;
    }
    if (is_late && !lookup->is_alone) {
        time_out(client, lookup);
        return;
    }
    /* RabbitMQ answers 500 where the queue goes at this moment. */
    if (answer->outcome == RABBITMQ_HTTP_BROKEN && lookup->is_alone && !lookup->is_again) {
        lookup->is_again = true;
        rabbitmq_management_wait(client, lookup);
        return;
    }
    rabbitmq_lookup_fail(lookup, &answer->error);
    rabbitmq_lookup_drop(lookup);
}

/* Of a client that was unreached: the broker is there, or it is back. */
static bool take_overview_answer(struct rabbitmq_management *client,
                                 struct rabbitmq_http_answer *answer, struct error *error)
{
    if (answer->outcome != RABBITMQ_HTTP_GOT) {
        error_move(error, &answer->error);
        return false;
    }
    take_overview(client, answer->json);
    if (rabbitmq_preference_is_back(&client->preference, clock_now_ms()))
        note_restart(client);
    return true;
}

/* Returns false where the client is of no further use. */
static bool take_answer(struct rabbitmq_management *client, struct rabbitmq_http_answer *answer,
                        struct error *error)
{
    for (size_t i = 0; i < RABBITMQ_SOURCES; i++)
        if (answer->owner == &client->listings[i])
            return take_listing_answer(client, &client->listings[i], answer, error);
    if (answer->owner == client)
        return take_overview_answer(client, answer, error);

    struct rabbitmq_lookup *lookup = answer->owner;
    bool is_pattern = lookup->query->use_regex && !lookup->is_alone;
    if (answer->outcome == RABBITMQ_HTTP_FAILED ||
        (answer->outcome == RABBITMQ_HTTP_NOT_FOUND && is_pattern))
        return fail_client(client, answer, error);
    bool is_answer =
        answer->outcome == RABBITMQ_HTTP_GOT || answer->outcome == RABBITMQ_HTTP_NOT_FOUND;
    if (is_answer)
        note_reached(client);
    enum rabbitmq_doubt doubt =
        is_answer ? rabbitmq_preference_note_answer(&client->preference, lookup->source,
                                                    lookup->request_ms, clock_now_ms())
                  : RABBITMQ_BELIEVED;
    if (is_answer && lookup->is_alone)
        take_result(
            client, lookup,
            rabbitmq_lookup_take_alone(lookup, &client->vhost,
                                       answer->outcome == RABBITMQ_HTTP_GOT ? answer->json : NULL));
    else if (answer->outcome == RABBITMQ_HTTP_NOT_FOUND) {
        rabbitmq_lookup_fail_missing(lookup, &client->vhost);
        rabbitmq_lookup_drop(lookup);
    } else if (answer->outcome != RABBITMQ_HTTP_GOT)
        fail_alone(client, lookup, answer);
    else if (is_pattern)
        take_page(client, lookup, answer->json, doubt);
    else
        take_result(client, lookup,
                    rabbitmq_lookup_take_queue(lookup, &client->vhost, answer->json, doubt));
    return true;
}

static bool take_answers(struct rabbitmq_management *client, struct error *error)
{
    bool usable = true;
    while (usable) {
        _cleanup_(rabbitmq_http_answer_done) struct rabbitmq_http_answer answer = {0};
        if (!rabbitmq_http_take(client->http, &answer))
            break;
        usable = take_answer(client, &answer, error);
    }
    return usable;
}

/* ---- the loop ---- */

static void take_tasks(struct rabbitmq_management *client, struct feed *feed)
{
    bool rest = rabbitmq_preference_totals_rest(&client->preference, clock_now_ms());
    for (struct task *task; (task = feed_take(feed)) != NULL;) {
        task->timeout_ms = client->timeout_ms;
        enum rabbitmq_source source =
            rest || task->isolate ? RABBITMQ_SOURCE_STATISTICS : RABBITMQ_SOURCE_TOTALS;
        struct rabbitmq_lookup *lookup = rabbitmq_lookup_new(task, source);
        lookup->is_single = task->isolate;
        rabbitmq_management_wait(client, lookup);
    }
}

/* A listing may be waited for longer than some of its lookups have time. */
static void time_out_listed(struct rabbitmq_management *client, int64_t now_ms, int64_t *next_ms)
{
    struct rabbitmq_listing *listing = &client->listings[RABBITMQ_SOURCE_STATISTICS];
    struct rabbitmq_lookup *lookup;
    struct rabbitmq_lookup *next;
    if (listing->lookups == NULL)
        return;
    if (now_ms >= listing->next_ms) {
        listing->next_ms = CLOCK_NEVER;
        DL_FOREACH_SAFE(listing->lookups, lookup, next) {
            int64_t deadline_ms = rabbitmq_management_deadline_ms(client, lookup);
            if (now_ms >= deadline_ms)
                time_out(client, lookup);
            else
                listing->next_ms = clock_earlier(listing->next_ms, deadline_ms);
        }
    }
    *next_ms = clock_earlier(*next_ms, listing->next_ms);
}

static bool has_waiting(const struct rabbitmq_management *client)
{
    return client->waiting != NULL || client->listings[RABBITMQ_SOURCE_TOTALS].waiting != NULL ||
           client->listings[RABBITMQ_SOURCE_STATISTICS].waiting != NULL;
}

/* Slow requests give up their places to those that wait. */
static void isolate_slow(struct rabbitmq_management *client, int64_t now_ms, int64_t *next_ms)
{
    struct rabbitmq_lookup *lookup;
    struct rabbitmq_lookup *next;
    if (!has_waiting(client) || rabbitmq_http_has_capacity(client->http))
        return;
    DL_FOREACH_SAFE(client->requested, lookup, next) {
        int64_t slow_ms = lookup->request_ms + SLOW_MS;
        if (lookup->task->isolate)
            continue;
        if (now_ms >= slow_ms) {
            struct task *task = lookup->task;
            rabbitmq_http_cancel(client->http, lookup);
            rabbitmq_lookup_drop(lookup);
            task_return(task, true);
            client->isolated_ms = now_ms;
            *next_ms = now_ms;
        } else if (slow_ms < *next_ms)
            *next_ms = slow_ms;
    }
}

/*
 * Nothing is in flight any more. Where a proxy reached no broker, and nothing was answered since
 * the measurement began, or for long, the overview is requested: without a broker the client is
 * lost. Where it is answered, those requests may be too much for a proxy or the plugin; or the
 * broker is back (rabbitmq_preference_is_back()), with zeros as after any loss of it. One that
 * answered meanwhile fails for some queues only. False: nothing was requested.
 */
static bool check_reached(struct rabbitmq_management *client, int64_t since_ms)
{
    struct rabbitmq_preference *preference = &client->preference;
    int64_t now_ms = clock_now_ms();
    if (preference->unreached_since_ms > 0 &&
        (preference->answered_ms < since_ms ||
         rabbitmq_preference_may_have_restarted(preference, now_ms))) {
        request_overview(client, now_ms + client->timeout_ms);
        return true;
    }
    preference->unreached_since_ms = 0;
    return false;
}

static void abandon(struct rabbitmq_management *client)
{
    rabbitmq_http_stop(client->http);
    rabbitmq_lookup_drop_all(&client->waiting);
    rabbitmq_lookup_drop_all(&client->requested);
    for (size_t i = 0; i < RABBITMQ_SOURCES; i++) {
        rabbitmq_lookup_drop_all(&client->listings[i].lookups);
        rabbitmq_lookup_drop_all(&client->listings[i].waiting);
        client->listings[i].waiting_count = client->listings[i].waiting_patterns = 0;
        client->listings[i].is_in_flight = false;
    }
}

bool rabbitmq_management_measure(struct rabbitmq_management *client, struct feed *feed,
                                 struct error *error)
{
    bool usable = true;
    int64_t since_ms = clock_now_ms();
    feed_set_max_tasks(feed, SIZE_MAX, MAX_ISOLATED);
    while (usable && !feed_is_stopping(feed)) {
        take_tasks(client, feed);
        usable = rabbitmq_http_renew_token(client->http, clock_now_ms(), error);
        if (!usable)
            break;
        rabbitmq_management_request(client);
        if (rabbitmq_http_is_idle(client->http) && !check_reached(client, since_ms))
            break;
        int64_t now_ms = clock_now_ms();
        int64_t next_ms = CLOCK_NEVER;
        time_out_listed(client, now_ms, &next_ms);
        isolate_slow(client, now_ms, &next_ms);
        rabbitmq_http_wait(client->http, feed, next_ms);
        usable = take_answers(client, error);
    }
    abandon(client);
    return usable;
}
