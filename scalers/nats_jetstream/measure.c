#include "measure.h"

#include "arm.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "client.h"
#include "consumer_info.h"
#include "monitoring.h"
#include "options.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* After so many requests the answers that are there are taken, so that they do not pile up. */
enum { REQUESTS_AT_ONCE = 64 };

/* Answers that may queue: a batch's own. What is beyond is dropped, and its probe overdue. */
enum { MOST_ANSWERS = 1000000, MOST_ANSWER_BYTES = 256 << 20 };

/* Each round has an inbox of its own: what comes late is never taken for an answer of the next. */
struct round {
    struct nats_client *client;
    struct probe *const *probes;
    size_t count;
    size_t left;               /* probes not ended */
    size_t without_responders; /* of these: nats.c tells how many, and not which */
    int64_t deadline_ms;
    natsInbox *inbox;
    natsSubscription *answers; /* to `inbox`.* where * is the index of the probe */
};

static void round_done(struct round *round)
{
    natsSubscription_Destroy(round->answers);
    natsInbox_Destroy(round->inbox);
}

static natsStatus open_inbox(struct round *round)
{
    natsStatus status = natsInbox_Create(&round->inbox);
    if (status != NATS_OK)
        return status;
    _cleanup_(memory_free) char *subject = text_format("%s.*", round->inbox);
    status = natsConnection_SubscribeSync(&round->answers, round->client->connection, subject);
    if (status == NATS_OK)
        status = natsSubscription_SetPendingLimits(round->answers, MOST_ANSWERS, MOST_ANSWER_BYTES);
    return status;
}

static void add_request_subject(struct text *subject, const struct nats_query_options *query)
{
    nats_add_api(subject, query);
    text_addf(subject, ".CONSUMER.INFO.%s.%s", query->stream, query->consumer);
}

/* The probe that an answer belongs to, by the last token of its subject; NULL for one that came
 * twice, or that nobody asked for. */
static struct probe *find_probe(const struct round *round, const natsMsg *answer)
{
    const char *token = natsMsg_GetSubject(answer) + strlen(round->inbox) + strlen(".");
    char *end = NULL;
    unsigned long long index = strtoull(token, &end, 10);
    if (*end != '\0' || index >= round->count || round->probes[index]->ended)
        return NULL;
    return round->probes[index];
}

static void take_answer(struct round *round, natsMsg *answer)
{
    struct probe *probe = find_probe(round, answer);
    if (probe == NULL)
        return;
    round->left--;
    struct reading reading;
    _cleanup_(error_done) struct error error = {0};
    if (nats_consumer_info_parse(natsMsg_GetData(answer), (size_t)natsMsg_GetDataLength(answer),
                                 probe->query, &reading, &error))
        probe_answer(probe, &reading);
    else
        probe_fail(probe, &error);
}

/* Takes answers until all are there or `wait_until_ms` has come: NATS_OK; or the connection's end. */
static natsStatus take_answers(struct round *round, int64_t wait_until_ms)
{
    while (round->left > round->without_responders) {
        natsMsg *answer = NULL;
        natsStatus status = natsSubscription_NextMsg(&answer, round->answers,
                                                     clock_left_ms(wait_until_ms, INT_MAX));
        if (status == NATS_OK) {
            take_answer(round, answer);
            natsMsg_Destroy(answer);
        } else if (status == NATS_NO_RESPONDERS)
            round->without_responders++;
        else if (status == NATS_TIMEOUT)
            break;
        else if (status != NATS_SLOW_CONSUMER) /* some were dropped; what is queued still counts */
            return status;
    }
    return NATS_OK;
}

static natsStatus send_request(struct round *round, size_t index, struct text *subject,
                               struct text *reply)
{
    text_clear(subject);
    add_request_subject(subject, round->probes[index]->query);
    text_clear(reply);
    text_addf(reply, "%s.%zu", round->inbox, index);
    return natsConnection_PublishRequest(round->client->connection, subject->bytes, reply->bytes,
                                         NULL, 0);
}

static natsStatus send_requests(struct round *round)
{
    _cleanup_(text_done) struct text subject = {0};
    _cleanup_(text_done) struct text reply = {0};
    for (size_t i = 0; i < round->count; i++) {
        natsStatus status = send_request(round, i, &subject, &reply);
        if (status == NATS_OK && i % REQUESTS_AT_ONCE == REQUESTS_AT_ONCE - 1) {
            if (clock_now_ms() >= round->deadline_ms)
                return NATS_OK;
            status = take_answers(round, 0);
        }
        if (status != NATS_OK)
            return status;
    }
    return NATS_OK;
}

static bool is_silent(const struct round *round)
{
    return round->left == round->count && round->without_responders == 0;
}

/* A server that has not said a word in half of the time must answer a ping in the other half: so a
 * dead one is told from a consumer without a leader, and neither from one that is merely busy. */
static natsStatus wait_for_answers(struct round *round)
{
    int64_t half_ms = clock_left_ms(round->deadline_ms, INT_MAX) / 2;
    natsStatus status = take_answers(round, clock_now_ms() + half_ms);
    if (status == NATS_OK && is_silent(round)) {
        natsStatus pinged = natsConnection_FlushTimeout(
            round->client->connection, clock_left_ms(round->deadline_ms, INT_MAX - 1) + 1);
        status = take_answers(round, 0);
        if (status == NATS_OK && is_silent(round))
            status = pinged;
    }
    return status == NATS_OK ? take_answers(round, round->deadline_ms) : status;
}

static void explain_no_responders(struct probe *probe)
{
    const struct nats_query_options *query = probe->query;
    const char *key = query->api_prefix != NULL ? "apiPrefix" : "domain";
    const char *value = query->api_prefix != NULL ? query->api_prefix : query->domain;
    if (value != NULL)
        probe_failf(probe,
                    "no JetStream answers for stream \"%s\" and consumer \"%s\": check %s \"%s\"",
                    query->stream, query->consumer, key, value);
    else
        probe_failf(probe,
                    "no JetStream answers for stream \"%s\" and consumer \"%s\": it is disabled on "
                    "this server or for this account, or lives in a domain (set domain)",
                    query->stream, query->consumer);
}

/* Which probes nobody responds to is known where all others have ended; else they are overdue, and
 * known once they are asked alone. */
static void fail_without_responders(struct round *round)
{
    if (round->left != round->without_responders)
        return;
    for (size_t i = 0; i < round->count; i++)
        if (!round->probes[i]->ended)
            explain_no_responders(round->probes[i]);
    round->left = 0;
}

/* The server does not answer a request that the user may not send, but tells the connection why. It
 * keeps the last such text only; the others are found once they are asked alone. */
static void fail_denied(struct round *round)
{
    const char *words = NULL;
    if (natsConnection_GetLastError(round->client->connection, &words) != NATS_NOT_PERMITTED)
        return;
    _cleanup_(text_done) struct text subject = {0};
    for (size_t i = 0; i < round->count; i++) {
        if (round->probes[i]->ended)
            continue;
        text_clear(&subject);
        text_add(&subject, "\"");
        add_request_subject(&subject, round->probes[i]->query);
        text_add(&subject, "\"");
        if (strstr(words, subject.bytes) != NULL)
            probe_failf(round->probes[i], "NATS at %s: %s", round->client->servers, words);
    }
}

bool nats_measure(void *client_, struct probe *const *probes, size_t count, int64_t deadline_ms,
                  struct error *error)
{
    struct nats_client *client = client_;
    if (client->monitoring != NULL)
        return nats_monitoring_measure(client->monitoring, probes, count, deadline_ms, error);

    _cleanup_(round_done) struct round round = {
        .client = client,
        .probes = probes,
        .count = count,
        .left = count,
        .deadline_ms = deadline_ms,
    };

    nats_arm_probes(client, probes, count, deadline_ms);
    natsStatus status = open_inbox(&round);
    if (status == NATS_OK)
        status = send_requests(&round);
    if (status == NATS_OK)
        status = wait_for_answers(&round);
    if (status != NATS_OK)
        return nats_client_broken(client, status, error);

    fail_without_responders(&round);
    if (round.left > 0)
        fail_denied(&round);
    return true;
}
