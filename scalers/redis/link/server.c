#include "redis/link/server.h"

#include "base/memory.h"
#include "base/text.h"
#include "shared/address.h"
#include "shared/tls_socket.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    MAX_WORDS = 200, /* of the server's, in an error */
    MAX_VERSION = 32,
    SMOOTHING = 4, /* a round trip counts for a quarter */
};

#define CLUSTER "redis-cluster or redis-cluster-streams"

/* What a few errors mean for who reads them here. */
static const struct {
    const char *code;
    const char *words;
} explained[] = {
    {"NOAUTH ", "needs a password: set password, and username where it is not the default user"},
    {"NOPERM ", "does not allow its user to measure"},
    {"LOADING ", "is still loading its data"},
    {"MASTERDOWN ", "is a replica without its master"},
    {"MOVED ", "is a node of a Redis Cluster, and another has this key: set scaler to " CLUSTER},
    {"ASK ", "is a node of a Redis Cluster, and another has this key: set scaler to " CLUSTER},
    {"CLUSTERDOWN ", "does not serve this key, since its Redis Cluster is not complete"},
    {"READONLY ", "is a replica"},
    {"ERR SELECT is not allowed in cluster mode",
     "is a node of a Redis Cluster, which has only database 0: remove databaseIndex"},
    {REDIS_MAX_CLIENTS, "has no connection left"},
};

void redis_server_init(struct redis_server *server, const struct redis_login *login, SSL_CTX *tls)
{
    *server = (struct redis_server){
        .login = *login, .tls = tls, .round_trip_ms = -1, .may_be_local = true};
    if (tls != NULL)
        SSL_CTX_up_ref(tls);
}

bool redis_server_init_as(struct redis_server *server,
                          const struct redis_connection_options *options, struct error *error)
{
    SSL_CTX *tls = NULL;
    if (redis_connection_has_tls(options) && (tls = tls_context_new(&options->tls, error)) == NULL)
        return false;
    const struct redis_login login = {options->username, options->password, options->database};
    redis_server_init(server, &login, tls);
    SSL_CTX_free(tls); /* the server holds it */
    return true;
}

char *redis_server_address_of(const char *host, int port)
{
    return text_format(strchr(host, ':') == NULL ? "%s:%d" : "[%s]:%d", host, port);
}

/* What was known is not of the new one. */
void redis_server_set_address(struct redis_server *server, const char *host, int port)
{
    free(server->host);
    free(server->address);
    free(TAKE(server->version));
    server->host = text_copy(host);
    server->port = port;
    server->address = redis_server_address_of(host, port);
    server->round_trip_ms = -1;
}

void redis_server_done(struct redis_server *server)
{
    SSL_CTX_free(server->tls);
    free(server->host);
    free(server->address);
    free(server->version);
}

void redis_server_set_version(struct redis_server *server, const redisReply *info)
{
    static const char field[] = "redis_version:";
    const char *found = info->type == REDIS_REPLY_STRING ? strstr(info->str, field) : NULL;
    if (found == NULL)
        return;
    const char *version = found + strlen(field);
    free(server->version);
    server->version = text_copy_bytes(version, strcspn(version, "\r\n"));
    server->version[text_cut(server->version, MAX_VERSION)] = '\0';
}

bool redis_server_cannot_connect(const struct redis_server *server, const char *reason,
                                 struct error *error)
{
    return error_unavailable(error, "cannot connect to Redis at %s: %s", server->address, reason);
}

bool redis_server_check_peer(struct redis_server *server, int socket, struct error *error)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    if (getpeername(socket, (struct sockaddr *)&address, &size) != 0)
        return redis_server_cannot_connect(server, strerror(errno), error); /* it has hung up */
    server->is_local = address_is_local((const struct sockaddr *)&address);
    return !server->is_local || server->may_be_local ||
           error_unavailable(
               error,
               "%s name Redis at %s, an address of this machine or a link-local one: they "
               "may where they are at one themselves",
               server->master_of == NULL ? "the nodes of the cluster" : server->master_of,
               server->address);
}

void redis_server_add_round_trip(struct redis_server *server, int64_t round_trip_ms)
{
    if (server->round_trip_ms < 0)
        server->round_trip_ms = round_trip_ms;
    else
        server->round_trip_ms += (round_trip_ms - server->round_trip_ms) / SMOOTHING;
}

bool redis_reply_is_error(const redisReply *reply, const char *beginning)
{
    return reply->type == REDIS_REPLY_ERROR && text_starts_with(reply->str, beginning);
}

bool redis_reply_is_count(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0;
}

bool redis_reply_is_array(const redisReply *reply, size_t count)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == count;
}

bool redis_server_explain(const struct redis_server *server, const redisReply *reply,
                          struct error *error)
{
    if (reply->type != REDIS_REPLY_ERROR)
        return error_unavailable(error, "Redis at %s: unexpected reply", server->address);
    const char *words = "replied";
    for (size_t i = 0; i < ARRAY_LENGTH(explained); i++)
        if (redis_reply_is_error(reply, explained[i].code))
            words = explained[i].words;
    return error_unavailable(error, "Redis at %s %s: %.*s", server->address, words,
                             (int)text_cut(reply->str, MAX_WORDS), reply->str);
}
