#include "kubernetes/credentials/team_secrets.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kubernetes/informer/api_health.h"
#include "kubernetes/informer/message_queue.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Until something is handed over again: the loop is busy, or the namespace's memory is in use. */
enum { FIRST_BACKOFF_MS = 3000, LONGEST_BACKOFF_MS = 30 * 1000 };

/* One namespace; the informer's thread's. */
struct team {
    char *namespace;
    struct informer_link secret;
    int64_t taken_ms; /* the version of this time was taken to be handed over; 0: none */
    char *revision;   /* of the last that was handed over, "": there is none; NULL: unknown, or a
                         failure was handed over since */
    int64_t retry_ms; /* CLOCK_NEVER: what is known was handed over */
    int64_t backoff_ms;
    struct team *next, *prev;
};

struct team_secrets {
    struct team_secrets_settings settings;
    struct informer_handler handler;
    struct message_queue messages; /* the key is a namespace */
    struct team *teams;            /* the informer's thread's */
};

static const char *revision_of(const struct api_object *object)
{
    return object == NULL ? "" : object->revision;
}

/* Hands over what was read, once, or else why it cannot be. What is not taken is tried again. */
static void deliver_team(void *context, void *user)
{
    struct team_secrets *secrets = context;
    struct team *team = user;
    const struct team_secrets_settings *settings = &secrets->settings;
    if (informer_is_stopping(settings->informer))
        return; /* the loop may have ended */
    struct informer_view view = informer_view(settings->informer, &team->secret);
    const struct error none = {0};
    bool is_new = view.is_read && view.read_ms != team->taken_ms;
    if (!is_new && view.failure == NULL)
        return;
    if (is_new)
        team->taken_ms = view.read_ms;
    struct connections *connections =
        is_new && view.object != NULL ? TAKE(view.object->connections) : NULL;
    if (is_new && team->revision != NULL && text_equal(team->revision, revision_of(view.object))) {
        connections_free(connections); /* they are in use, with their mistakes */
        return;
    }
    free(TAKE(team->revision));
    if (settings->changed(settings->context, team->namespace, connections,
                          is_new ? &none : view.failure)) {
        team->revision = is_new ? text_copy(revision_of(view.object)) : NULL;
        team->retry_ms = CLOCK_NEVER;
        team->backoff_ms = FIRST_BACKOFF_MS;
        return;
    }
    team->retry_ms = clock_now_ms() + team->backoff_ms;
    api_health_grow_backoff(&team->backoff_ms, LONGEST_BACKOFF_MS);
}

static void drop_team(struct team_secrets *secrets, struct team *team)
{
    informer_unlink(secrets->settings.informer, &team->secret);
    DL_DELETE(secrets->teams, team);
    free(team->namespace);
    free(team->revision);
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
    team = memory_new(sizeof(*team));
    team->namespace = TAKE(message->key);
    team->secret.handler = &secrets->handler;
    team->secret.user = team;
    team->retry_ms = CLOCK_NEVER;
    team->backoff_ms = FIRST_BACKOFF_MS;
    DL_APPEND(secrets->teams, team);
    informer_link(secrets->settings.informer, &team->secret, OBJECT_CONNECTIONS, team->namespace,
                  secrets->settings.name);
}

/* ---- the informer's handler ---- */

/* A failure is handed over again. What was read is gone, so that is read again. */
static void retry_team(struct team_secrets *secrets, struct team *team)
{
    struct informer *informer = secrets->settings.informer;
    team->retry_ms = CLOCK_NEVER;
    if (informer_view(informer, &team->secret).failure != NULL)
        deliver_team(secrets, team);
    else
        informer_want_fresh(informer, &team->secret);
}

/* Returns when to look again. */
static int64_t retry_due(struct team_secrets *secrets)
{
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = CLOCK_NEVER;
    struct team *team;
    DL_FOREACH(secrets->teams, team) {
        if (team->retry_ms <= now_ms)
            retry_team(secrets, team);
        next_ms = clock_earlier(next_ms, team->retry_ms);
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
