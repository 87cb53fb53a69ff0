#include "redis/arm.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "redis/armed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char channel[] = "__redis__:invalidate";

enum {
    PING_MS = 5000,         /* shows that we are heard, and keeps what is between us awake */
    RETRY_MS = 10 * 1000,   /* after a refusal, and after having begun to listen */
    LARGEST_NEWS = 4 << 20, /* a message has one key, usually */
    LONGEST_WORDS = 200,
};

struct redis_arms {
    struct redis_client *listener; /* NULL: nobody listens */
    struct redis_armed armed;
    struct error refusal; /* why not; none where it was lost: it is tried again soon */
    int64_t retry_at_ms;
    int64_t pinged_at_ms;
    bool pinged; /* and not answered yet */
};

/* What is said to the two connections until one listens for the other. */
struct introduction {
    const struct redis_client *client;
    char id[24]; /* of the one that listens */
    struct error refusal;
};

static void refuse(struct introduction *introduction, const char *words)
{
    if (error_is_set(&introduction->refusal))
        return;
    error_unavailable(&introduction->refusal,
                      "Redis at %s does not tell of changes, for which it takes version 6 and the "
                      "rights to client|id, client|tracking, client|caching, subscribe and the "
                      "channel %s: %.*s",
                      introduction->client->address, channel, (int)text_cut(words, LONGEST_WORDS),
                      words);
}

static void introduced(struct redis_pipeline *pipeline, struct redis_command command,
                       const redisReply *reply)
{
    struct introduction *introduction = pipeline->context;
    if (reply->type == REDIS_REPLY_ERROR)
        refuse(introduction, reply->str);
    else if (reply->type == REDIS_REPLY_INTEGER && text_equal(command.words[1], "ID"))
        snprintf(introduction->id, sizeof(introduction->id), "%lld", reply->integer);
}

/* A proxy that hangs up on a command that it does not know shall do so here, where nothing is measured. */
static bool introduce_listener(struct redis_client *listener, struct introduction *introduction,
                               int64_t deadline_ms)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(redis_pipeline_done) struct redis_pipeline pipeline = {
        .client = listener, .answered = introduced, .context = introduction};
    redis_pipeline_ask(&pipeline, (struct redis_command){{"CLIENT", "ID"}, NULL});
    redis_pipeline_ask(&pipeline, (struct redis_command){{"CLIENT", "TRACKING", "OFF"}, NULL});
    redis_pipeline_ask(&pipeline, (struct redis_command){{"SUBSCRIBE", channel}, NULL});
    if (!redis_pipeline_run(&pipeline, deadline_ms, &error))
        refuse(introduction, error_text(&error));
    return !error_is_set(&introduction->refusal);
}

/* False: the client is of no further use. */
static bool redirect(struct redis_client *client, struct introduction *introduction,
                     int64_t deadline_ms, struct error *error)
{
    _cleanup_(redis_pipeline_done) struct redis_pipeline pipeline = {
        .client = client, .answered = introduced, .context = introduction};
    redis_pipeline_ask(
        &pipeline, (struct redis_command){
                       {"CLIENT", "TRACKING", "ON", "REDIRECT", introduction->id, "OPTIN"}, NULL});
    return redis_pipeline_run(&pipeline, deadline_ms, error);
}

static void disconnect(void **listener)
{
    if (*listener != NULL)
        redis_client_disconnect(*listener);
}

static bool listen_for(struct redis_client *client, int64_t deadline_ms, struct error *error)
{
    struct redis_arms *arms = client->arms;
    struct introduction introduction = {.client = client};
    _cleanup_(disconnect) void *listener = NULL;
    int64_t now_ms = clock_now_ms();
    int64_t half_ms = now_ms + (deadline_ms - now_ms) / 2; /* the readings matter more */
    bool usable = true;

    arms->retry_at_ms = now_ms + RETRY_MS;
    error_done(&arms->refusal);
    if (redis_client_connect(client->options, half_ms, &listener, &introduction.refusal) &&
        introduce_listener(listener, &introduction, half_ms))
        usable = redirect(client, &introduction, deadline_ms, error);
    if (error_is_set(&introduction.refusal))
        error_move(&arms->refusal, &introduction.refusal);
    else if (usable)
        arms->listener = TAKE(listener);
    arms->pinged = false;
    arms->pinged_at_ms = now_ms;
    return usable;
}

static void ping(struct redis_client *client, int64_t now_ms)
{
    struct redis_arms *arms = client->arms;
    redisContext *context = arms->listener->context;
    if (now_ms < arms->pinged_at_ms + PING_MS)
        return;
    int done = 0;
    bool sent = !arms->pinged && redisAppendCommand(context, "PING") == REDIS_OK &&
                redisBufferWrite(context, &done) == REDIS_OK && done;
    arms->pinged = true;
    arms->pinged_at_ms = now_ms;
    if (!sent)
        redis_arm_lose(client);
}

bool redis_arm_prepare(struct redis_client *client, struct probe *const *probes, size_t count,
                       int64_t deadline_ms, struct error *error)
{
    bool wanted = false;
    for (size_t i = 0; i < count && !wanted; i++)
        wanted = probe_wants_arm(probes[i]);
    if (client->arms == NULL && !wanted)
        return true;
    if (client->arms == NULL)
        client->arms = memory_new(sizeof(*client->arms));

    int64_t now_ms = clock_now_ms();
    redis_arm_hear(client);
    if (client->arms->listener != NULL)
        ping(client, now_ms);
    bool due = client->arms->listener == NULL && now_ms >= client->arms->retry_at_ms;
    return !wanted || !due || listen_for(client, deadline_ms, error);
}

void redis_arm_ask(struct redis_pipeline *pipeline, struct probe *probe, const char *key)
{
    struct redis_arms *arms = pipeline->client->arms;
    if (!probe_wants_arm(probe))
        return;
    if (arms->listener == NULL) {
        probe_cannot_arm(probe, &arms->refusal);
        return;
    }
    redis_armed_add(&arms->armed, key, &probe->waker);
    redis_pipeline_ask(pipeline, (struct redis_command){{"CLIENT", "CACHING", "YES"}, probe});
}

bool redis_arm_answered(struct redis_pipeline *pipeline, struct redis_command command,
                        const redisReply *reply)
{
    if (!text_equal(command.words[0], "CLIENT"))
        return false;
    struct probe *probe = command.asker;
    if (reply->type != REDIS_REPLY_ERROR) {
        probe_armed(probe);
        return true;
    }
    struct introduction introduction = {.client = pipeline->client};
    refuse(&introduction, reply->str);
    redis_armed_remove(&pipeline->client->arms->armed, probe->waker.id);
    probe_cannot_arm(probe, &introduction.refusal);
    error_done(&introduction.refusal);
    return true;
}

void redis_arm_lose(struct redis_client *client)
{
    struct redis_arms *arms = client->arms;
    if (arms == NULL || arms->listener == NULL)
        return;
    redis_client_disconnect(TAKE(arms->listener));
    redis_armed_wake_all(&arms->armed);
}

void redis_arm_free(struct redis_client *client)
{
    struct redis_arms *arms = TAKE(client->arms);
    if (arms == NULL)
        return;
    if (arms->listener != NULL)
        redis_client_disconnect(arms->listener);
    redis_armed_done(&arms->armed);
    error_done(&arms->refusal);
    free(arms);
}

void redis_arm_disarm(void *argument, uint64_t waker_id)
{
    const struct redis_client *client = argument;
    if (client->arms != NULL)
        redis_armed_remove(&client->arms->armed, waker_id);
}

int redis_arm_descriptor(const void *argument)
{
    const struct redis_client *client = argument;
    bool listens = client->arms != NULL && client->arms->listener != NULL;
    return listens ? client->arms->listener->context->fd : -1;
}

/* A message of the channel has the keys that were changed, or nothing: all were (FLUSHALL). */
static void take_news(struct redis_arms *arms, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
        reply->element[0]->type != REDIS_REPLY_STRING)
        return;
    if (text_equal(reply->element[0]->str, "pong"))
        arms->pinged = false;
    if (!text_equal(reply->element[0]->str, "message") || reply->elements < 3)
        return;
    const redisReply *keys = reply->element[2];
    if (keys->type == REDIS_REPLY_NIL)
        redis_armed_wake_all(&arms->armed);
    for (size_t i = 0; keys->type == REDIS_REPLY_ARRAY && i < keys->elements; i++)
        if (keys->element[i]->type == REDIS_REPLY_STRING)
            redis_armed_wake(&arms->armed, keys->element[i]->str, (size_t)keys->element[i]->len);
}

static bool read_news(struct redis_arms *arms)
{
    redisContext *context = arms->listener->context;
    const redisReader *reader = context->reader;
    if (redisBufferRead(context) != REDIS_OK)
        return false;
    for (;;) {
        void *reply = NULL;
        if (redisGetReplyFromReader(context, &reply) != REDIS_OK)
            return false;
        if (reply == NULL)
            return reader->len - reader->pos <= LARGEST_NEWS;
        take_news(arms, reply);
        freeReplyObject(reply);
    }
}

void redis_arm_hear(void *argument)
{
    struct redis_client *client = argument;
    bool listens = client->arms != NULL && client->arms->listener != NULL;
    if (listens && !read_news(client->arms))
        redis_arm_lose(client);
}
