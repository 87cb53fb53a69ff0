#include "kubernetes/credentials/team_secrets.h"

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

struct team_secrets {
    struct team_secrets_settings settings;
    struct informer_handler handler;
    struct message_queue messages; /* the key is a namespace */
    struct team *teams;            /* the informer's thread's */
};

/* What was read last is delivered once, also where it cannot be read again. */
static void deliver_team(void *context, void *user)
{
    struct team_secrets *secrets = context;
    struct team *team = user;
    if (informer_is_stopping(secrets->settings.informer))
        return; /* the loop may have ended */
    const struct team_secrets_settings *settings = &secrets->settings;
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

static void drop_team(struct team_secrets *secrets, struct team *team)
{
    informer_unlink(secrets->settings.informer, &team->secret);
    DL_DELETE(secrets->teams, team);
    free(team->namespace);
    free(team);
}

static void receive_team(void *context, struct queued_message *message)
{
    struct team_secrets *secrets = context;
    struct team *team;
    DL_FOREACH(secrets->teams, team)
        if (text_equal(team->namespace, message->key))
            break;
    if (team != NULL) /* the caller knows nothing of the Secret any more: it is read again */
        drop_team(secrets, team);
    if (message->kind != MESSAGE_ADD)
        return;
    if (!kubernetes_name_is_namespace(
            message->key)) { /* it is no namespace's, so there is no Secret */
        const struct error none = {0};
        secrets->settings.changed(secrets->settings.context, message->key, NULL, &none);
        return;
    }
    team = memory_new(sizeof(*team));
    team->namespace = TAKE(message->key);
    team->secret.handler = &secrets->handler;
    team->secret.user = team;
    team->retry_ms = CLOCK_NEVER;
    DL_APPEND(secrets->teams, team);
    informer_link(secrets->settings.informer, &team->secret, OBJECT_CONNECTIONS, team->namespace,
                  secrets->settings.name);
}

/* ---- the informer's handler ---- */

/* What was handed over in vain is gone, so it is read again. Returns when to look again. */
static int64_t retry_due(struct team_secrets *secrets)
{
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = CLOCK_NEVER;
    struct team *team;
    DL_FOREACH(secrets->teams, team) {
        if (team->retry_ms <= now_ms) {
            team->retry_ms = CLOCK_NEVER;
            informer_want_fresh(secrets->settings.informer, &team->secret);
        }
        next_ms = team->retry_ms < next_ms ? team->retry_ms : next_ms;
    }
    return next_ms;
}

static int64_t take_turn_of_teams(void *context)
{
    struct team_secrets *secrets = context;
    int64_t next_ms = retry_due(secrets); /* a team that comes now is delivered to first */
    message_queue_receive(&secrets->messages, receive_team, secrets);
    return next_ms;
}

static void end_teams(void *context)
{
    struct team_secrets *secrets = context;
    while (secrets->teams != NULL)
        drop_team(secrets, secrets->teams);
}

/* ---- from outside ---- */

struct team_secrets *team_secrets_new(const struct team_secrets_settings *settings)
{
    struct team_secrets *secrets = memory_new(sizeof(*secrets));
    secrets->settings = *settings;
    secrets->handler =
        (struct informer_handler){deliver_team, take_turn_of_teams, end_teams, secrets};
    message_queue_init(&secrets->messages, settings->informer, NULL);
    informer_add_handler(settings->informer, &secrets->handler);
    return secrets;
}

void team_secrets_free(struct team_secrets *secrets)
{
    if (secrets == NULL)
        return;
    message_queue_done(&secrets->messages);
    free(secrets);
}

void team_secrets_add(struct team_secrets *secrets, const char *namespace)
{
    message_queue_send(&secrets->messages, MESSAGE_ADD, namespace, strlen(namespace), NULL);
}

void team_secrets_remove(struct team_secrets *secrets, const char *namespace)
{
    message_queue_send(&secrets->messages, MESSAGE_REMOVE, namespace, strlen(namespace), NULL);
}
