#include "kubernetes/credentials/secret_watcher.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/kubernetes_name.h"
#include "kubernetes/informer/message_queue.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { REDELIVER_MS = 3000 }; /* the loop is busy, or the namespace's memory is in use */

/* One namespace; the informer's thread's. */
struct team {
    char *namespace;
    struct informer_link secret;
    int64_t retry_ms; /* CLOCK_NEVER: it was taken */
    int64_t sent_ms;  /* the version of this time was taken to be handed over; 0: none */
    struct team *next, *prev;
};

struct secret_watcher {
    struct secret_watcher_settings settings;
    struct informer_handler handler;
    struct message_queue messages; /* the key is a namespace */
    struct team *teams;            /* the informer's thread's */
};

/* What was read last is delivered once, also where it cannot be read again. */
static void deliver(struct secret_watcher *watcher, struct team *team)
{
    if (informer_is_stopping(watcher->settings.informer))
        return; /* the loop may have ended */
    const struct secret_watcher_settings *settings = &watcher->settings;
    struct informer_view view = informer_view(settings->informer, &team->secret);
    const struct error none = {0};
    bool is_new = view.is_read && view.read_ms != team->sent_ms;
    if (view.failure != NULL && !is_new) {
        settings->changed(settings->context, team->namespace, NULL, view.failure);
        return;
    }
    if (!is_new)
        return;
    struct connections *connections = view.object == NULL ? NULL : TAKE(view.object->connections);
    team->sent_ms = view.read_ms;
    bool is_done = settings->changed(settings->context, team->namespace, connections, &none);
    team->retry_ms = is_done ? CLOCK_NEVER : clock_now_ms() + REDELIVER_MS;
}

static void drop_team(struct secret_watcher *watcher, struct team *team)
{
    informer_unlink(watcher->settings.informer, &team->secret);
    DL_DELETE(watcher->teams, team);
    free(team->namespace);
    free(team);
}

static void receive(void *context, struct queued_message *message)
{
    struct secret_watcher *watcher = context;
    struct team *team;
    DL_FOREACH(watcher->teams, team)
        if (text_equal(team->namespace, message->key))
            break;
    if (team != NULL) /* the caller knows nothing of the Secret any more: it is read again */
        drop_team(watcher, team);
    if (message->kind != MESSAGE_ADD)
        return;
    if (!kubernetes_name_is_namespace(
            message->key)) { /* it is no namespace's, so there is no Secret */
        const struct error none = {0};
        watcher->settings.changed(watcher->settings.context, message->key, NULL, &none);
        return;
    }
    team = memory_new(sizeof(*team));
    team->namespace = TAKE(message->key);
    team->secret.handler = &watcher->handler;
    team->secret.user = team;
    team->retry_ms = CLOCK_NEVER;
    DL_APPEND(watcher->teams, team);
    informer_link(watcher->settings.informer, &team->secret, OBJECT_CONNECTIONS, team->namespace,
                  watcher->settings.name);
}

/* ---- the informer's handler ---- */

static void take_change(void *context, void *user)
{
    deliver(context, user);
}

/* What was handed over in vain is gone, so it is read again. Returns when to look again. */
static int64_t retry_due(struct secret_watcher *watcher)
{
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = CLOCK_NEVER;
    struct team *team;
    DL_FOREACH(watcher->teams, team) {
        if (team->retry_ms <= now_ms) {
            team->retry_ms = CLOCK_NEVER;
            informer_want_fresh(watcher->settings.informer, &team->secret);
        }
        next_ms = team->retry_ms < next_ms ? team->retry_ms : next_ms;
    }
    return next_ms;
}

static int64_t take_turn(void *context)
{
    struct secret_watcher *watcher = context;
    int64_t next_ms = retry_due(watcher); /* a team that comes now is delivered to first */
    message_queue_receive(&watcher->messages, receive, watcher);
    return next_ms;
}

static void end(void *context)
{
    struct secret_watcher *watcher = context;
    while (watcher->teams != NULL)
        drop_team(watcher, watcher->teams);
}

/* ---- from outside ---- */

struct secret_watcher *secret_watcher_new(const struct secret_watcher_settings *settings)
{
    struct secret_watcher *watcher = memory_new(sizeof(*watcher));
    watcher->settings = *settings;
    watcher->handler = (struct informer_handler){take_change, take_turn, end, watcher};
    message_queue_init(&watcher->messages, settings->informer, NULL);
    informer_add_handler(settings->informer, &watcher->handler);
    return watcher;
}

void secret_watcher_free(struct secret_watcher *watcher)
{
    if (watcher == NULL)
        return;
    message_queue_done(&watcher->messages);
    free(watcher);
}

void secret_watcher_add(struct secret_watcher *watcher, const char *namespace)
{
    message_queue_send(&watcher->messages, MESSAGE_ADD, namespace, strlen(namespace), NULL);
}

void secret_watcher_remove(struct secret_watcher *watcher, const char *namespace)
{
    message_queue_send(&watcher->messages, MESSAGE_REMOVE, namespace, strlen(namespace), NULL);
}
