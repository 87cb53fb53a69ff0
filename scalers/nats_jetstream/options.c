#include "options.h"

#include "base/memory.h"
#include "base/text.h"
#include "credentials.h"
#include "shared/address.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_SERVERS = 16,  /* each is given its share of the time to connect */
    LONGEST_NAME = 255, /* the server's own limit for streams and consumers */
};

#define CONNECTION(field)                                                                          \
    .scope = OPTION_CONNECTION, OPTION_FIELD(struct nats_connection_options, field)
#define QUERY(field) .scope = OPTION_QUERY, OPTION_FIELD(struct nats_query_options, field)
#define TARGET(field) .scope = OPTION_TARGET, OPTION_FIELD(struct nats_target_options, field)

const struct option nats_options[] = {
    {.key = "servers",
     CONNECTION(servers),
     .type = OPTION_LIST,
     .flags = OPTION_REQUIRED | OPTION_URL,
     .doc = "client addresses of one or more nodes, as nats://host:4222, tls://host or host:port; "
            "takes the place of natsServerMonitoringEndpoint"},
    {.key = "user",
     CONNECTION(user),
     .type = OPTION_STRING,
     .flags = OPTION_CREDENTIAL,
     .doc = "the user; needs password"},
    {.key = "password",
     CONNECTION(password),
     .type = OPTION_STRING,
     .flags = OPTION_SECRET,
     .doc = "the user's password"},
    {.key = "token",
     CONNECTION(token),
     .type = OPTION_STRING,
     .flags = OPTION_SECRET,
     .doc = "a token instead of user and password"},
    {.key = "credentials",
     CONNECTION(credentials),
     .type = OPTION_STRING,
     .flags = OPTION_SECRET,
     .doc = "the content of a .creds file: a user's JWT and the seed of its key"},
    TLS_OPTIONS(offsetof(struct nats_connection_options, tls)),
    {.key = "natsServerMonitoringEndpoint",
     .type = OPTION_UNSUPPORTED,
     .doc = "set servers to the client address instead, as nats://host:4222 (no monitoring port is "
            "needed)"},
    {.key = "account",
     .type = OPTION_UNSUPPORTED,
     .doc = "the credentials decide the account, leave it out"},
    {.key = "accountID",
     .type = OPTION_UNSUPPORTED,
     .doc = "the credentials decide the account, leave it out"},
    {.key = "useHttps",
     .type = OPTION_UNSUPPORTED,
     .doc = "it belongs to the monitoring port, set tls"},

    {.key = "stream",
     QUERY(stream),
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .doc = "the name of the stream"},
    {.key = "consumer",
     QUERY(consumer),
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .doc = "the name of the stream's consumer"},
    {.key = "domain",
     QUERY(domain),
     .type = OPTION_STRING,
     .doc = "the JetStream domain that has the stream, where it is not the server's own"},
    {.key = "apiPrefix",
     QUERY(api_prefix),
     .type = OPTION_STRING,
     .doc = "the subject under which another account's JetStream API is imported"},

    {.key = "lagThreshold",
     TARGET(lag_threshold),
     .type = OPTION_INT,
     .fallback = "10",
     .limits = {1, INFINITY},
     .doc = "messages a replica: pending, and delivered but not yet acknowledged"},
    {.key = "activationLagThreshold",
     TARGET(activation_lag_threshold),
     .type = OPTION_INT,
     .fallback = "0",
     .limits = {0, INFINITY},
     .doc = "active above this many messages"},
    {0},
};

const char *nats_server_address(const char *server)
{
    const char *rest = server;
    const char *scheme_end = strstr(server, "://");
    if (scheme_end != NULL) {
        if (!text_starts_with(server, "nats://") && !text_starts_with(server, "tls://"))
            return NULL;
        rest = scheme_end + strlen("://");
    }
    /* As nats.c does: user info goes to the last @, so a password may hold one. */
    const char *at = strrchr(rest, '@');
    const char *address = at == NULL ? rest : at + 1;
    const char *colon = strrchr(address, ':');
    if (colon == NULL || strchr(colon, ']') != NULL)
        return address_is_host(address, strlen(address)) ? address : NULL;
    return address_is_host(address, (size_t)(colon - address)) && address_is_port(colon + 1)
               ? address
               : NULL;
}

static void check_servers(const struct nats_connection_options *connection, struct error *error)
{
    /* The value may hold a password: say which one is wrong, and never what it is. */
    for (size_t i = 0; i < connection->servers.count; i++)
        if (nats_server_address(connection->servers.items[i]) == NULL)
            error_add(error,
                      "servers: number %zu is not nats://host:port, tls://host:port or host:port",
                      i + 1);
    if (connection->servers.count > MOST_SERVERS)
        error_add(error, "servers has %zu addresses: at most %d are allowed, a few are enough",
                  connection->servers.count, MOST_SERVERS);
}

static void check_credentials_file(const char *credentials, struct error *error)
{
    _cleanup_(memory_free) char *jwt = nats_credentials_jwt(credentials);
    _cleanup_(memory_free) char *seed = nats_credentials_seed(credentials);
    if (jwt == NULL || seed == NULL)
        error_add(error, "credentials is not the content of a .creds file: it has no %s",
                  jwt == NULL ? "NATS USER JWT" : "USER NKEY SEED");
}

static void check_credentials(const struct nats_connection_options *connection, struct error *error)
{
    if (connection->credentials != NULL)
        check_credentials_file(connection->credentials, error);
    if (connection->credentials != NULL && (connection->user != NULL || connection->token != NULL))
        error_add(error, "credentials excludes user, password and token: set one kind");
    if ((connection->user == NULL) != (connection->password == NULL))
        error_add(error, "user and password belong together: %s is missing",
                  connection->user == NULL ? "user" : "password");
    if (connection->token != NULL && connection->user != NULL)
        error_add(error, "token excludes user and password: set one of them");
    tls_options_check(&connection->tls, error);
}

/* One token of a subject: a dot, a wildcard or white space would ask for something else. */
static void check_name(const char *key, const char *name, struct error *error)
{
    if (name == NULL || name[0] == '\0')
        return;
    if (strlen(name) > LONGEST_NAME) {
        error_add(error, "%s has %zu bytes: a name in NATS has at most %d", key, strlen(name),
                  LONGEST_NAME);
        return;
    }
    for (const char *at = name; *at != '\0'; at++)
        if (strchr(".*>", *at) != NULL || isspace((unsigned char)*at) ||
            iscntrl((unsigned char)*at)) {
            error_add(error, "%s is not a name in NATS: no dots, white space, * or >", key);
            return;
        }
}

/* A subject without wildcards: tokens between dots. */
static void check_api_prefix(const char *prefix, struct error *error)
{
    if (prefix == NULL)
        return;
    size_t length = strlen(prefix);
    bool good = length <= LONGEST_NAME && prefix[0] != '.' && prefix[length - 1] != '.' &&
                strstr(prefix, "..") == NULL;
    for (size_t i = 0; good && i < length; i++)
        good = isgraph((unsigned char)prefix[i]) && strchr("*>", prefix[i]) == NULL;
    if (!good)
        error_add(error,
                  "apiPrefix is not a subject: tokens between dots, as JS.orders.API, without "
                  "white space, * or >, and at most %d bytes",
                  LONGEST_NAME);
}

void nats_options_check(const struct options *options, struct error *mistakes)
{
    const struct nats_query_options *query = options->query;
    check_servers(options->connection, mistakes);
    check_credentials(options->connection, mistakes);
    check_name("stream", query->stream, mistakes);
    check_name("consumer", query->consumer, mistakes);
    check_name("domain", query->domain, mistakes);
    check_api_prefix(query->api_prefix, mistakes);
    if (query->domain != NULL && query->api_prefix != NULL)
        error_add(mistakes, "domain excludes apiPrefix: set one of them");
}
