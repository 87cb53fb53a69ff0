#include "nats_jetstream/client/connection.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/system/memory_file.h"
#include "base/text.h"
#include "nats_jetstream/client/interrupter.h"
#include "nats_jetstream/credentials.h"
#include "shared/address.h"
#include "shared/tls.h"
#include "shared/tls_file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

enum {
    /* Measuring finds a dead server by itself; this is for the time between. Not shorter: the
     * reply waits behind thousands of our requests, 1.5 s where the server is busy. */
    PING_INTERVAL_MS = 2000,
    MAX_PINGS_OUT = 2,

    /* Without one, a publish to a stopped server blocks 12 s once the socket's buffer is full. */
    WRITE_DEADLINE_MS = 500,

    MIN_CONNECT_MS = 10,
    MAX_INBOX_MS = 500, /* of the time to connect */

    MIN_PING_MS = 50, /* and this many round trips: */
    PING_ROUND_TRIPS = 3,
    MAX_PING_MS = 500,
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
        return ": no answer in time";
    case NATS_CONNECTION_AUTH_FAILED:
        return ": check user and password, token, credentials or nkeySeed";
    case NATS_SECURE_CONNECTION_WANTED:
        return ": the server has no TLS, so tls: enable cannot be had";
    case NATS_SSL_ERROR:
        return TLS_UNVERIFIED "; check cert and key, too, and whether the server answers";
    case NATS_PROTOCOL_ERROR:
        return ": is that a port for NATS clients? It may require a client certificate, too (cert "
               "and "
               "key)";
    case NATS_CONNECTION_CLOSED:
        return ": the server hung up; it may require a client certificate (cert and key)";
    default:
        return "";
    }
}

/* nats.c keeps the words of the calling thread's last error; those of connecting hold no secret, as
 * nats_check_connection() has seen the addresses, and that user and password can be decoded. */
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

bool nats_client_connection_broken(const struct nats_client_connection *connection,
                                   natsStatus status, struct error *error)
{
    const char *words = NULL;
    natsStatus last = natsConnection_GetLastError(connection->handle, &words);
    /* A refused subject breaks nothing, so it does not explain a broken connection. */
    if (last == NATS_OK || last == NATS_NOT_PERMITTED) {
        last = status;
        words = NULL;
    }
    if (words == NULL || words[0] == '\0')
        words = natsStatus_GetText(last);
    bool is_silent = last == NATS_STALE_CONNECTION || last == NATS_TIMEOUT;
    return fail(connection->servers, words, is_silent ? ": no answer in time" : "", error);
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
    if (status == NATS_OK && from->tls.unsafe)
        status = natsOptions_SkipServerVerification(options, true);
    return status;
}

/* nats.c has no words for it: its error ends in "(null)". */
static bool set_authorities(natsOptions *options, const struct nats_connection_options *from,
                            struct error *error)
{
    if (from->tls.ca == NULL)
        return true;
    tls_need_no_root();
    return natsOptions_SetCATrustedCertificates(options, from->tls.ca) == NATS_OK ||
           error_invalid(error, "ca must hold PEM certificates: it has none, or a broken one");
}

/* nats.c takes no encrypted key, and shows a certificate that is a text without its chain. */
static bool set_certificate(natsOptions *options, const struct nats_connection_options *from,
                            struct error *error)
{
    if (from->tls.cert == NULL)
        return true;
    int file = tls_file_open(&from->tls, error);
    if (file < 0)
        return false;
    _cleanup_(memory_free) char *path = memory_file_path(file);
    natsStatus status = natsOptions_LoadCertificatesChain(options, path, path);
    close(file);
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

static char *without_user(const char *server)
{
    const char *scheme = text_starts_with(server, "tls://") ? "tls" : "nats";
    return text_format("%s://%s", scheme, nats_server_address(server));
}

static bool has_credentials(const struct nats_connection_options *from)
{
    return from->user != NULL || from->token != NULL || from->credentials != NULL ||
           from->nkey_seed != NULL;
}

/* The keys override the user of an address, which nats.c prefers to that of its options. Whether a
 * certificate will be verified, whose name has no dot at its end, only the server's INFO says. */
static natsStatus set_addresses(natsOptions *options, const struct nats_connection_options *from)
{
    const struct option_list *servers = &from->servers;
    char **addresses = memory_array(servers->count, sizeof(*addresses));
    for (size_t i = 0; i < servers->count; i++) {
        _cleanup_(memory_free) char *address =
            has_credentials(from) ? without_user(servers->items[i]) : text_copy(servers->items[i]);
        addresses[i] = address_without_dot(address);
    }
    natsStatus status =
        natsOptions_SetServers(options, (const char **)addresses, (int)servers->count);
    for (size_t i = 0; i < servers->count; i++)
        free(addresses[i]);
    free(addresses);
    return status;
}

/* The servers are tried one after the other, each for `timeout_ms`: those that the user named, and
 * not those that a server announces, or the time would have no bound. */
static natsStatus set_servers(natsOptions *options, const struct nats_connection_options *from,
                              int64_t timeout_ms)
{
    natsStatus status = set_addresses(options, from);
    if (status == NATS_OK)
        status = natsOptions_SetIgnoreDiscoveredServers(options, true);
    if (status == NATS_OK)
        status = natsOptions_SetTimeout(options, timeout_ms);
    if (status ==
        NATS_OK) /* IPv4 and IPv6 in one lookup: of two, each may lose a packet, and a second */
        status = natsOptions_IPResolutionOrder(options, 0);
    return status;
}

static natsStatus set_behavior(natsOptions *options)
{
    natsStatus status = natsOptions_SetName(options, "backlog");
    if (status == NATS_OK)
        status = natsOptions_SetAllowReconnect(options, false);
    if (status == NATS_OK)
        status = natsOptions_SetPingInterval(options, PING_INTERVAL_MS);
    if (status == NATS_OK)
        status = natsOptions_SetMaxPingsOut(options, MAX_PINGS_OUT);
    if (status == NATS_OK)
        status = natsOptions_SetWriteDeadline(options, WRITE_DEADLINE_MS);
    if (status == NATS_OK)
        status = natsOptions_SetSendAsap(options, true);
    if (status == NATS_OK) /* or each subscription has a thread */
        status = natsOptions_UseGlobalMessageDelivery(options, true);
    return status;
}

static natsStatus fill_options(natsOptions *options, const struct nats_connection_options *from,
                               int64_t timeout_ms)
{
    natsStatus status = set_servers(options, from, timeout_ms);
    if (status == NATS_OK)
        status = set_credentials(options, from);
    if (status == NATS_OK)
        status = set_tls(options, from);
    if (status == NATS_OK)
        status = set_behavior(options);
    return status;
}

static natsStatus fill_all(natsOptions *options, const struct nats_connection_options *from,
                           int64_t timeout_ms, struct nats_events *events)
{
    natsStatus status = fill_options(options, from, timeout_ms);
    return status == NATS_OK ? nats_events_of_options(events, options) : status;
}

static bool connect_within(struct nats_client_connection *connection, natsOptions *options,
                           int64_t end_ms, struct error *error)
{
    struct nats_interrupter interrupter;
    if (!nats_interrupter_start(&interrupter, end_ms, error)) {
        nats_events_ignore_options(connection->events);
        return false;
    }
    natsStatus status = natsConnection_Connect(&connection->handle, options);
    nats_interrupter_stop(&interrupter);
    if (status == NATS_OK)
        return true;
    nats_events_ignore_options(connection->events);
    if (clock_now_ms() >= end_ms)
        status = NATS_TIMEOUT; /* to nats.c, an interrupted poll() */
    return fail_to_connect(connection->servers, status, error);
}

static bool open_handle(struct nats_client_connection *connection,
                        const struct nats_connection_options *from, int64_t deadline_ms,
                        struct error *error)
{
    /* A little is left for the inbox. A lost packet of a DNS lookup takes a second of the rest. */
    int64_t servers = (int64_t)from->servers.count;
    int64_t left_ms = clock_left_ms(deadline_ms, INT_MAX);
    int64_t inbox_ms = left_ms / (servers + 1);
    if (inbox_ms > MAX_INBOX_MS)
        inbox_ms = MAX_INBOX_MS;
    int64_t share_ms = (left_ms - inbox_ms) / servers;
    if (share_ms < MIN_CONNECT_MS)
        share_ms = MIN_CONNECT_MS;

    _cleanup_(destroy_options) natsOptions *options = NULL;
    natsStatus status = natsOptions_Create(&options);
    if (status == NATS_OK &&
        (!set_authorities(options, from, error) || !set_certificate(options, from, error)))
        return false;
    if (status == NATS_OK)
        status = fill_all(options, from, share_ms, connection->events);
    if (status != NATS_OK)
        return fail_to_connect(connection->servers, status, error);
    return connect_within(connection, options, clock_now_ms() + share_ms * servers, error);
}

static natsStatus open_inbox(struct nats_client_connection *connection, int64_t deadline_ms)
{
    natsStatus status = natsInbox_Create(&connection->inbox);
    if (status != NATS_OK)
        return status;
    _cleanup_(memory_free) char *subject = text_format("%s.*", connection->inbox);
    status = nats_events_subscribe(connection->events, connection->handle, subject,
                                   &connection->replies);
    int64_t start_ms = clock_now_ms();
    if (status == NATS_OK)
        status = natsConnection_FlushTimeout(connection->handle,
                                             clock_left_ms(deadline_ms, INT_MAX) + MIN_CONNECT_MS);
    connection->received_ms = clock_now_ms();
    connection->round_trip_ms = connection->received_ms - start_ms;
    return status;
}

/* A user who may not receive replies would leave every request unanswered, without a reason. The
 * server's refusal comes before its reply to the flush. */
static bool check_inbox(struct nats_client_connection *connection, int64_t deadline_ms,
                        struct error *error)
{
    natsStatus status = open_inbox(connection, deadline_ms);
    if (status != NATS_OK)
        return nats_client_connection_broken(connection, status, error);

    const char *words = NULL;
    if (natsConnection_GetLastError(connection->handle, &words) == NATS_NOT_PERMITTED)
        return error_unavailable(
            error, "NATS at %s: %s: the user must be allowed to subscribe to _INBOX.>",
            connection->servers, words);
    return true;
}

struct nats_client_connection *
nats_client_connection_open(const struct nats_connection_options *from, int64_t deadline_ms,
                            struct error *error)
{
    struct nats_client_connection *connection = memory_new(sizeof(*connection));
    connection->servers = show_servers(&from->servers);
    connection->next_due_ms = CLOCK_NEVER;
    connection->events = nats_events_new();
    if (connection->events == NULL)
        error_set(error, ERROR_INTERNAL, "no descriptor is left for a connection to NATS");
    else if (open_handle(connection, from, deadline_ms, error) &&
             check_inbox(connection, deadline_ms, error))
        return connection;
    nats_client_connection_close(connection);
    return NULL;
}

void nats_client_connection_abandon(struct nats_client_connection *connection)
{
    struct nats_request *request;
    struct nats_request *next;
    DL_FOREACH_SAFE(connection->requests, request, next)
        nats_request_free(request);
}

void nats_client_connection_close(struct nats_client_connection *connection)
{
    nats_client_connection_abandon(connection);
    natsSubscription_Destroy(connection->replies);
    natsInbox_Destroy(connection->inbox);
    natsConnection_Destroy(connection->handle);
    if (connection->events != NULL)
        nats_events_free(connection->events);
    free(connection->servers);
    free(connection);
}

natsStatus nats_client_connection_send(struct nats_client_connection *connection,
                                       const char *subject, uint64_t *ret_number)
{
    *ret_number = ++connection->last_number;
    _cleanup_(memory_free) char *reply =
        text_format("%s.%llu", connection->inbox, (unsigned long long)*ret_number);
    return natsConnection_PublishRequest(connection->handle, subject, reply, NULL, 0);
}

natsStatus nats_client_connection_send_task(struct nats_client_connection *connection,
                                            const char *subject, struct task *task)
{
    size_t bytes = strlen(subject) + 1;
    struct nats_request *request = memory_new(sizeof(*request) + bytes);
    memcpy(request->subject, subject, bytes);
    request->connection = connection;
    request->task = task;
    task->data = request;
    request->sent_ms = clock_now_ms();
    task->deadline_ms = request->sent_ms + task->timeout_ms;
    connection->next_due_ms = clock_earlier(connection->next_due_ms, task->deadline_ms);
    natsStatus status = nats_client_connection_send(connection, subject, &request->number);
    DL_APPEND(connection->requests, request);
    HASH_ADD(hh, connection->by_number, number, sizeof(request->number), request);
    return status;
}

void nats_request_free(struct nats_request *request)
{
    struct nats_client_connection *connection = request->connection;
    DL_DELETE(connection->requests, request);
    HASH_DELETE(hh, connection->by_number, request);
    free(request);
    if (connection->requests == NULL)
        connection->next_due_ms = CLOCK_NEVER;
}

struct nats_request *nats_client_connection_find(const struct nats_client_connection *connection,
                                                 uint64_t number)
{
    struct nats_request *found = NULL;
    HASH_FIND(hh, connection->by_number, &number, sizeof(number), found);
    return found;
}

uint64_t nats_client_connection_number(const struct nats_client_connection *connection,
                                       const natsMsg *message)
{
    const char *subject = natsMsg_GetSubject(message);
    size_t length = strlen(connection->inbox);
    char *end = NULL;
    if (strncmp(subject, connection->inbox, length) != 0 || subject[length] != '.')
        return 0; /* the server delivers what it likes */
    const char *token = subject + length + strlen(".");
    unsigned long long number = strtoull(token, &end, 10);
    return *end == '\0' ? number : 0;
}

natsStatus nats_client_connection_ping(struct nats_client_connection *connection, int64_t now_ms)
{
    int64_t wait_ms = MIN_PING_MS + PING_ROUND_TRIPS * connection->round_trip_ms;
    if (wait_ms > MAX_PING_MS)
        wait_ms = MAX_PING_MS;
    natsStatus status = natsConnection_FlushTimeout(connection->handle, wait_ms);
    if (status == NATS_OK)
        connection->received_ms = now_ms;
    return status;
}

int64_t nats_client_connection_silent_since_ms(const struct nats_client_connection *connection,
                                               const struct nats_request *oldest)
{
    int64_t sent_ms = oldest->sent_ms;
    return connection->received_ms > sent_ms ? connection->received_ms : sent_ms;
}

bool nats_client_connection_is_closed(const struct nats_client_connection *connection)
{
    return natsConnection_IsClosed(connection->handle);
}
