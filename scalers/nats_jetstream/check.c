#include "nats_jetstream/check.h"

#include "base/memory.h"
#include "base/text.h"
#include "kit/http_url.h"
#include "nats_jetstream/credentials.h"
#include "nats_jetstream/nkey.h"
#include "nats_jetstream/options.h"
#include "shared/address.h"

#include <ctype.h>
#include <string.h>

enum {
    MAX_SERVERS = 16,   /* each is given its share of the time to connect */
    LONGEST_NAME = 255, /* the server's own limit for streams and consumers */
};

/* nats.c decodes user and password, and names what it cannot decode in its error. */
static bool has_wrong_encoding(const char *server)
{
    const char *user_end = strrchr(server, '@');
    for (const char *at = server; user_end != NULL && at < user_end; at++)
        if (*at == '%' && (!isxdigit((unsigned char)at[1]) || !isxdigit((unsigned char)at[2])))
            return true;
    return false;
}

static void check_servers(const struct nats_connection_options *connection, struct error *mistakes)
{
    /* The value may hold a password: the error has its number, and never its text. */
    for (size_t i = 0; i < connection->servers.count; i++)
        if (nats_server_address(connection->servers.items[i]) == NULL)
            error_add(mistakes,
                      "servers: number %zu is not nats://host:port, tls://host:port or host:port, "
                      "with an IPv6 address in brackets: [fd00::1]:4222",
                      i + 1);
        else if (has_wrong_encoding(connection->servers.items[i]))
            error_add(mistakes,
                      "servers: number %zu has a %% in user or password without two hex digits: "
                      "set the keys user and password, or write %% as %%25",
                      i + 1);
    if (connection->servers.count > MAX_SERVERS)
        error_add(mistakes, "servers has %zu addresses: at most %d are allowed, a few are enough",
                  connection->servers.count, MAX_SERVERS);
}

static void check_credentials_file(const char *credentials, struct error *mistakes)
{
    _cleanup_(memory_free) char *jwt = nats_credentials_jwt(credentials);
    _cleanup_(memory_free) char *seed = nats_credentials_seed(credentials);
    if (jwt == NULL || seed == NULL)
        error_add(mistakes, "credentials is not the content of a .creds file: it has no %s",
                  jwt == NULL ? "NATS USER JWT" : "USER NKEY SEED");
}

static void check_user(const struct nats_connection_options *connection, struct error *mistakes)
{
    if ((connection->user == NULL) != (connection->password == NULL))
        error_add(mistakes, "user and password belong together: %s is missing",
                  connection->user == NULL ? "user" : "password");
}

/* One kind at most; and what is given must be what it is taken for. */
static void check_credentials(const struct nats_connection_options *connection,
                              struct error *mistakes)
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
            error_add(mistakes, "%s excludes %s: set one kind", first, kinds[i].key);

    char public[NATS_NKEY_BYTES];
    if (connection->credentials != NULL)
        check_credentials_file(connection->credentials, mistakes);
    if (connection->nkey_seed != NULL && !nats_nkey_public(connection->nkey_seed, public))
        error_add(mistakes,
                  "nkeySeed is not the seed of a NATS user: it has 58 characters, and begins "
                  "with SU");
}

/* What belongs to one of the two ways is a mistake with the other. */
static void check_monitoring(const struct nats_connection_options *connection,
                             struct error *mistakes)
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
            error_add(mistakes,
                      "%s needs servers: of natsServerMonitoringEndpoint there are useHttps, "
                      "user and password",
                      client_keys[i].key);
    if (connection->account == NULL && connection->account_id == NULL)
        error_add(mistakes, "natsServerMonitoringEndpoint needs account: $G where there are none");

    _cleanup_(memory_free) char *url = nats_monitoring_url(connection);
    _cleanup_(http_url_done) struct http_url address = {0};
    if (strstr(connection->monitoring_endpoint, "://") != NULL || !http_url_parse(url, &address))
        error_add(mistakes,
                  "natsServerMonitoringEndpoint must be host:port, such as nats.nats:8222 "
                  "or [fd00::1]:8222");
}

static void check_client(const struct nats_connection_options *connection, struct error *mistakes)
{
    if (connection->account != NULL || connection->account_id != NULL)
        error_add(mistakes,
                  "%s needs natsServerMonitoringEndpoint: with servers the credentials decide "
                  "the account",
                  connection->account != NULL ? "account" : "accountID");
    if (connection->use_https)
        error_add(mistakes, "useHttps needs natsServerMonitoringEndpoint: with servers set tls");
    check_servers(connection, mistakes);
    check_credentials(connection, mistakes);
}

void nats_check_connection(const void *connection_options, struct error *mistakes)
{
    const struct nats_connection_options *connection = connection_options;
    bool monitored = connection->monitoring_endpoint != NULL;
    if (monitored && connection->servers.count > 0)
        error_add(mistakes,
                  "servers excludes natsServerMonitoringEndpoint: leave that, account and "
                  "useHttps out");
    else if (monitored)
        check_monitoring(connection, mistakes);
    else if (connection->servers.count > 0)
        check_client(connection, mistakes);
    else
        error_add(mistakes, "servers is missing: set it to nats://host:4222, or set "
                            "natsServerMonitoringEndpoint and account as for KEDA");
    check_user(connection, mistakes);
    tls_options_check(&connection->tls, mistakes);
}

/* One token of a subject: a dot, a wildcard or white space would request something else. */
static void check_name(const char *key, const char *name, struct error *mistakes)
{
    if (name == NULL || name[0] == '\0')
        return;
    if (strlen(name) > LONGEST_NAME) {
        error_add(mistakes, "%s has %zu bytes: a name in NATS has at most %d", key, strlen(name),
                  LONGEST_NAME);
        return;
    }
    for (const char *at = name; *at != '\0'; at++)
        if (strchr(".*>", *at) != NULL || isspace((unsigned char)*at) ||
            iscntrl((unsigned char)*at)) {
            error_add(mistakes, "%s is not a name in NATS: no dots, white space, * or >", key);
            return;
        }
}

/* A subject without wildcards: tokens between dots. */
static void check_api_prefix(const char *prefix, struct error *mistakes)
{
    if (prefix == NULL)
        return;
    size_t length = strlen(prefix);
    bool good = length <= LONGEST_NAME && prefix[0] != '.' && prefix[length - 1] != '.' &&
                strstr(prefix, "..") == NULL;
    for (size_t i = 0; good && i < length; i++)
        good = isgraph((unsigned char)prefix[i]) && strchr("*>", prefix[i]) == NULL;
    if (!good)
        error_add(mistakes,
                  "apiPrefix is not a subject: tokens between dots, as JS.orders.API, without "
                  "white space, * or >, and at most %d bytes",
                  LONGEST_NAME);
}

static void check_query(const struct nats_query *query, bool monitored, struct error *mistakes)
{
    check_name("stream", query->stream, mistakes);
    check_name("consumer", query->consumer, mistakes);
    check_name("domain", query->domain, mistakes);
    check_api_prefix(query->api_prefix, mistakes);
    if (query->domain != NULL && query->api_prefix != NULL)
        error_add(mistakes, "domain excludes apiPrefix: set one of them");
    if (monitored && (query->domain != NULL || query->api_prefix != NULL))
        error_add(mistakes, "%s needs servers: a monitoring port reports only its own server",
                  query->domain != NULL ? "domain" : "apiPrefix");
}

void nats_check_trigger(const struct options *options, struct error *mistakes)
{
    const struct nats_connection_options *connection = options->connection;
    check_query(options->query, connection->monitoring_endpoint != NULL, mistakes);
}
