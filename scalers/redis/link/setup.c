#include "redis/link/setup.h"

#include "base/memory.h"
#include "base/text.h"

#include <string.h>

enum { MAX_ROLE = 20 };

/* A server without a connection left replies so to whatever comes first, and hangs up. */
static bool is_full(struct redis_link *link, const redisReply *reply)
{
    if (!redis_reply_is_error(reply, REDIS_MAX_CLIENTS))
        return false;
    redis_server_explain(link->server, reply, &link->refusal);
    return true;
}

/* Never the server's own words: one that does not know AUTH repeats what came with it. */
static void on_auth(struct redis_link *link, struct redis_command *command, const redisReply *reply)
{
    (void)command;
    /* As KEDA: anybody may connect to this server, and the password was not needed. */
    if (reply->type != REDIS_REPLY_ERROR || error_is_set(&link->refusal) ||
        strstr(reply->str, "no password is set") != NULL ||
        strstr(reply->str, "without any password configured") != NULL || is_full(link, reply))
        return;
    bool is_wrong = redis_reply_is_error(reply, "WRONGPASS") ||
                    redis_reply_is_error(reply, "ERR invalid password");
    error_unavailable(&link->refusal, "Redis at %s: authentication failed: %s",
                      link->server->address,
                      is_wrong ? "check username and password"
                               : "it refused AUTH (before version 6 there is no username)");
}

static void on_needed(struct redis_link *link, struct redis_command *command,
                      const redisReply *reply)
{
    (void)command;
    if (reply->type == REDIS_REPLY_ERROR && !error_is_set(&link->refusal))
        redis_server_explain(link->server, reply, &link->refusal);
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

/* A former master learns of its successor only after it is back, and replies until then. */
static void on_role(struct redis_link *link, struct redis_command *command, const redisReply *reply)
{
    (void)command;
    if (error_is_set(&link->refusal))
        return;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
        reply->element[0]->type != REDIS_REPLY_STRING)
        redis_server_explain(link->server, reply, &link->refusal);
    else if (!text_equal(reply->element[0]->str, "master"))
        error_unavailable(&link->refusal,
                          "Redis at %s is not the master that %s say it is: its role is %.*s",
                          link->server->address, link->server->master_of,
                          (int)text_cut(reply->element[0]->str, MAX_ROLE), reply->element[0]->str);
}

static void on_optional(struct redis_link *link, struct redis_command *command,
                        const redisReply *reply)
{
    (void)command;
    if (!error_is_set(&link->refusal))
        is_full(link, reply);
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
    if (link->server->master_of != NULL)
        redis_link_send(link, &(struct redis_request){{"ROLE"}, on_role});
    redis_link_send(link, &(struct redis_request){{"INFO", "server"}, on_info});
    redis_link_send(link, &(struct redis_request){{"PING"}, on_ping});
}
