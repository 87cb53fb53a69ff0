#include "nats_jetstream/options.h"

#include "base/text.h"
#include "shared/address.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define CONNECTION(field)                                                                          \
    .scope = OPTION_CONNECTION, OPTION_FIELD(struct nats_connection_options, field)
#define QUERY(field) .scope = OPTION_QUERY, OPTION_FIELD(struct nats_query, field)
#define TARGET(field) .scope = OPTION_TARGET, OPTION_FIELD(struct nats_target, field)
#define TEXT(field) CONNECTION(field), .type = OPTION_STRING
#define SECRET(field) TEXT(field), .flags = OPTION_SECRET

const struct option nats_options[] = {
    {.key = "servers",
     CONNECTION(servers),
     .type = OPTION_LIST,
     .flags = OPTION_URL | OPTION_HOST,
     .keda = OPTION_KEDA_NOWHERE,
     .doc = "client addresses of one or more nodes, as nats://host:4222, tls://host or host:port; "
            "takes the place of natsServerMonitoringEndpoint and account"},
    {.key = "user",
     TEXT(user),
     .flags = OPTION_CREDENTIAL | OPTION_USER,
     .keda = OPTION_KEDA_NOWHERE,
     .doc = "the user; needs password. The keys override a user in servers"},
    {.key = "password",
     SECRET(password),
     .keda = OPTION_KEDA_NOWHERE,
     .doc = "the user's password"},
    {.key = "token",
     SECRET(token),
     .keda = OPTION_KEDA_NOWHERE,
     .doc = "a token instead of user and password"},
    {.key = "credentials",
     SECRET(credentials),
     .keda = OPTION_KEDA_NOWHERE,
     .doc = "the content of a .creds file: a user's JWT and the seed of its key"},
    {.key = "nkeySeed",
     SECRET(nkey_seed),
     .keda = OPTION_KEDA_NOWHERE,
     .doc = "the seed of a user's NKey, which begins with SU"},
    TLS_OPTIONS(offsetof(struct nats_connection_options, tls), OPTION_KEDA_NOWHERE),
    {.key = "natsServerMonitoringEndpoint",
     TEXT(monitoring_endpoint),
     .flags = OPTION_URL | OPTION_HOST,
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_AUTHENTICATION | OPTION_KEDA_REQUIRED,
     .doc = "instead of servers, as in KEDA: host:port of a monitoring port; needs account. Other "
            "nodes of its cluster are asked, too, at the same port, unless there is a user"},
    {.key = "account",
     TEXT(account),
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_AUTHENTICATION,
     .doc = "with natsServerMonitoringEndpoint: the account's name, $G where there are none"},
    {.key = "accountID",
     TEXT(account_id),
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_AUTHENTICATION,
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
     .keda = OPTION_KEDA_NOWHERE,
     .doc = "the JetStream domain that has the stream, where it is not the server's own"},
    {.key = "apiPrefix",
     QUERY(api_prefix),
     .type = OPTION_STRING,
     .keda = OPTION_KEDA_NOWHERE,
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

char *nats_monitoring_url(const struct nats_connection_options *connection)
{
    return text_format("%s://%s", connection->use_https ? "https" : "http",
                       connection->monitoring_endpoint);
}

void nats_add_api(struct text *subject, const struct nats_query *query)
{
    if (query->api_prefix != NULL)
        text_add(subject, query->api_prefix);
    else if (query->domain != NULL)
        text_addf(subject, "$JS.%s.API", query->domain);
    else
        text_add(subject, "$JS.API");
}
