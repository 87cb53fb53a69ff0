#include "nats_jetstream/client/subscriber.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "nats_jetstream/client/subscription.h"
#include "nats_jetstream/limits.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    RETRY_MS = 10 * 1000, /* after having connected, or tried to; and without a reply */
    CONNECT_MS = 5000,    /* nobody waits for it */
    SWEEP_AT = 1024,      /* subscriptions: those that have ended are freed by then */
    SWEEP_MS = 1000,      /* and where there is no memory for more, this often */
};

/* Measured with a real server: a subject of 10 characters takes 1,373 bytes of the heap with nats.c
 * 3.10, which has five messages of its own for each (573 with 3.4). */
enum { QUERY_BYTES = 256, SUBJECT_BYTES = 1360 };

/* That queries wait for, or that the user may not subscribe to. Rights that are given later count
 * for the next connection. */
struct nats_subject {
    UT_hash_handle hh; /* by name */
    struct waiting_subject *waiting;
    bool is_denied;
    char name[];
};

/* One of a query's. */
struct waiting_subject {
    struct nats_waiting_query *query;
    struct nats_subject *subject;
    struct nats_subscription *subscription;
    struct waiting_subject *prev, *next; /* utlist, of the subject */
};

struct nats_waiting_query {
    struct notifier notifier;
    struct waiting_subject *subjects;
    size_t count;
    size_t bytes;
    UT_hash_handle hh;
};

/* ---- who waits for what ---- */

static size_t subject_bytes(const char *subject)
{
    return SUBJECT_BYTES + 2 * strlen(subject); /* nats.c has a copy of each, too */
}

static size_t bytes_of(const struct nats_subject_list *list)
{
    size_t bytes = QUERY_BYTES;
    for (size_t i = 0; i < list->count; i++)
        bytes += subject_bytes(list->items[i]);
    return bytes;
}

static struct nats_subject *find_subject(const struct nats_subscriber *subscriber, const char *name)
{
    struct nats_subject *found = NULL;
    HASH_FIND_STR(subscriber->subjects, name, found);
    return found;
}

static struct nats_subject *find_or_add_subject(struct nats_subscriber *subscriber,
                                                const char *name)
{
    struct nats_subject *subject = find_subject(subscriber, name);
    size_t bytes = strlen(name) + 1;
    if (subject != NULL)
        return subject;
    subject = memory_new(sizeof(*subject) + bytes);
    memcpy(subject->name, name, bytes);
    HASH_ADD_STR(subscriber->subjects, name, subject);
    return subject;
}

static void free_unused(struct nats_subscriber *subscriber, struct nats_subject *subject)
{
    if (subject->waiting != NULL || subject->is_denied)
        return;
    HASH_DELETE(hh, subscriber->subjects, subject);
    free(subject);
}

static void end(struct nats_subscriber *subscriber, struct nats_waiting_query *query)
{
    HASH_DELETE(hh, subscriber->queries, query);
    subscriber->bytes -= query->bytes;
    for (size_t i = 0; i < query->count; i++) {
        struct waiting_subject *waiting = &query->subjects[i];
        nats_subscription_close(waiting->subscription);
        DL_DELETE(waiting->subject->waiting, waiting);
        free_unused(subscriber, waiting->subject);
    }
    free(query->subjects);
    free(query);
}

static struct nats_waiting_query *find(const struct nats_subscriber *subscriber,
                                       uint64_t notifier_id)
{
    struct nats_waiting_query *found = NULL;
    HASH_FIND(hh, subscriber->queries, &notifier_id, sizeof(notifier_id), found);
    return found;
}

void nats_subscriber_unsubscribe(struct nats_subscriber *subscriber, uint64_t notifier_id)
{
    struct nats_waiting_query *query = find(subscriber, notifier_id);
    if (query != NULL)
        end(subscriber, query);
}

static void end_all(struct nats_subscriber *subscriber)
{
    while (subscriber->queries != NULL)
        end(subscriber, subscriber->queries);
}

static bool open_subscriptions(struct nats_subscriber *subscriber, const struct notifier *notifier,
                               const struct nats_subject_list *list)
{
    struct nats_waiting_query *query = memory_new(sizeof(*query));
    query->notifier = *notifier;
    query->bytes = bytes_of(list);
    subscriber->bytes += query->bytes;
    query->subjects = memory_array(list->count, sizeof(*query->subjects));
    HASH_ADD(hh, subscriber->queries, notifier.id, sizeof(query->notifier.id), query);
    for (; query->count < list->count; query->count++) {
        const char *name = list->items[query->count];
        struct nats_subscription *subscription =
            nats_subscription_open(subscriber->connection->handle, name, notifier);
        if (subscription == NULL) {
            end(subscriber, query);
            return false;
        }
        struct waiting_subject *waiting = &query->subjects[query->count];
        *waiting = (struct waiting_subject){.query = query,
                                            .subject = find_or_add_subject(subscriber, name),
                                            .subscription = subscription};
        DL_APPEND(waiting->subject->waiting, waiting);
    }
    return true;
}

/* ---- what the user may not subscribe to ---- */

static void deny(struct nats_subscriber *subscriber, struct nats_subject *subject)
{
    subscriber->bytes += subject_bytes(subject->name);
    subject->is_denied = true;
    while (subject->waiting != NULL) {
        struct nats_waiting_query *query = subject->waiting->query;
        notifier_notify(&query->notifier);
        end(subscriber, query);
    }
}

/* Whoever subscribes to one is refused again. */
static void forget_denied(struct nats_subscriber *subscriber)
{
    struct nats_subject *subject;
    struct nats_subject *next;
    HASH_ITER(hh, subscriber->subjects, subject, next) {
        if (!subject->is_denied)
            continue;
        subscriber->bytes -= subject_bytes(subject->name);
        subject->is_denied = false;
        free_unused(subscriber, subject);
    }
}

static struct nats_subject *find_refused(const struct nats_subscriber *subscriber,
                                         const struct nats_refusal *refusal)
{
    struct nats_subject *subject = subscriber->subjects;
    if (refusal->subject == NULL)
        return NULL;
    if (!refusal->is_cut)
        subject = find_subject(subscriber, refusal->subject);
    while (subject != NULL && (subject->is_denied || !nats_refusal_is_of(refusal, subject->name)))
        subject = refusal->is_cut ? subject->hh.next : NULL;
    return subject;
}

/* What nobody subscribed to is not noted: the server makes up as many as it likes. */
void nats_subscriber_deny(struct nats_subscriber *subscriber, const struct nats_refusal *refusal)
{
    for (struct nats_subject *subject; (subject = find_refused(subscriber, refusal)) != NULL;)
        deny(subscriber, subject);
}

/* The subject that the user may not subscribe to is reported; NULL: may to all. */
static const char *find_denied(const struct nats_subscriber *subscriber,
                               const struct nats_subject_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct nats_subject *subject = find_subject(subscriber, list->items[i]);
        if (subject != NULL && subject->is_denied)
            return list->items[i];
    }
    return NULL;
}

static void refuse_subject(const struct nats_subscriber *subscriber, struct task *task,
                           const char *subject)
{
    _cleanup_(error_done) struct error error = {0};
    error_unavailable(&error, "NATS at %s: the user must be allowed to subscribe to %s",
                      subscriber->connection->servers, subject);
    task_cannot_subscribe(task, &error);
}

/* ---- the connection ---- */

static void disconnect(struct nats_subscriber *subscriber)
{
    if (subscriber->connection == NULL)
        return;
    nats_client_connection_close(TAKE(subscriber->connection));
    forget_denied(subscriber);
}

void nats_subscriber_done(struct nats_subscriber *subscriber)
{
    end_all(subscriber);
    disconnect(subscriber);
    nats_connector_done(&subscriber->connector);
    error_done(&subscriber->refusal);
}

/* The server has ended it with an error, such as its limit on subscriptions. Whatever else ends it
 * is no reason not to subscribe soon. */
static void note_refusal(struct nats_subscriber *subscriber)
{
    const char *words = NULL;
    natsStatus status = natsConnection_GetLastError(subscriber->connection->handle, &words);
    if (status != NATS_ERR)
        return;
    error_done(&subscriber->refusal);
    nats_client_connection_broken(subscriber->connection, status, &subscriber->refusal);
}

void nats_subscriber_lose(struct nats_subscriber *subscriber)
{
    note_refusal(subscriber);
    const struct nats_waiting_query *query = subscriber->queries;
    for (; query != NULL; query = query->hh.next)
        notifier_lose(&query->notifier);
    end_all(subscriber);
    disconnect(subscriber);
}

static void connect_again(struct nats_subscriber *subscriber)
{
    int64_t now_ms = clock_now_ms();
    if (now_ms < subscriber->retry_ms || subscriber->connector.attempt != NULL)
        return;
    subscriber->retry_ms = now_ms + RETRY_MS;
    error_done(&subscriber->refusal);
    nats_connector_begin(&subscriber->connector, subscriber->options, now_ms + CONNECT_MS,
                         &subscriber->refusal);
}

void nats_subscriber_take(struct nats_subscriber *subscriber)
{
    struct nats_client_connection *connection = NULL;
    if (!nats_connector_take(&subscriber->connector, &connection, &subscriber->refusal) ||
        connection == NULL)
        return;
    subscriber->connection = connection;
    subscriber->silent_ms = 0;
}

void nats_subscriber_rest(struct nats_subscriber *subscriber, int64_t now_ms)
{
    subscriber->silent_ms = now_ms + RETRY_MS;
}

/* ---- subscribing ---- */

/* Those that have had their message are over. */
static void sweep(struct nats_subscriber *subscriber)
{
    struct nats_waiting_query *query;
    struct nats_waiting_query *next;
    HASH_ITER(hh, subscriber->queries, query, next) {
        bool is_over = false;
        for (size_t i = 0; i < query->count && !is_over; i++)
            is_over = nats_subscription_has_ended(query->subjects[i].subscription);
        if (is_over)
            end(subscriber, query);
    }
}

/* Another account's messages are not delivered to this one. */
static bool is_foreign(struct task *task)
{
    const struct nats_query *query = task->query;
    _cleanup_(error_done) struct error error = {0};
    if (query->api_prefix == NULL)
        return false;
    error_unavailable(&error,
                      "NATS stream \"%s\" is another account's (apiPrefix), and its messages "
                      "cannot be subscribed to",
                      query->stream);
    task_cannot_subscribe(task, &error);
    return true;
}

/* NULL where they cannot be subscribed to, or are not known yet. */
static const struct nats_subject_list *find_subjects(struct nats_subscriber *subscriber,
                                                     struct task *task)
{
    const struct nats_subject_list *list = NULL;
    _cleanup_(error_done) struct error error = {0};
    enum nats_configs_state state = nats_configs_find_or_request_subjects(
        subscriber->configs, task->query, clock_now_ms(), &list, &error);
    if (state == NATS_CONFIGS_IMPOSSIBLE)
        task_cannot_subscribe(task, &error);
    if (state != NATS_CONFIGS_KNOWN)
        return NULL;
    const char *denied = find_denied(subscriber, list);
    if (denied == NULL)
        return list;
    refuse_subject(subscriber, task, denied);
    return NULL;
}

static bool has_memory(struct nats_subscriber *subscriber, struct task *task, size_t bytes)
{
    _cleanup_(error_done) struct error error = {0};
    int64_t now_ms = clock_now_ms();
    if (subscriber->bytes + bytes > NATS_SUBSCRIPTION_BYTES &&
        now_ms >= subscriber->swept_ms + SWEEP_MS) {
        subscriber->swept_ms = now_ms;
        sweep(subscriber);
        forget_denied(subscriber);
    }
    if (subscriber->bytes + bytes <= NATS_SUBSCRIPTION_BYTES)
        return true;
    error_set(&error, ERROR_LIMIT,
              "NATS at %s: subscriptions of a connection take at most %d MiB (%d bytes for each "
              "subject of a trigger)",
              subscriber->connection->servers, NATS_SUBSCRIPTION_BYTES >> 20, SUBJECT_BYTES);
    task_cannot_subscribe(task, &error);
    return false;
}

bool nats_subscriber_subscribe(struct nats_subscriber *subscriber, struct task *task)
{
    if (!task_wants_subscription(task) || is_foreign(task))
        return false;
    if (subscriber->connection == NULL)
        connect_again(subscriber);
    if (subscriber->connection == NULL) {
        if (error_is_set(&subscriber->refusal))
            task_cannot_subscribe(task, &subscriber->refusal);
        return false;
    }
    if (clock_now_ms() < subscriber->silent_ms)
        return false;
    if (HASH_COUNT(subscriber->queries) % SWEEP_AT == SWEEP_AT - 1)
        sweep(subscriber);
    nats_subscriber_unsubscribe(subscriber, task->notifier.id);
    const struct nats_subject_list *list = find_subjects(subscriber, task);
    return list != NULL && has_memory(subscriber, task, bytes_of(list)) &&
           open_subscriptions(subscriber, &task->notifier, list);
}

/* nats.c may still be about to report a missing right: then the subscriptions of that subject are
 * notified. */
void nats_subscriber_confirm(const struct nats_subscriber *subscriber, struct task *task)
{
    const struct nats_subject_list *list = NULL;
    _cleanup_(error_done) struct error ignored = {0};
    if (find(subscriber, task->notifier.id) != NULL) {
        task_subscribed(task);
        return;
    }
    if (nats_configs_find_or_request_subjects(subscriber->configs, task->query, clock_now_ms(),
                                              &list, &ignored) != NATS_CONFIGS_KNOWN)
        return;
    const char *denied = find_denied(subscriber, list);
    if (denied != NULL)
        refuse_subject(subscriber, task, denied);
}

bool nats_subscriber_is_needed(const struct nats_subscriber *subscriber)
{
    return subscriber->queries != NULL || subscriber->connector.attempt != NULL;
}
