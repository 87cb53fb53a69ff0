/*
 * The server that all links of a client connect to, and what is known of it.
 *
 * Threads: that of the client. Owner: the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_LINK_SERVER_H
#define BACKLOG_SCALERS_REDIS_LINK_SERVER_H

#include "base/error.h"
#include "redis/options.h"
#include "shared/source_memory.h"

#include <hiredis/hiredis.h>
#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

/* The texts are the options'. */
struct redis_login {
    const char *username; /* NULL: the default user */
    const char *password; /* NULL: none */
    int64_t database;
};

/* What the links to all nodes of a Redis Cluster, or to all Sentinels, take together: whoever
 * writes the trigger, or the Cluster itself, says how many there are. */
struct redis_link_budget {
    size_t count;
    struct source_memory memory;
};

struct redis_server {
    struct redis_login login;
    bool has_keys;                    /* some are read there; else it only says where they are */
    struct redis_link_budget *budget; /* what those to it count for; NULL: nothing */
    /* Who says that it is the master, for errors; NULL: it may be a replica. */
    const char *master_of;
    SSL_CTX *tls; /* NULL: plain */
    char *host;   /* to connect to, and for which the certificate must be */
    int port;
    char *address;         /* host:port, for errors */
    char *version;         /* as the server reports it; NULL: it did not */
    bool may_be_local;     /* of who was configured, or is named by somebody who is */
    bool is_local;         /* the last link was to an address of this machine or a link-local one */
    int64_t round_trip_ms; /* smoothed; -1: not known */
    uint64_t links_opened; /* so far */
};

/* Holds the context. The server has an address before it is connected to. */
void redis_server_init(struct redis_server *server, const struct redis_login *login, SSL_CTX *tls);

/* The same, with the login and the TLS of the options. False: their certificates or key are wrong.
 */
bool redis_server_init_as(struct redis_server *server,
                          const struct redis_connection_options *options, struct error *error);

/* host:port, as errors have it; the caller frees it. */
char *redis_server_address_of(const char *host, int port);

void redis_server_set_address(struct redis_server *server, const char *host, int port);
void redis_server_done(struct redis_server *server);

void redis_server_set_version(struct redis_server *server, const redisReply *info);

/* The socket is connected. False: it is so no more, or to an address of this machine or a
 * link-local one (loopback, 169.254.0.0/16, fe80::/10), which the server may not be at: whoever
 * runs a node or a Sentinel is not to reach what is open to us alone. */
bool redis_server_check_peer(struct redis_server *server, int socket, struct error *error);

void redis_server_add_round_trip(struct redis_server *server, int64_t round_trip_ms);

/* Sets the error. Returns false. */
bool redis_server_cannot_connect(const struct redis_server *server, const char *reason,
                                 struct error *error);

/* How the error of a server begins that has `maxclients` connections. */
#define REDIS_MAX_CLIENTS "ERR max number of clients"

/* Whether the reply is an error that begins so: its code, or more of it. */
bool redis_reply_is_error(const redisReply *reply, const char *beginning);

/* Whether it is an integer that can be a number of something; NULL is none. */
bool redis_reply_is_count(const redisReply *reply);

/* Whether it is an array of so many. */
bool redis_reply_is_array(const redisReply *reply, size_t count);

/* What an error reply, or a reply that is not of the expected type, means. Returns false. */
bool redis_server_explain(const struct redis_server *server, const redisReply *reply,
                          struct error *error);

#endif
