#include "client.h"

#include "arm.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "credentials.h"
#include "interrupter.h"
#include "monitoring.h"
#include "options.h"
#include "shared/tls_key.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* A measurement finds a dead server by itself; this is for the time between. Not shorter: the
     * answer waits behind thousands of our requests, 1.5 s where the server is busy. */
    PING_INTERVAL_MS = 2000,
    MOST_PINGS_OUT = 2,

    /* Without one, a publish to a stopped server blocks 12 s once the socket's buffer is full. */
    WRITE_DEADLINE_MS = 500,

    LEAST_CONNECT_MS = 10,
};

static void destroy_options(natsOptions **options)
{
    natsOptions_Destroy(*options);
}

static char *show_servers(const struct option_list *servers)
{
    struct text shown = {0};
    for (size_t i = 0; i < servers->count; i++) {
        const char *address = nats_server_address(servers->items[i]);
        text_addf(&shown, "%s%s", i == 0 ? "" : ", ", address == NULL ? "?" : address);
    }
    return text_take(&shown);
}

static bool fail(const char *servers, const char *words, const char *advice, struct error *error)
{
    return error_unavailable(error, "NATS at %s: %s%s", servers, words, advice);
}

static const char *advice_to_connect(natsStatus status)
{
    switch (status) {
    case NATS_NO_SERVER:
        return ": nothing listens there, the name is unknown, or no answer came";
    case NATS_TIMEOUT:
        return ": the server does not answer in time";
    case NATS_CONNECTION_AUTH_FAILED:
        return ": check user and password, token, credentials or nkeySeed";
    case NATS_SECURE_CONNECTION_WANTED:
        return ": the server has no TLS, so tls: enable cannot be had";
    case NATS_SSL_ERROR:
        return ": check ca, cert and key, and whether the server answers";
    case NATS_PROTOCOL_ERROR:
        return ": is that a port for NATS clients? It may want a client certificate, too (cert and "
               "key)";
    case NATS_CONNECTION_CLOSED:
        return ": the server hung up; it may want a client certificate (cert and key)";
    default:
        return "";
    }
}

/* nats.c keeps the words of the calling thread's last error; those of connecting hold no secret, as
 * nats_options_check() has seen the addresses. */
static bool fail_to_connect(const char *servers, natsStatus status, struct error *error)
{
    natsStatus last = NATS_OK;
    const char *words = nats_GetLastError(&last);
    if (words == NULL || words[0] == '\0' || last != status)
        words = natsStatus_GetText(status);
    /* "(conn.c:2088): No server available" */
    const char *place_end = words[0] == '(' ? strstr(words, "): ") : NULL;
    return fail(servers, place_end == NULL ? words : place_end + strlen("): "),
                advice_to_connect(status), error);
}

bool nats_client_broken(const struct nats_client *client, natsStatus status, struct error *error)
{
    const char *words = NULL;
    natsStatus last = natsConnection_GetLastError(client->connection, &words);
    /* A refused subject breaks nothing, so it does not explain a broken connection. */
    if (last == NATS_OK || last == NATS_NOT_PERMITTED) {
        last = status;
        words = NULL;
    }
    if (words == NULL || words[0] == '\0')
        words = natsStatus_GetText(last);
    bool silent = last == NATS_STALE_CONNECTION || last == NATS_TIMEOUT;
    return fail(client->servers, words, silent ? ": the server does not answer in time" : "",
                error);
}

static bool wants_tls(const struct nats_connection_options *from)
{
    if (from->tls.enable)
        return true;
    for (size_t i = 0; i < from->servers.count; i++)
        if (text_starts_with(from->servers.items[i], "tls://"))
            return true;
    return false;
}

static natsStatus set_tls(natsOptions *options, const struct nats_connection_options *from)
{
    natsStatus status = NATS_OK;
    if (wants_tls(from))
        status = natsOptions_SetSecure(options, true);
    if (status == NATS_OK && from->tls.ca != NULL)
        status = natsOptions_SetCATrustedCertificates(options, from->tls.ca);
    if (status == NATS_OK && from->tls.unsafe)
        status = natsOptions_SkipServerVerification(options, true);
    return status;
}

/* nats.c takes no encrypted key. */
static bool set_certificate(natsOptions *options, const struct nats_connection_options *from,
                            struct error *error)
{
    if (from->tls.cert == NULL)
        return true;
    _cleanup_(tls_key_wipe) char *key = tls_key_plain(&from->tls, error);
    if (key == NULL)
        return false;
    natsStatus status = natsOptions_SetCertificatesChain(options, from->tls.cert, key);
    return status == NATS_OK ||
           error_invalid(error, "cert and key must be a PEM certificate and its key: %s",
                         natsStatus_GetText(status));
}

static natsStatus set_credentials(natsOptions *options, const struct nats_connection_options *from)
{
    if (from->user != NULL)
        return natsOptions_SetUserInfo(options, from->user, from->password);
    if (from->token != NULL)
        return natsOptions_SetToken(options, from->token);
    if (from->credentials != NULL)
        return nats_credentials_set(options, from->credentials);
    if (from->nkey_seed != NULL)
        return nats_nkey_set(options, from->nkey_seed);
    return NATS_OK;
}

/* The servers are tried one after the other, each for `timeout_ms`: those that the user named, and
 * not those that a server tells of, or the time would have no bound. */
static natsStatus set_servers(natsOptions *options, const struct option_list *servers,
                              int64_t timeout_ms)
{
    natsStatus status = natsOptions_SetServers(options, servers->items, (int)servers->count);
    if (status == NATS_OK)
        status = natsOptions_SetIgnoreDiscoveredServers(options, true);
    if (status == NATS_OK)
        status = natsOptions_SetTimeout(options, timeout_ms);
    return status;
}

static natsStatus set_manners(natsOptions *options)
{
    natsStatus status = natsOptions_SetName(options, "backlog");
    if (status == NATS_OK)
        status = natsOptions_SetAllowReconnect(options, false);
    if (status == NATS_OK)
        status = natsOptions_SetPingInterval(options, PING_INTERVAL_MS);
    if (status == NATS_OK)
        status = natsOptions_SetMaxPingsOut(options, MOST_PINGS_OUT);
    if (status == NATS_OK)
        status = natsOptions_SetWriteDeadline(options, WRITE_DEADLINE_MS);
    if (status == NATS_OK)
        status = natsOptions_SetSendAsap(options, true);
    if (status == NATS_OK) /* or each subscription that is to wake has a thread */
        status = natsOptions_UseGlobalMessageDelivery(options, true);
    return status;
}

static natsStatus fill_options(natsOptions *options, const struct nats_connection_options *from,
                               int64_t timeout_ms)
{
    natsStatus status = set_servers(options, &from->servers, timeout_ms);
    if (status == NATS_OK)
        status = set_credentials(options, from);
    if (status == NATS_OK)
        status = set_tls(options, from);
    if (status == NATS_OK)
        status = set_manners(options);
    return status;
}

static bool open_connection(struct nats_client *client, const struct nats_connection_options *from,
                            int64_t deadline_ms, struct error *error)
{
    /* One share of the time is left for the inbox. */
    int64_t servers = (int64_t)from->servers.count;
    int64_t share_ms = clock_left_ms(deadline_ms, INT_MAX) / (servers + 1);
    if (share_ms < LEAST_CONNECT_MS)
        share_ms = LEAST_CONNECT_MS;

    _cleanup_(destroy_options) natsOptions *options = NULL;
    natsStatus status = natsOptions_Create(&options);
    if (status == NATS_OK)
        status = fill_options(options, from, share_ms);
    if (status != NATS_OK)
        return fail_to_connect(client->servers, status, error);
    if (!set_certificate(options, from, error))
        return false;

    struct interrupter interrupter;
    int64_t end_ms = clock_now_ms() + share_ms * servers;
    if (!interrupter_start(&interrupter, end_ms, error))
        return false;
    status = natsConnection_Connect(&client->connection, options);
    interrupter_stop(&interrupter);
    if (status != NATS_OK && clock_now_ms() >= end_ms)
        status = NATS_TIMEOUT; /* to nats.c, an interrupted poll() */
    return status == NATS_OK || fail_to_connect(client->servers, status, error);
}

static natsStatus try_inbox(struct nats_client *client, int64_t deadline_ms)
{
    natsInbox *inbox = NULL;
    natsSubscription *answers = NULL;
    natsStatus status = natsInbox_Create(&inbox);
    if (status == NATS_OK)
        status = natsConnection_SubscribeSync(&answers, client->connection, inbox);
    if (status == NATS_OK)
        status = natsConnection_FlushTimeout(
            client->connection, clock_left_ms(deadline_ms, INT_MAX) + LEAST_CONNECT_MS);
    natsSubscription_Destroy(answers);
    natsInbox_Destroy(inbox);
    return status;
}

/* A user who may not hear answers would leave every probe overdue, without a word why. The server's
 * refusal comes before its answer to the flush. */
static bool check_inbox(struct nats_client *client, int64_t deadline_ms, struct error *error)
{
    natsStatus status = try_inbox(client, deadline_ms);
    if (status != NATS_OK)
        return nats_client_broken(client, status, error);

    const char *words = NULL;
    if (natsConnection_GetLastError(client->connection, &words) == NATS_NOT_PERMITTED)
        return error_unavailable(
            error, "NATS at %s: %s: the user must be allowed to subscribe to _INBOX.>",
            client->servers, words);
    return true;
}

bool nats_client_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                         struct error *error)
{
    const struct nats_connection_options *from = connection_options;
    struct nats_client *client = memory_new(sizeof(*client));
    client->options = from;
    client->servers = show_servers(&from->servers);

    bool good = from->monitoring_endpoint != NULL
                    ? nats_monitoring_connect(from, deadline_ms, &client->monitoring, error)
                    : open_connection(client, from, deadline_ms, error) &&
                          check_inbox(client, deadline_ms, error);
    if (!good) {
        nats_client_disconnect(client);
        return false;
    }
    *ret_client = client;
    return true;
}

void nats_client_disconnect(void *client_)
{
    struct nats_client *client = client_;
    nats_arm_free(client);
    natsConnection_Destroy(client->connection);
    if (client->monitoring != NULL)
        nats_monitoring_disconnect(client->monitoring);
    free(client->servers);
    free(client);
}
