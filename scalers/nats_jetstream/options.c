#include "nats_jetstream/options.h"

#include "base/memory.h"
#include "base/text.h"
#include "nats_jetstream/credentials.h"
#include "nats_jetstream/nkey.h"
#include "shared/address.h"
#include "shared/http_address.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_SERVERS = 16,   /* each is given its share of the time to connect */
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
     .flags = OPTION_URL | OPTION_HOST,
     .doc = "client addresses of one or more nodes, as nats://host:4222, tls://host or host:port; "
            "takes the place of natsServerMonitoringEndpoint and account"},
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
    {.key = "nkeySeed",
     CONNECTION(nkey_seed),
     .type = OPTION_STRING,
     .flags = OPTION_SECRET,
     .doc = "the seed of a user's NKey, which begins with SU"},
    TLS_OPTIONS(offsetof(struct nats_connection_options, tls)),
    {.key = "natsServerMonitoringEndpoint",
     CONNECTION(monitoring_endpoint),
     .type = OPTION_STRING,
     .flags = OPTION_URL | OPTION_HOST,
     .doc = "instead of servers, as in KEDA: host:port of a monitoring port; needs account. In a "
            "cluster only the node that leads the consumer knows its counts, so set servers there"},
    {.key = "account",
     CONNECTION(account),
     .type = OPTION_STRING,
     .doc = "with natsServerMonitoringEndpoint: the account's name, $G where there are none"},
    {.key = "accountID",
     CONNECTION(account_id),
     .type = OPTION_STRING,
     .doc = "with natsServerMonitoringEndpoint: the account's id, where it is not its name"},
    {.key = "useHttps",
     CONNECTION(use_https),
     .type = OPTION_BOOL,
     .flags = OPTION_PEER,
     .default_value = "false",
     .doc = "with natsServerMonitoringEndpoint: its port uses TLS"},

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
     .flags = OPTION_THRESHOLD,
     .default_value = "10",
     .limits = {1, INFINITY},
     .doc = "messages per replica: pending, and delivered but not yet acknowledged"},
    {.key = "activationLagThreshold",
     TARGET(activation_lag_threshold),
     .type = OPTION_INT,
     .default_value = "0",
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
    return address_is_host(address, (size_t)(colon - address)) &&
                   address_is_port(colon + 1, strlen(colon + 1))
               ? address
               : NULL;
}

static void check_servers(const struct nats_connection_options *connection, struct error *error)
{
    /* The value may hold a password: the error has its number, and never its text. */
    for (size_t i = 0; i < connection->servers.count; i++)
        if (nats_server_address(connection->servers.items[i]) == NULL)
            error_add(error,
                      "servers: number %zu is not nats://host:port, tls://host:port or host:port",
                      i + 1);
    if (connection->servers.count > MAX_SERVERS)
        error_add(error, "servers has %zu addresses: at most %d are allowed, a few are enough",
                  connection->servers.count, MAX_SERVERS);
}

static void check_credentials_file(const char *credentials, struct error *error)
{
    _cleanup_(memory_free) char *jwt = nats_credentials_jwt(credentials);
    _cleanup_(memory_free) char *seed = nats_credentials_seed(credentials);
    if (jwt == NULL || seed == NULL)
        error_add(error, "credentials is not the content of a .creds file: it has no %s",
                  jwt == NULL ? "NATS USER JWT" : "USER NKEY SEED");
}

static void check_user(const struct nats_connection_options *connection, struct error *error)
{
    if ((connection->user == NULL) != (connection->password == NULL))
        error_add(error, "user and password belong together: %s is missing",
                  connection->user == NULL ? "user" : "password");
}

/* One kind at most; and what is given must be what it is taken for. */
static void check_credentials(const struct nats_connection_options *connection, struct error *error)
{
    const struct {
        const char *key;
        const char *value;
    } kinds[] = {{"credentials", connection->credentials},
                 {"nkeySeed", connection->nkey_seed},
                 {"token", connection->token},
                 {"user", connection->user}};
    const char *first = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
        if (kinds[i].value != NULL && first == NULL)
            first = kinds[i].key;
        else if (kinds[i].value != NULL)
            error_add(error, "%s excludes %s: set one kind", first, kinds[i].key);

    char public[NATS_NKEY_BYTES];
    if (connection->credentials != NULL)
        check_credentials_file(connection->credentials, error);
    if (connection->nkey_seed != NULL && !nats_nkey_public(connection->nkey_seed, public))
        error_add(error,
                  "nkeySeed is not the seed of a NATS user: it has 58 characters, and begins "
                  "with SU");
}

char *nats_monitoring_url(const struct nats_connection_options *connection)
{
    return text_format("%s://%s", connection->use_https ? "https" : "http",
                       connection->monitoring_endpoint);
}

/* What belongs to one of the two ways is a mistake with the other. */
static void check_monitoring(const struct nats_connection_options *connection, struct error *error)
{
    const struct {
        const char *key;
        bool given;
    } client_keys[] = {
        {"token", connection->token != NULL},
        {"credentials", connection->credentials != NULL},
        {"nkeySeed", connection->nkey_seed != NULL},
        {"tls", connection->tls.enable != 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(client_keys); i++)
        if (client_keys[i].given)
            error_add(error,
                      "%s needs servers: of natsServerMonitoringEndpoint there are useHttps, "
                      "user and password",
                      client_keys[i].key);
    if (connection->account == NULL && connection->account_id == NULL)
        error_add(error, "natsServerMonitoringEndpoint needs account: $G where there are none");

    _cleanup_(memory_free) char *url = nats_monitoring_url(connection);
    _cleanup_(http_address_done) struct http_address address = {0};
    if (strstr(connection->monitoring_endpoint, "://") != NULL ||
        !http_address_parse(url, &address))
        error_add(error, "natsServerMonitoringEndpoint must be host:port, such as nats.nats:8222");
}

static void check_client(const struct nats_connection_options *connection, struct error *error)
{
    if (connection->account != NULL || connection->account_id != NULL)
        error_add(error,
                  "%s needs natsServerMonitoringEndpoint: with servers the credentials decide "
                  "the account",
                  connection->account != NULL ? "account" : "accountID");
    if (connection->use_https)
        error_add(error, "useHttps needs natsServerMonitoringEndpoint: with servers set tls");
    check_servers(connection, error);
    check_credentials(connection, error);
}

void nats_connection_check(const void *connection_options, struct error *error)
{
    const struct nats_connection_options *connection = connection_options;
    bool monitored = connection->monitoring_endpoint != NULL;
    if (monitored && connection->servers.count > 0)
        error_add(error, "servers excludes natsServerMonitoringEndpoint: leave that, account and "
                         "useHttps out");
    else if (monitored)
        check_monitoring(connection, error);
    else if (connection->servers.count > 0)
        check_client(connection, error);
    else
        error_add(error, "servers is missing: set it to nats://host:4222, or set "
                         "natsServerMonitoringEndpoint and account as for KEDA");
    check_user(connection, error);
    tls_options_check(&connection->tls, error);
}

/* One token of a subject: a dot, a wildcard or white space would request something else. */
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

static void check_query(const struct nats_query_options *query, bool monitored, struct error *error)
{
    check_name("stream", query->stream, error);
    check_name("consumer", query->consumer, error);
    check_name("domain", query->domain, error);
    check_api_prefix(query->api_prefix, error);
    if (query->domain != NULL && query->api_prefix != NULL)
        error_add(error, "domain excludes apiPrefix: set one of them");
    if (monitored && (query->domain != NULL || query->api_prefix != NULL))
        error_add(error, "%s needs servers: a monitoring port reports only its own server",
                  query->domain != NULL ? "domain" : "apiPrefix");
}

void nats_options_check(const struct options *options, struct error *mistakes)
{
    const struct nats_connection_options *connection = options->connection;
    check_query(options->query, connection->monitoring_endpoint != NULL, mistakes);
}

void nats_add_api(struct text *subject, const struct nats_query_options *query)
{
    if (query->api_prefix != NULL)
        text_add(subject, query->api_prefix);
    else if (query->domain != NULL)
        text_addf(subject, "$JS.%s.API", query->domain);
    else
        text_add(subject, "$JS.API");
}
