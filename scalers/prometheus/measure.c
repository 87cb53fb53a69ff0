#include "prometheus/measure.h"

#include "base/clock.h"
#include "base/memory.h"
#include "prometheus/answer.h"
#include "prometheus/client.h"

#include <stdlib.h>

enum { ROUNDING_MS = 50 /* libcurl's time-out may come a little before our deadline */ };

/* One batch. */
struct round {
    struct prometheus_client *client;
    struct probe *const *probes;
    size_t count;
    size_t next;   /* the first that was not asked yet */
    bool answered; /* the server has, whatever it was */

    /* Not ended yet: they fail alone if the server answers anything else. */
    struct probe *unreached[PROMETHEUS_SIDE_BY_SIDE];
    size_t unreached_count;
    struct error unreached_error;
    int64_t deadline_ms;
};

static void ask_more(struct round *round)
{
    while (round->next < round->count && fetch_pool_has_room(round->client->pool)) {
        struct probe *probe = round->probes[round->next++];
        _cleanup_(memory_free) char *url =
            prometheus_question(&round->client->address, probe->query);
        fetch_pool_ask(round->client->pool, url, probe, round->deadline_ms);
    }
}

/* What ran into the deadline is left unanswered. */
static void take(struct round *round, struct fetch_ended *ended)
{
    struct probe *probe = ended->owner;
    struct reading reading;
    if (ended->outcome == FETCH_FAILED && !round->answered &&
        round->unreached_count < PROMETHEUS_SIDE_BY_SIDE) {
        round->unreached[round->unreached_count++] = probe;
        error_move(&round->unreached_error, &ended->error);
        return;
    }
    if (ended->outcome == FETCH_ANSWERED || ended->outcome == FETCH_TOO_LARGE)
        round->answered = true;
    if (ended->outcome == FETCH_TIMED_OUT &&
        clock_left_ms(round->deadline_ms, ROUNDING_MS) < ROUNDING_MS)
        return;
    if (ended->outcome == FETCH_ANSWERED &&
        prometheus_answer_parse(round->client->name, &ended->answer, &reading, &ended->error))
        probe_answer(probe, &reading);
    else
        probe_fail(probe, &ended->error);
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
    while (round.answered || round.unreached_count < PROMETHEUS_SIDE_BY_SIDE) {
        _cleanup_(fetch_ended_done) struct fetch_ended ended = {0};
        ask_more(&round);
        if (!fetch_pool_take(round.client->pool, deadline_ms, &ended))
            break;
        take(&round, &ended);
    }
    fetch_pool_stop(round.client->pool);
    bool usable = conclude(&round, error);
    error_done(&round.unreached_error);
    return usable;
}
