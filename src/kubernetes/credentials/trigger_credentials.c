#include "kubernetes/credentials/trigger_credentials.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/heap.h"
#include "base/memory.h"
#include "base/text.h"
#include "kubernetes/credentials/resolve.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    REPLACED_MS = 60 * 1000, /* KEDA may still call for a trigger that was replaced */
    REDELIVER_MS = 3000,     /* the loop is busy, or a namespace's memory is in use */
    FRESH_MS = 2000, /* a call waits so long for news: 1 s until they may be read, 1 s for them */
};

/* In one turn of the thread what is ready is resolved for so long. */
enum { TURN_US = 10 * 1000 };

/* The triggers of one authentication are resolved one after the other: so many are compared. */
enum { MAX_RECENT = 8 };

/* An object that the credentials of a need follow from. */
struct used_object {
    struct informer_link link;
    struct used_object *next;
};

/* What one trigger needs: its credentials, and what they follow from. The informer's thread's, from
 * its message on. */
struct need {
    struct trigger_credentials *all;
    char *key;
    size_t key_length;
    char *namespace, *name;
    struct option_entry *entries; /* sorted */
    size_t count;
    const struct option *table;
    struct used_object *used; /* utlist */
    int64_t added_ms;
    struct credentials *delivered; /* NULL: nothing yet */
    bool was_there;                /* an object had its trigger */
    bool is_gone;                  /* ... and has it no more, as delivered */
    bool is_counted;               /* in the statistics, as of this state: */
    enum credentials_state counted_as;
    struct hpa_facts delivered_hpa;
    bool is_uncertain;    /* news were not taken since: the trigger may have others, or none */
    int64_t replaced_ms;  /* its trigger is there no more since; 0: it is */
    int64_t refused_ms;   /* what was verified is refused since, by views; 0: it is not */
    struct heap_item due; /* to be resolved again by itself, or in no queue */
    bool is_ready;
    UT_hash_handle hh;
    struct need *next, *prev; /* utlist of those to be resolved */
};

/* What the informer's thread does not know of a trigger yet. There is one for each, into which
 * later ones are merged: a busy thread has no more of them than there are triggers. */
struct message {
    char *key;
    size_t key_length;
    bool refreshes, removes;
    struct need *added; /* after that; NULL: none */
    UT_hash_handle hh;
};

struct trigger_credentials {
    struct trigger_credentials_settings settings;
    pthread_mutex_t lock;
    struct trigger_credentials_stats stats; /* guarded, as the next one */
    struct message *messages;               /* by key, in the order in which their first was sent */

    struct need *needs; /* the rest is the informer's thread's */
    struct heap due;
    struct need *ready; /* those to be resolved, first in, first out */
    struct {
        const struct option *table;
        struct credentials *credentials; /* NULL: none */
    } recent[MAX_RECENT];
    size_t next_recent;
};

/* ---- needs ---- */

static void free_used(struct trigger_credentials *all, struct used_object *used)
{
    while (used != NULL) {
        struct used_object *next = used->next;
        informer_unlink(all->settings.informer, &used->link);
        free(used);
        used = next;
    }
}

static void set_ready(struct trigger_credentials *all, struct need *need, bool is_ready)
{
    if (is_ready && !need->is_ready)
        DL_APPEND(all->ready, need);
    if (!is_ready && need->is_ready)
        DL_DELETE(all->ready, need);
    need->is_ready = is_ready;
}

static bool is_verified(const struct need *need)
{
    return need->delivered != NULL && need->delivered->state == CREDENTIALS_VERIFIED;
}

/* Whenever what is delivered has changed, or is removed. */
static void count(struct trigger_credentials *all, struct need *need, bool is_removed)
{
    bool counts = !is_removed && need->table != NULL && !need->is_gone;
    enum credentials_state state =
        need->delivered == NULL ? CREDENTIALS_WAITING : need->delivered->state;
    pthread_mutex_lock(&all->lock);
    if (need->is_counted)
        all->stats.triggers[need->counted_as]--;
    if (counts)
        all->stats.triggers[state]++;
    pthread_mutex_unlock(&all->lock);
    need->is_counted = counts;
    need->counted_as = state;
}

static void need_free(struct need *need)
{
    option_entries_free(need->entries, need->count);
    credentials_free(need->delivered);
    free(need->namespace);
    free(need->name);
    free(need->key);
    free(need);
}

static void drop_need(struct trigger_credentials *all, struct need *need)
{
    count(all, need, true);
    heap_remove(&need->due);
    set_ready(all, need, false);
    HASH_DELETE(hh, all->needs, need);
    free_used(all, need->used);
    need_free(need);
}

/* Equal values are held, and parsed, once for all triggers of a scaler. */
static void share_values(struct trigger_credentials *all, const struct need *need,
                         struct credentials *credentials)
{
    if (credentials->count == 0)
        return;
    for (size_t i = 0; i < MAX_RECENT; i++)
        if (all->recent[i].table == need->table &&
            credentials_join(credentials, all->recent[i].credentials))
            return;
    size_t place = all->next_recent++ % MAX_RECENT;
    credentials_free(all->recent[place].credentials);
    all->recent[place].table = need->table;
    all->recent[place].credentials = credentials_share(credentials);
}

/* Takes the credentials. */
static void deliver_need(struct trigger_credentials *all, struct need *need,
                         struct credentials *credentials, const struct hpa_facts *hpa)
{
    const struct trigger_credentials_settings *settings = &all->settings;
    if (!need->is_uncertain && credentials_equal(need->delivered, credentials) &&
        hpa_facts_equal(&need->delivered_hpa, hpa))
        credentials_free(credentials);
    else {
        need->is_uncertain = informer_is_stopping(settings->informer) ||
                             !settings->changed(settings->context, need->key, need->key_length,
                                                credentials_share(credentials), hpa);
        if (need->is_uncertain) {
            credentials_free(credentials);
            heap_set(&all->due, &need->due, clock_now_ms() + REDELIVER_MS);
            return;
        }
        credentials_free(need->delivered);
        need->delivered = credentials;
        need->delivered_hpa = *hpa;
    }
    need->is_gone = need->was_there && need->delivered->failure.code == ERROR_DENIED;
    count(all, need, false);
}

static struct informer_view find_object(void *context, enum api_object_kind kind,
                                        const char *namespace, const char *name)
{
    struct need *need = context;
    struct informer *informer = need->all->settings.informer;
    struct used_object *used = memory_new(sizeof(*used));
    used->link.user = need;
    informer_link(informer, &used->link, kind, namespace, name);
    LL_PREPEND(need->used, used);
    return informer_view(informer, &used->link);
}

/* Whether a refusal must wait for newer objects, which are then read now: for those that are older
 * than the need, as KEDA may be ahead of our view; where the need was verified, for those that are
 * older than the first refusal, as objects that changed together are read one after another. Where
 * one of them cannot be read, or a new call would wait for too long, the refusal stands, and that
 * is its reason. */
static bool refusal_must_wait(struct trigger_credentials *all, struct need *need,
                              struct credentials *credentials, int64_t now_ms)
{
    struct informer *informer = all->settings.informer;
    const struct error *failure = NULL;
    bool is_older = false;
    const struct used_object *used;
    if (credentials->state != CREDENTIALS_REFUSED) {
        need->refused_ms = 0;
        return false;
    }
    if (need->refused_ms == 0 && is_verified(need))
        need->refused_ms = now_ms;
    int64_t since_ms = need->refused_ms == 0 ? need->added_ms : need->refused_ms;
    LL_FOREACH(need->used, used) {
        struct informer_view known = informer_view(informer, &used->link);
        if (!known.is_read || known.read_ms >= since_ms)
            continue;
        informer_want_fresh(informer, &used->link);
        is_older = true;
        failure = known.failure == NULL ? failure : known.failure;
    }
    if (!is_older)
        return false;
    if (failure != NULL) {
        error_copy(&credentials->failure, failure);
        return false;
    }
    if (is_verified(need))
        return true;
    if (now_ms < need->added_ms + FRESH_MS) {
        heap_set(&all->due, &need->due, need->added_ms + FRESH_MS);
        return true;
    }
    error_prefix(&credentials->failure,
                 "the Kubernetes API answers too slowly; as it answered last");
    credentials->failure.code = ERROR_UNAVAILABLE;
    return false;
}

/* What a trigger had that was there before, for as long as KEDA may still call for it. */
static bool is_still_valid(struct trigger_credentials *all, struct need *need, bool is_mismatch,
                           int64_t now_ms)
{
    if (!is_mismatch) {
        need->replaced_ms = 0;
        return false;
    }
    if (!is_verified(need))
        return false;
    if (need->replaced_ms == 0)
        need->replaced_ms = now_ms;
    if (now_ms >= need->replaced_ms + REPLACED_MS)
        return false;
    heap_set(&all->due, &need->due, need->replaced_ms + REPLACED_MS);
    return true;
}

static void resolve_need(struct trigger_credentials *all, struct need *need)
{
    const struct resolve_call call = {
        .namespace = need->namespace,
        .name = need->name,
        .entries = need->entries,
        .count = need->count,
        .table = need->table,
        .cluster_namespace = all->settings.cluster_namespace,
        .reads_hpa = all->settings.reads_hpas,
    };
    int64_t now_ms = clock_now_ms();
    struct used_object *former = TAKE(need->used);
    struct resolved resolved = resolve_trigger(&call, find_object, need);
    struct credentials *credentials = resolved.credentials;
    need->was_there |= resolved.has_trigger;
    heap_remove(&need->due);
    if (is_still_valid(all, need, resolved.is_mismatch, now_ms)) {
        /* the trigger in its place has the same authentication as a rule */
        free_used(all, need->used);
        need->used = former;
        credentials_free(credentials);
        return;
    }
    free_used(all, former); /* now that the new ones are there, what is still used stays */
    bool must_wait = need->replaced_ms == 0 && refusal_must_wait(all, need, credentials, now_ms);
    /* News that need another object are news once that is there; what is known of the former ones
     * goes on. */
    bool is_lost = is_verified(need) && credentials->state == CREDENTIALS_REFUSED &&
                   credentials->failure.code == ERROR_UNAVAILABLE;
    if (credentials->state == CREDENTIALS_WAITING || must_wait || is_lost)
        credentials_free(credentials);
    else {
        share_values(all, need, credentials);
        deliver_need(all, need, credentials, &resolved.hpa);
    }
}

/* ---- messages ---- */

static void message_free(struct message *message)
{
    if (message->added != NULL)
        need_free(message->added);
    free(message->key);
    free(message);
}

/* With the lock. */
static struct message *message_about(struct trigger_credentials *all, const char *key,
                                     size_t length)
{
    struct message *message;
    HASH_FIND(hh, all->messages, key, length, message);
    if (message != NULL)
        return message;
    message = memory_new(sizeof(*message));
    message->key = text_copy_bytes(key, length);
    message->key_length = length;
    HASH_ADD_KEYPTR(hh, all->messages, message->key, length, message);
    return message;
}

static void take_message(struct trigger_credentials *all, struct message *message)
{
    struct need *need;
    HASH_FIND(hh, all->needs, message->key, message->key_length, need);
    if (message->refreshes && need != NULL) {
        /* all that it follows from: the object may name another authentication now */
        const struct used_object *used;
        LL_FOREACH(need->used, used)
            informer_want_fresh(all->settings.informer, &used->link);
    }
    if (need != NULL && (message->removes || message->added != NULL))
        drop_need(all, need);
    if (message->added == NULL)
        return;
    need = TAKE(message->added);
    HASH_ADD_KEYPTR(hh, all->needs, need->key, need->key_length, need);
    count(all, need, false);
    set_ready(all, need, true);
}

static void take_messages(struct trigger_credentials *all)
{
    struct message *message;
    struct message *next;
    pthread_mutex_lock(&all->lock);
    struct message *messages = TAKE(all->messages);
    pthread_mutex_unlock(&all->lock);
    HASH_ITER(hh, messages, message, next) {
        HASH_DELETE(hh, messages, message);
        take_message(all, message);
        message_free(message);
    }
}

/* ---- the informer's handler ---- */

static void take_change_of_need(void *context, void *user)
{
    struct trigger_credentials *all = context;
    struct need *need = user;
    set_ready(all, need, true);
}

static int64_t take_turn_of_needs(void *context)
{
    struct trigger_credentials *all = context;
    int64_t end_us = clock_now_us() + TURN_US;
    take_messages(all);
    while (heap_first_key(&all->due) <= clock_now_ms()) {
        struct need *need = HEAP_OWNER(heap_first(&all->due), struct need, due);
        heap_remove(&need->due);
        set_ready(all, need, true);
    }
    while (all->ready != NULL && clock_now_us() < end_us) {
        struct need *need = all->ready;
        set_ready(all, need, false);
        resolve_need(all, need);
    }
    return all->ready != NULL ? clock_now_ms() : heap_first_key(&all->due);
}

static void end_needs(void *context)
{
    struct trigger_credentials *all = context;
    struct need *need;
    struct need *next;
    HASH_ITER(hh, all->needs, need, next)
        drop_need(all, need);
    for (size_t i = 0; i < MAX_RECENT; i++)
        credentials_free(all->recent[i].credentials);
    free(all->due.entries);
}

/* ---- from outside ---- */

struct trigger_credentials *
trigger_credentials_new(const struct trigger_credentials_settings *settings)
{
    struct trigger_credentials *all = memory_new(sizeof(*all));
    all->settings = *settings;
    pthread_mutex_init(&all->lock, NULL);
    const struct informer_handler handler = {take_change_of_need, take_turn_of_needs, end_needs,
                                             all};
    informer_set_handler(settings->informer, &handler);
    return all;
}

void trigger_credentials_free(struct trigger_credentials *all)
{
    if (all == NULL)
        return;
    struct message *message;
    struct message *next;
    HASH_ITER(hh, all->messages, message, next) {
        HASH_DELETE(hh, all->messages, message);
        message_free(message);
    }
    pthread_mutex_destroy(&all->lock);
    free(all);
}

void trigger_credentials_add(struct trigger_credentials *all, const struct trigger_need *need)
{
    struct need *added = memory_new(sizeof(*added));
    *added = (struct need){
        .all = all,
        .key = text_copy_bytes(need->key, need->key_length),
        .key_length = need->key_length,
        .namespace = text_copy(need->namespace),
        .name = text_copy(need->name),
        .entries = memory_array(need->count + 1, sizeof(*added->entries)),
        .count = need->count,
        .table = need->table,
        .added_ms = clock_now_ms(),
    };
    for (size_t i = 0; i < need->count; i++)
        added->entries[i] = (struct option_entry){text_copy(need->entries[i].key),
                                                  text_copy(need->entries[i].value)};
    api_object_sort(added->entries, added->count);
    pthread_mutex_lock(&all->lock);
    struct message *message = message_about(all, need->key, need->key_length);
    if (message->added != NULL)
        need_free(message->added);
    message->added = added;
    pthread_mutex_unlock(&all->lock);
    informer_wake(all->settings.informer);
}

void trigger_credentials_remove(struct trigger_credentials *all, const char *key, size_t length)
{
    pthread_mutex_lock(&all->lock);
    struct message *message = message_about(all, key, length);
    bool was_known = message->removes || message->refreshes || message->added == NULL;
    if (message->added != NULL)
        need_free(TAKE(message->added));
    message->removes = true;
    if (!was_known) { /* what was added and removed before anybody knew of it was nothing */
        HASH_DELETE(hh, all->messages, message);
        message_free(message);
    }
    pthread_mutex_unlock(&all->lock);
    informer_wake(all->settings.informer);
}

void trigger_credentials_refresh(struct trigger_credentials *all, const char *key, size_t length)
{
    pthread_mutex_lock(&all->lock);
    struct message *message = message_about(all, key, length);
    if (message->added == NULL) /* what is added is read anyway */
        message->refreshes = true;
    pthread_mutex_unlock(&all->lock);
    informer_wake(all->settings.informer);
}

void trigger_credentials_stats(struct trigger_credentials *all,
                               struct trigger_credentials_stats *ret_stats)
{
    pthread_mutex_lock(&all->lock);
    *ret_stats = all->stats;
    pthread_mutex_unlock(&all->lock);
}
