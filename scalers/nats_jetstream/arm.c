#include "arm.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "ear.h"
#include "options.h"
#include "subjects.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
    RETRY_MS = 10 * 1000,  /* after having connected, or tried to */
    SUBJECTS_WAIT_MS = 50, /* for what it takes to know; who may not ask gets no answer */
};

struct arm {
    struct waker waker;
    struct nats_ear **ears;
    const struct nats_subject_list *list; /* what they hear; while it is being measured: */
    struct probe *probe;
    size_t count;
    UT_hash_handle hh;
};

/* A subject that the user may not hear. Rights that are given later count for the next connection. */
struct denied {
    UT_hash_handle hh;
    char subject[];
};

struct nats_arms {
    struct nats_client *listener; /* NULL: there is none */
    struct nats_subjects *subjects;
    struct arm *arms; /* by waker.id */
    struct denied *denied;
    struct error refusal; /* why there is no listener */
    int64_t retry_at_ms;
};

static void free_arm(struct nats_arms *arms, struct arm *arm)
{
    HASH_DELETE(hh, arms->arms, arm);
    for (size_t i = 0; i < arm->count; i++)
        nats_ear_close(arm->ears[i]);
    free(arm->ears);
    free(arm);
}

static void free_arms(struct nats_arms *arms)
{
    while (arms->arms != NULL)
        free_arm(arms, arms->arms);
}

static void forget_denied(struct nats_arms *arms)
{
    struct denied *denied;
    struct denied *next;
    HASH_ITER(hh, arms->denied, denied, next)
    {
        HASH_DELETE(hh, arms->denied, denied);
        free(denied);
    }
}

static void disconnect(struct nats_arms *arms)
{
    if (arms->listener == NULL)
        return;
    nats_subjects_free(TAKE(arms->subjects));
    nats_client_disconnect(TAKE(arms->listener));
    forget_denied(arms);
}

static void lose_listener(struct nats_arms *arms)
{
    const struct arm *arm;
    for (arm = arms->arms; arm != NULL; arm = arm->hh.next)
        waker_wake(&arm->waker);
    free_arms(arms);
    disconnect(arms);
}

void nats_arm_free(struct nats_client *client)
{
    struct nats_arms *arms = TAKE(client->arms);
    if (arms == NULL)
        return;
    free_arms(arms);
    disconnect(arms);
    error_done(&arms->refusal);
    free(arms);
}

static void connect_listener(struct nats_client *client, int64_t deadline_ms)
{
    struct nats_arms *arms = client->arms;
    int64_t now_ms = clock_now_ms();
    if (now_ms < arms->retry_at_ms)
        return;
    void *listener = NULL;
    arms->retry_at_ms = now_ms + RETRY_MS;
    error_done(&arms->refusal);
    if (!nats_client_connect(client->options, deadline_ms, &listener, &arms->refusal))
        return;
    arms->listener = listener;
    arms->subjects = nats_subjects_new(arms->listener->connection);
    if (arms->subjects != NULL)
        return;
    nats_client_disconnect(TAKE(arms->listener));
    error_unavailable(&arms->refusal, "NATS at %s hung up", client->servers);
}

/* Those that have heard something are over, with all their ears. */
static void sweep(struct nats_arms *arms)
{
    struct arm *arm;
    struct arm *next;
    HASH_ITER(hh, arms->arms, arm, next)
    {
        bool over = false;
        for (size_t i = 0; i < arm->count && !over; i++)
            over = nats_ear_has_ended(arm->ears[i]);
        if (over)
            free_arm(arms, arm);
    }
}

static struct denied *find_denied(const struct nats_arms *arms, const char *subject)
{
    struct denied *denied = NULL;
    HASH_FIND_STR(arms->denied, subject, denied);
    return denied;
}

/* Another account's messages are not seen on their way. */
static bool is_foreign(struct probe *probe)
{
    const struct nats_query_options *query = probe->query;
    _cleanup_(error_done) struct error error = {0};
    if (query->api_prefix == NULL)
        return false;
    error_unavailable(&error,
                      "NATS stream \"%s\" is another account's (apiPrefix), and its messages "
                      "cannot be heard on their way",
                      query->stream);
    probe_cannot_arm(probe, &error);
    return true;
}

static void refuse_subject(const struct nats_arms *arms, struct probe *probe, const char *subject)
{
    _cleanup_(error_done) struct error error = {0};
    error_unavailable(&error, "NATS at %s: the user must be allowed to subscribe to %s",
                      arms->listener->servers, subject);
    probe_cannot_arm(probe, &error);
}

/* NULL where it cannot be, or not yet. */
static struct arm *subscribe(struct nats_arms *arms, struct probe *probe)
{
    const struct nats_subject_list *list = NULL;
    _cleanup_(error_done) struct error error = {0};
    if (is_foreign(probe))
        return NULL;
    enum nats_subjects_state state =
        nats_subjects_find(arms->subjects, probe->query, &list, &error);
    if (state == NATS_SUBJECTS_IMPOSSIBLE)
        probe_cannot_arm(probe, &error);
    if (state != NATS_SUBJECTS_KNOWN)
        return NULL;
    for (size_t i = 0; i < list->count; i++)
        if (find_denied(arms, list->items[i]) != NULL) {
            refuse_subject(arms, probe, list->items[i]);
            return NULL;
        }

    struct arm *arm = memory_new(sizeof(*arm));
    *arm = (struct arm){.waker = probe->waker, .list = list, .probe = probe};
    arm->ears = memory_array(list->count, sizeof(*arm->ears));
    HASH_ADD(hh, arms->arms, waker.id, sizeof(arm->waker.id), arm);
    for (; arm->count < list->count; arm->count++) {
        const char *subject = list->items[arm->count];
        arm->ears[arm->count] = nats_ear_open(arms->listener->connection, subject, &probe->waker);
        if (arm->ears[arm->count] == NULL) {
            free_arm(arms, arm);
            return NULL;
        }
    }
    return arm;
}

/* The subject of the arm that the server has refused, by what it said last; NULL: none. */
static const char *refused_subject(const struct nats_arms *arms, const struct arm *arm)
{
    const char *words = NULL;
    natsConnection *connection = arms->listener->connection;
    if (natsConnection_GetLastError(connection, &words) != NATS_NOT_PERMITTED || words == NULL)
        return NULL;
    for (size_t i = 0; i < arm->count; i++) {
        _cleanup_(memory_free) char *quoted =
            text_format("Subscription to \"%s\"", arm->list->items[i]);
        if (strstr(words, quoted) != NULL)
            return arm->list->items[i];
    }
    return NULL;
}

/* True: it was refused, and is gone. */
static bool take_refusal(struct nats_arms *arms, struct arm *arm)
{
    const char *subject = refused_subject(arms, arm);
    if (subject == NULL)
        return false;
    if (find_denied(arms, subject) == NULL) {
        size_t length = strlen(subject);
        struct denied *denied = memory_new(sizeof(*denied) + length + 1);
        memcpy(denied->subject, subject, length);
        HASH_ADD_STR(arms->denied, subject, denied);
    }
    refuse_subject(arms, arm->probe, subject);
    free_arm(arms, arm);
    return true;
}

/* The refusals come before the answer to this. */
static bool flush(struct nats_arms *arms, int64_t deadline_ms)
{
    if (natsConnection_FlushTimeout(arms->listener->connection,
                                    clock_left_ms(deadline_ms, INT_MAX - 1) + 1) == NATS_OK)
        return true;
    lose_listener(arms);
    return false;
}

/* Those that the time does not suffice for are tried again with the next measurement. */
static void arm_one_by_one(struct nats_arms *arms, struct probe *const *probes, size_t count,
                           int64_t deadline_ms)
{
    for (size_t i = 0; i < count && clock_now_ms() < deadline_ms; i++) {
        if (!probe_wants_arm(probes[i]) || error_is_set(&probes[i]->arm_error))
            continue;
        struct arm *arm = subscribe(arms, probes[i]);
        if (arm == NULL)
            continue;
        if (!flush(arms, deadline_ms))
            return;
        if (!take_refusal(arms, arm))
            probe_armed(probes[i]);
    }
}

static void ask_for_subjects(const struct nats_arms *arms, struct probe *const *probes,
                             size_t count, int64_t deadline_ms)
{
    int64_t until_ms = clock_now_ms() + SUBJECTS_WAIT_MS;
    for (size_t i = 0; i < count; i++) {
        const struct nats_subject_list *list = NULL;
        _cleanup_(error_done) struct error ignored = {0};
        if (probe_wants_arm(probes[i]))
            nats_subjects_find(arms->subjects, probes[i]->query, &list, &ignored);
    }
    nats_subjects_update(arms->subjects, until_ms < deadline_ms ? until_ms : deadline_ms);
}

/* nats.c keeps the last refusal only, so where there is one among them, each is tried alone. */
static void arm_together(struct nats_arms *arms, struct probe *const *probes, size_t count,
                         int64_t deadline_ms)
{
    _cleanup_(memory_free) struct arm **made = memory_array(count, sizeof(*made));
    size_t made_count = 0;
    ask_for_subjects(arms, probes, count, deadline_ms);
    for (size_t i = 0; i < count; i++) {
        struct arm *arm = probe_wants_arm(probes[i]) ? subscribe(arms, probes[i]) : NULL;
        if (arm != NULL)
            made[made_count++] = arm;
    }
    if (made_count == 0 || !flush(arms, deadline_ms))
        return;

    bool refused = false;
    for (size_t i = 0; i < made_count && !refused; i++)
        refused = refused_subject(arms, made[i]) != NULL;
    for (size_t i = 0; i < made_count; i++)
        if (refused)
            free_arm(arms, made[i]);
        else
            probe_armed(made[i]->probe);
    if (refused)
        arm_one_by_one(arms, probes, count, deadline_ms);
}

static void look_after_listener(struct nats_arms *arms)
{
    if (arms->listener == NULL)
        return;
    sweep(arms);
    if (natsConnection_IsClosed(arms->listener->connection))
        lose_listener(arms);
    else
        nats_subjects_update(arms->subjects, 0);
}

void nats_arm_probes(struct nats_client *client, struct probe *const *probes, size_t count,
                     int64_t deadline_ms)
{
    int64_t now_ms = clock_now_ms();
    int64_t half_ms = now_ms + (deadline_ms - now_ms) / 2; /* the readings matter more */
    bool wanted = false;
    for (size_t i = 0; i < count && !wanted; i++)
        wanted = probe_wants_arm(probes[i]);
    if (client->arms == NULL && wanted)
        client->arms = memory_new(sizeof(*client->arms));
    if (client->arms == NULL)
        return;

    look_after_listener(client->arms);
    if (wanted && client->arms->listener == NULL)
        connect_listener(client, half_ms);
    if (wanted && client->arms->listener != NULL)
        arm_together(client->arms, probes, count, half_ms);
    else
        for (size_t i = 0; i < count; i++)
            probe_cannot_arm(probes[i], &client->arms->refusal);
}

void nats_arm_disarm(void *client_, uint64_t waker_id)
{
    const struct nats_client *client = client_;
    struct arm *arm = NULL;
    if (client->arms != NULL)
        HASH_FIND(hh, client->arms->arms, &waker_id, sizeof(waker_id), arm);
    if (arm != NULL)
        free_arm(client->arms, arm);
}
