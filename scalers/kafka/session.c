#include "kafka/session.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "kafka/memory.h"

#include <assert.h>

/* While brokers disagree on who coordinates a group, each new handle soon needs a renewal, too. */
enum {
    MAIN_RENEW_MS = 2000,
    YOUNG_MS = 60 * 1000, /* of a main handle: a client is not given up again and again where
                             brokers disagree */
};

bool kafka_session_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                           struct error *error)
{
    struct kafka_session *session = memory_new(sizeof(*session));
    struct kafka_client *client = &session->client;
    if (!kafka_client_open(client, connection_options, deadline_ms, error)) {
        if (kafka_client_close(client))
            free(session);
        return false;
    }
    session->metadata = kafka_metadata_new(client);
    session->commits = kafka_commits_new(client);
    session->members = kafka_members_new(client);
    session->group_types = kafka_group_types_new(client);
    session->offsets = kafka_offsets_new(client);
    session->subscriptions = kafka_subscriptions_new(client, session->metadata);
    kafka_space_init(&session->space, kafka_memory_most_commits(&client->memory));
    session->forgot_ms = clock_now_ms();
    *ret_client = session;
    return true;
}

void kafka_session_disconnect(void *client)
{
    struct kafka_session *session = client;
    kafka_subscriptions_free(session->subscriptions);
    kafka_offsets_free(session->offsets);
    kafka_group_types_free(session->group_types);
    kafka_members_free(session->members);
    kafka_commits_free(session->commits);
    kafka_metadata_free(session->metadata);
    kafka_persistence_forget_all(&session->persistence);
    assert(session->client.memory.bytes[KAFKA_ACCOUNT_CLOCKS] == 0);
    kafka_space_done(&session->space);
    if (kafka_client_close(&session->client))
        free(session);
}

void kafka_session_forget_old(struct kafka_session *session, int64_t now_ms)
{
    enum { EACH_MS = 1000 };
    if (now_ms - session->forgot_ms < EACH_MS)
        return;
    kafka_memory_fade_tasks(&session->client.memory, now_ms - session->forgot_ms);
    session->forgot_ms = now_ms;
    kafka_metadata_forget_old(session->metadata, now_ms);
    kafka_persistence_forget_old(&session->persistence, now_ms);
    kafka_known_groups_forget_old(&session->space.groups, now_ms);
    kafka_members_forget_old(session->members, now_ms);
    kafka_group_types_forget_old(session->group_types, now_ms);
    kafka_subscriptions_forget_old(session->subscriptions, now_ms);
}

static void renew_main_handle(struct kafka_session *session, rd_kafka_t *rk, int64_t now_ms)
{
    kafka_commits_close_handle(session->commits);
    kafka_members_close_handle(session->members);
    kafka_metadata_close_handle(session->metadata);
    kafka_client_renew(&session->client, rk, now_ms);
    kafka_metadata_open_handle(session->metadata); /* first: see session.h */
    kafka_commits_open_handle(session->commits);
    kafka_members_open_handle(session->members);
}

/* The new handle has all partitions, too, before the old one has ended. */
static bool has_memory_for_handle(const struct kafka_session *session)
{
    const struct kafka_topics *topics = kafka_metadata_topics(session->metadata);
    return kafka_memory_has_for_main_handle(&session->client.memory,
                                            kafka_handle_topics_of_renewed(&topics->in_handle));
}

/* Why only a new process helps, as there is no memory for a renewal (session.h). NULL: there is
 * memory, or the next attempt may have that of a handle that is just being destroyed. */
static const char *why_useless(const struct kafka_session *session, int64_t now_ms)
{
    const struct kafka_handles *handles = &session->client.handles;
    bool may_have_memory_soon =
        kafka_handles_are_ending(handles) && kafka_handles_stuck(handles, now_ms) == 0;
    if (may_have_memory_soon || has_memory_for_handle(session))
        return NULL;
    if (kafka_metadata_needs_renewal(session->metadata))
        return "topics that no trigger uses any more take its memory";
    if (kafka_commits_has_no_handle(session->commits) &&
        now_ms - session->client.opened_ms >= YOUNG_MS)
        return "coordinators have moved or hang, and no memory is left to ask others";
    return NULL;
}

/* NULL: a new main handle would not help. */
static const char *why_renew(const struct kafka_session *session, int64_t now_ms)
{
    if (kafka_metadata_needs_renewal(session->metadata))
        return "it has topics that nobody uses";
    if (kafka_commits_needs_renewal(session->commits, now_ms))
        return "a coordinator has moved, or does not answer";
    if (kafka_members_needs_renewal(session->members, now_ms))
        return "a coordinator does not answer for members";
    return NULL;
}

bool kafka_session_maintain(struct kafka_session *session, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    struct kafka_client *client = &session->client;
    if (session->useless != NULL)
        session->useless = why_useless(session, now_ms);
    kafka_commits_maintain(session->commits, now_ms);
    bool are_given_up = kafka_members_maintain(session->members, now_ms);
    const char *why = why_renew(session, now_ms);
    if (why == NULL || now_ms - client->opened_ms < MAIN_RENEW_MS ||
        now_ms - session->renewal_at_ms < MAIN_RENEW_MS)
        return are_given_up;
    session->renewal_at_ms = now_ms;
    session->useless = why_useless(session, now_ms);
    if (!has_memory_for_handle(session))
        return are_given_up;
    rd_kafka_t *rk = kafka_client_new_main_handle(client, &error);
    if (rk == NULL) {
        if (!session->has_warned)
            log_warning("cannot renew the connection to Kafka: %s; retrying", error_text(&error));
        session->has_warned = true;
        return are_given_up;
    }
    session->has_warned = false;
    log_debug("the connection to Kafka is renewed: %s", why);
    if (kafka_metadata_needs_renewal(session->metadata)) /* fetchers hold on to topics, too */
        kafka_subscriptions_drop(session->subscriptions, now_ms);
    renew_main_handle(session, rk, now_ms);
    return true;
}
