#include "redis/link/setup.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_ROLE = 20,
    REPLICA_STATE = 3,
    MASTER_MS = 1000, /* between two ROLEs to a master */
};

/* A server without a connection left replies so to whatever comes first, and hangs up. */
static bool is_full(struct redis_link *link, const redisReply *reply)
{
    if (!redis_reply_is_error(reply, REDIS_MAX_CLIENTS))
        return false;
    redis_link_refuse_reply(link, reply);
    return true;
}

/* Never the server's own words: one that does not know AUTH repeats what came with it. */
static void on_auth(struct redis_link *link, struct redis_command *command, const redisReply *reply)
{
    (void)command;
    /* As KEDA: anybody may connect to this server, and the password was not needed. */
    if (reply->type != REDIS_REPLY_ERROR || strstr(reply->str, "no password is set") != NULL ||
        strstr(reply->str, "without any password configured") != NULL || is_full(link, reply))
        return;
    bool is_wrong = redis_reply_is_error(reply, "WRONGPASS") ||
                    redis_reply_is_error(reply, "ERR invalid password");
    redis_link_refuse(link, "Redis at %s: authentication failed: %s", link->server->address,
                      is_wrong ? "check username and password"
                               : "it refused AUTH (before version 6 there is no username)");
}

static void on_needed(struct redis_link *link, struct redis_command *command,
                      const redisReply *reply)
{
    (void)command;
    if (reply->type == REDIS_REPLY_ERROR)
        redis_link_refuse_reply(link, reply);
}

/* A reply is enough: the user may have no right to PING. */
static void on_ping(struct redis_link *link, struct redis_command *command, const redisReply *reply)
{
    if (!redis_reply_is_error(reply, "NOPERM"))
        on_needed(link, command, reply);
}

static void on_info(struct redis_link *link, struct redis_command *command, const redisReply *reply)
{
    (void)command;
    redis_server_set_version(link->server, reply);
}

/* What a server says that it is. Empty texts: it does not. */
struct role {
    char name[MAX_ROLE + 1];  /* "master", "slave" or another */
    char state[MAX_ROLE + 1]; /* of a replica, its connection to its master */
};

static void copy_word(char word[MAX_ROLE + 1], const char *from, size_t length)
{
    snprintf(word, MAX_ROLE + 1, "%.*s", (int)(length < MAX_ROLE ? length : MAX_ROLE), from);
}

static struct role role_of(const redisReply *reply)
{
    struct role role = {0};
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
        reply->element[0]->type != REDIS_REPLY_STRING)
        return role;
    copy_word(role.name, reply->element[0]->str, reply->element[0]->len);
    if (reply->elements > REPLICA_STATE &&
        reply->element[REPLICA_STATE]->type == REDIS_REPLY_STRING)
        copy_word(role.state, reply->element[REPLICA_STATE]->str,
                  reply->element[REPLICA_STATE]->len);
    return role;
}

/* A line of INFO is "role:master", and ends with "\r\n". */
static void copy_info(char word[MAX_ROLE + 1], const redisReply *info, const char *field)
{
    const char *found = info->type == REDIS_REPLY_STRING ? strstr(info->str, field) : NULL;
    if (found == NULL)
        return;
    found += strlen(field);
    copy_word(word, found, strcspn(found, "\r\n"));
}

/* A replica that has received no data yet reads as empty (replica-serve-stale-data, by default
 * yes), and one that lost its master as it was then. The states are those of Redis and Valkey, by
 * ROLE and by INFO; other servers have others for a replica that works. */
static void check_replica(struct redis_link *link, const struct role *role)
{
    static const char *const unsynchronized[] = {"none",      "connect", "connecting",
                                                 "handshake", "sync",    "down"};
    if (!text_equal(role->name, "slave") || *role->state == '\0')
        return;
    link->is_of_replica = true;
    for (size_t i = 0; i < ARRAY_LENGTH(unsynchronized); i++)
        if (text_equal(role->state, unsynchronized[i]))
            redis_link_refuse(link,
                              "Redis at %s is a replica that is not connected to its master "
                              "(state %s): its data may be missing or old",
                              link->server->address, role->state);
}

/* A former master learns of its successor only after it is back, and replies until then.
 *
 * Where nobody said that it is the master, an error is as good as no reply: our user may lack the
 * right, and a proxy may not know the command. */
static void take_role(struct redis_link *link, const struct role *role, const redisReply *reply)
{
    if (*role->name != '\0') {
        link->has_role = true;
        link->is_of_replica = false; /* until it says so */
    }
    if (link->server->master_of == NULL) {
        if (!is_full(link, reply))
            check_replica(link, role);
    } else if (*role->name == '\0')
        redis_link_refuse_reply(link, reply);
    else if (!text_equal(role->name, "master"))
        redis_link_refuse(link, "Redis at %s is not the master that %s say it is: its role is %s",
                          link->server->address, link->server->master_of, role->name);
}

static void on_replication(struct redis_link *link, struct redis_command *command,
                           const redisReply *reply)
{
    (void)command;
    struct role role = {0};
    copy_info(role.name, reply, "\nrole:");
    copy_info(role.state, reply, "\nmaster_link_status:");
    take_role(link, &role, reply);
}

static void send_role(struct redis_link *link);

/* Redis Software, Azure, and whoever renamed it have no ROLE. */
static void on_role(struct redis_link *link, struct redis_command *command, const redisReply *reply)
{
    (void)command;
    const struct role role = role_of(reply);
    link->lacks_role = redis_reply_is_error(reply, "ERR unknown command");
    if (link->lacks_role)
        send_role(link);
    else
        take_role(link, &role, reply);
}

static void send_role(struct redis_link *link)
{
    link->role_ms = clock_now_ms();
    if (link->lacks_role)
        redis_link_send(link, &(struct redis_request){{"INFO", "replication"}, on_replication});
    else
        redis_link_send(link, &(struct redis_request){{"ROLE"}, on_role});
}

static void on_optional(struct redis_link *link, struct redis_command *command,
                        const redisReply *reply)
{
    (void)command;
    is_full(link, reply);
}

void redis_setup_check_role(struct redis_link *link)
{
    bool is_time = link->is_of_replica || clock_now_ms() >= link->role_ms + MASTER_MS;
    if (link->has_role && is_time)
        send_role(link);
}

void redis_setup_send(struct redis_link *link)
{
    const struct redis_login *login = &link->server->login;
    _cleanup_(memory_free) char *database = text_format("%lld", (long long)login->database);
    if (login->password != NULL && login->username != NULL)
        redis_link_send(
            link, &(struct redis_request){{"AUTH", login->username, login->password}, on_auth});
    else if (login->password != NULL)
        redis_link_send(link, &(struct redis_request){{"AUTH", login->password}, on_auth});
    if (login->database != 0)
        redis_link_send(link, &(struct redis_request){{"SELECT", database}, on_needed});
    redis_link_send(link, &(struct redis_request){{"CLIENT", "SETNAME", "backlog"}, on_optional});
    if (link->server->has_keys)
        send_role(link);
    redis_link_send(link, &(struct redis_request){{"INFO", "server"}, on_info});
    redis_link_send(link, &(struct redis_request){{"PING"}, on_ping});
}
