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

/* On every way out: the fetchers are idle then, and the connections of unanswered questions closed. */
static void round_done(struct round *round)
{
    for (size_t slot = 0; slot < PROMETHEUS_SIDE_BY_SIDE; slot++)
        if (round->asked[slot] != NULL)
            stop_asking(round, slot);
}

/* Returns false where the source cannot be had at all. What ran into the deadline is left unanswered. */
static bool take(struct round *round, size_t slot, CURLcode code, struct error *error)
{
    struct probe *probe = round->asked[slot];
    _cleanup_(fetch_answer_done) struct fetch_answer answer = {0};
    _cleanup_(error_done) struct error why = {0};
    struct reading reading;
    enum fetch_outcome outcome = fetch_end(round->client->fetchers[slot], code, &answer, &why);
    stop_asking(round, slot);

    if (outcome == FETCH_FAILED && !round->answered) {
        error_move(error, &why);
        return false;
    }
    if (outcome == FETCH_ANSWERED || outcome == FETCH_TOO_LARGE)
        round->answered = true;
    if (outcome == FETCH_TIMED_OUT && clock_left_ms(round->deadline_ms, ROUNDING_MS) < ROUNDING_MS)
        return true;
    if (outcome == FETCH_ANSWERED &&
        prometheus_answer_parse(round->client->name, &answer, &reading, &why))
        probe_answer(probe, &reading);
    else
        probe_fail(probe, &why);
    return true;
}

static size_t slot_of(const struct round *round, const CURL *handle)
{
    size_t slot = 0;
    while (fetch_handle(round->client->fetchers[slot]) != handle)
        slot++;
    return slot;
}

static bool take_all(struct round *round, struct error *error)
{
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(round->client->multi, &left)) != NULL;)
        if (message->msg == CURLMSG_DONE &&
            !take(round, slot_of(round, message->easy_handle), message->data.result, error))
            return false;
    return true;
}

bool prometheus_measure(void *client, struct probe *const *probes, size_t count,
                        int64_t deadline_ms, struct error *error)
{
    _cleanup_(round_done) struct round round = {
        .client = client,
        .probes = probes,
        .count = count,
        .deadline_ms = deadline_ms,
    };
    for (;;) {
        ask_next(&round);
        if (round.asking == 0)
            return true;
        int running = 0;
        size_t asking = round.asking;
        curl_multi_perform(round.client->multi, &running);
        if (!take_all(&round, error))
            return false;
        if (clock_left_ms(deadline_ms, 1) == 0)
            return true;
        if (round.asking == asking)
            curl_multi_poll(round.client->multi, NULL, 0,
                            clock_left_ms(deadline_ms, LONGEST_WAIT_MS), NULL);
    }
}
