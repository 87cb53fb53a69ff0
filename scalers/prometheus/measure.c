#include "prometheus/measure.h"

#include "base/clock.h"
#include "base/memory.h"
#include "prometheus/answer.h"
#include "prometheus/client.h"

#include <stdlib.h>

enum {
    LONGEST_WAIT_MS = 1000,
    ROUNDING_MS = 50, /* libcurl's time-out may come a little before our deadline */
};

/* One batch: each of the client's fetchers is idle, or asks for one probe. */
struct round {
    struct prometheus_client *client;
    struct probe *const *probes;
    size_t count;
    size_t next; /* the first that was not asked yet */
    size_t asking;
    struct probe *asked[PROMETHEUS_SIDE_BY_SIDE]; /* by each fetcher */
    bool answered;                                /* the server, whatever it was */

    /* Not ended yet: they fail alone if the server answers anything else. */
    struct probe *unreached[PROMETHEUS_SIDE_BY_SIDE];
    size_t unreached_count;
    struct error unreached_error;
    int64_t deadline_ms;
};

static void ask(struct round *round, size_t slot, struct probe *probe)
{
    struct fetcher *fetcher = round->client->fetchers[slot];
    _cleanup_(memory_free) char *url = prometheus_question(&round->client->address, probe->query);
    if (!fetch_begin(fetcher, url, round->deadline_ms))
        return;
    curl_multi_add_handle(round->client->multi, fetch_handle(fetcher));
    round->asked[slot] = probe;
    round->asking++;
}

static void ask_next(struct round *round)
{
    for (size_t slot = 0; slot < PROMETHEUS_SIDE_BY_SIDE; slot++)
        if (round->asked[slot] == NULL && round->next < round->count)
            ask(round, slot, round->probes[round->next++]);
}

static void stop_asking(struct round *round, size_t slot)
{
    curl_multi_remove_handle(round->client->multi, fetch_handle(round->client->fetchers[slot]));
    round->asked[slot] = NULL;
    round->asking--;
}

/* The connections of unanswered questions are closed. */
static void stop_all(struct round *round)
{
    for (size_t slot = 0; slot < PROMETHEUS_SIDE_BY_SIDE; slot++)
        if (round->asked[slot] != NULL)
            stop_asking(round, slot);
}

/* What ran into the deadline is left unanswered. */
static void take(struct round *round, size_t slot, CURLcode code)
{
    struct probe *probe = round->asked[slot];
    _cleanup_(fetch_answer_done) struct fetch_answer answer = {0};
    _cleanup_(error_done) struct error why = {0};
    struct reading reading;
    enum fetch_outcome outcome = fetch_end(round->client->fetchers[slot], code, &answer, &why);
    stop_asking(round, slot);

    if (outcome == FETCH_FAILED && !round->answered &&
        round->unreached_count < PROMETHEUS_SIDE_BY_SIDE) {
        round->unreached[round->unreached_count++] = probe;
        error_move(&round->unreached_error, &why);
        return;
    }
    if (outcome == FETCH_ANSWERED || outcome == FETCH_TOO_LARGE)
        round->answered = true;
    if (outcome == FETCH_TIMED_OUT && clock_left_ms(round->deadline_ms, ROUNDING_MS) < ROUNDING_MS)
        return;
    if (outcome == FETCH_ANSWERED &&
        prometheus_answer_parse(round->client->name, &answer, &reading, &why))
        probe_answer(probe, &reading);
    else
        probe_fail(probe, &why);
}

static size_t slot_of(const struct round *round, const CURL *handle)
{
    size_t slot = 0;
    while (fetch_handle(round->client->fetchers[slot]) != handle)
        slot++;
    return slot;
}

static void take_all(struct round *round)
{
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(round->client->multi, &left)) != NULL;)
        if (message->msg == CURLMSG_DONE)
            take(round, slot_of(round, message->easy_handle), message->data.result);
}

/* Returns false where the server cannot be had at all. */
static bool conclude(struct round *round, struct error *error)
{
    if (round->unreached_count > 0 && !round->answered &&
        !prometheus_client_ask(round->client, round->deadline_ms, error))
        return false;
    for (size_t i = 0; i < round->unreached_count; i++)
        probe_fail(round->unreached[i], &round->unreached_error);
    return true;
}

bool prometheus_measure(void *client, struct probe *const *probes, size_t count,
                        int64_t deadline_ms, struct error *error)
{
    struct round round = {
        .client = client,
        .probes = probes,
        .count = count,
        .deadline_ms = deadline_ms,
    };
    for (;;) {
        ask_next(&round);
        if (round.asking == 0 || clock_left_ms(deadline_ms, 1) == 0)
            break;
        int running = 0;
        size_t asking = round.asking;
        curl_multi_perform(round.client->multi, &running);
        take_all(&round);
        if (!round.answered && round.unreached_count == PROMETHEUS_SIDE_BY_SIDE)
            break;
        if (round.asking == asking)
            curl_multi_poll(round.client->multi, NULL, 0,
                            clock_left_ms(deadline_ms, LONGEST_WAIT_MS), NULL);
    }
    stop_all(&round);
    bool usable = conclude(&round, error);
    error_done(&round.unreached_error);
    return usable;
}
