#include "postgresql/connect.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "postgresql/client.h"
#include "postgresql/options.h"
#include "postgresql/places.h"
#include "postgresql/results.h"
#include "shared/tls.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WATCHING_VERSION = 140000 };

/* Of many hosts, or one with a long name, errors name the beginning: they are cut behind it. */
enum { MAX_ADDRESS_BYTES = 160 };
static const char more[] = "...";

static bool wait_ready(const struct postgresql_session *session, int64_t deadline_ms)
{
    struct pollfd socket = {.fd = PQsocket(session->connection),
                            .events = postgresql_session_events(session)};
    int ready;
    do
        ready = poll(&socket, 1, clock_left_ms(deadline_ms, INT_MAX));
    while (ready < 0 && errno == EINTR);
    return ready > 0;
}

static void set_place(struct postgresql_client *client, char *host, char *hostaddr, char *port)
{
    free(client->host);
    free(client->hostaddr);
    free(client->port);
    client->host = host;
    client->hostaddr = hostaddr;
    client->port = port;
}

/* At the places that are left. The first of them is looked up here and not by libpq, which looks up
 * the others if it comes to them. */
static bool open_first(struct postgresql_client *client, struct postgresql_places *places,
                       int64_t deadline_ms, struct error *error)
{
    int code = postgresql_places_look_up(places, 0);
    if (code != 0 && clock_now_ms() >= deadline_ms) /* libpq would take as long again */
        return error_unavailable(error, "PostgreSQL at %s: cannot look up %.*s: %s",
                                 client->address,
                                 (int)text_cut(places->items[0].host, MAX_ADDRESS_BYTES),
                                 places->items[0].host, gai_strerror(code));
    char *hosts;
    char *addresses;
    char *ports;
    postgresql_places_show(places, &hosts, &addresses, &ports);
    set_place(client, hosts, addresses, ports);
    return postgresql_client_open(client, &client->sessions[0], error);
}

static bool open_again(struct postgresql_client *client, struct postgresql_places *places,
                       int64_t deadline_ms, struct error *error)
{
    postgresql_session_close(&client->sessions[0], 0);
    return open_first(client, places, deadline_ms, error);
}

/* The place that libpq is connecting to is silent. */
static bool open_at_others(struct postgresql_client *client, struct postgresql_places *places,
                           int64_t deadline_ms, struct error *error)
{
    postgresql_places_drop(places, client->sessions[0].connection);
    if (places->count == 0)
        return postgresql_client_silent(client, error);
    return open_again(client, places, deadline_ms, error);
}

static bool first_broken(const struct postgresql_client *client,
                         const struct postgresql_places *places, struct error *error)
{
    _cleanup_(error_done) struct error words = {0};
    postgresql_client_broken(client, &client->sessions[0], &words);
    return error_unavailable(error, "%s%s%s", error_text(&words),
                             places->silent.length == 0 ? "" : "; no answer in time from ",
                             places->silent.length == 0 ? "" : places->silent.bytes);
}

static bool finish_first(struct postgresql_client *client, struct postgresql_places *places,
                         int64_t deadline_ms, struct error *error)
{
    struct postgresql_session *session = &client->sessions[0];
    while (session->state != POSTGRESQL_READY) {
        if (PQstatus(session->connection) == CONNECTION_BAD || !postgresql_session_flush(session))
            return first_broken(client, places, error);
        bool is_connecting = session->state == POSTGRESQL_CONNECTING;
        int64_t until_ms =
            is_connecting ? postgresql_places_deadline(places, session->connection, deadline_ms)
                          : deadline_ms;
        if (is_connecting && postgresql_places_take_renamed(places)) {
            if (!open_again(client, places, deadline_ms, error))
                return false;
            continue;
        }
        if (!wait_ready(session, until_ms)) {
            if (until_ms >= deadline_ms)
                return postgresql_client_silent(client, error);
            if (!open_at_others(client, places, deadline_ms, error))
                return false;
            continue;
        }
        if (is_connecting && session->connect_events == POLLIN)
            postgresql_places_answered(places, deadline_ms);
        bool lives = is_connecting ? postgresql_session_advance(session)
                                   : postgresql_results_take(client, session);
        if (!lives)
            return first_broken(client, places, error);
    }
    return true;
}

static void name_address(struct postgresql_client *client, const struct postgresql_places *places,
                         const char *hosts, const char *ports)
{
    _cleanup_(memory_free) char *all_hosts = NULL;
    _cleanup_(memory_free) char *all_addresses = NULL;
    _cleanup_(memory_free) char *all_ports = NULL;
    postgresql_places_show(places, &all_hosts, &all_addresses, &all_ports);
    bool is_v6 = strchr(hosts, ':') != NULL && strpbrk(hosts, "[,") == NULL;
    client->address = text_format(is_v6 ? "[%s]:%s" : "%s:%s", hosts,
                                  strchr(ports, ',') == NULL ? ports : all_ports);
    if (strlen(client->address) > MAX_ADDRESS_BYTES)
        memcpy(client->address + text_cut(client->address, MAX_ADDRESS_BYTES - strlen(more)), more,
               sizeof(more));
}

static bool connect_first(struct postgresql_client *client, int64_t deadline_ms,
                          struct error *error)
{
    _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
    _cleanup_(postgresql_places_done) struct postgresql_places places = {0};
    if (!postgresql_parameters_make(client->options, &parameters, error))
        return false;
    const char *hosts = postgresql_parameter(&parameters, "host");
    const char *ports = postgresql_parameter(&parameters, "port");
    if (ports == NULL)
        ports = POSTGRESQL_PORT;
    postgresql_places_init(&places, hosts, ports);
    name_address(client, &places, hosts, ports);
    places.has_two_passes =
        text_equal(postgresql_parameter(&parameters, "target_session_attrs"), "prefer-standby");
    places.verifies_names = text_equal(postgresql_parameter(&parameters, "sslmode"), "verify-full");
    return open_first(client, &places, deadline_ms, error) &&
           finish_first(client, &places, deadline_ms, error);
}

static bool keep_authorities(struct postgresql_client *client, struct error *error)
{
    const char *ca = client->options->ca;
    if (ca == NULL)
        return true;
    tls_need_no_root();
    client->ca = memfd_create("ca", MFD_CLOEXEC);
    return (client->ca >= 0 && write(client->ca, ca, strlen(ca)) == (ssize_t)strlen(ca)) ||
           error_unavailable(error, "cannot keep ca in memory: %s", strerror(errno));
}

/* What the first session found out: libpq may have tried several hosts, and several addresses of
 * one. */
static void note_server(struct postgresql_client *client)
{
    const PGconn *connection = client->sessions[0].connection;
    set_place(client, text_copy(PQhost(connection)), text_copy(PQhostaddr(connection)),
              text_copy(PQport(connection)));
    client->watches_client = PQserverVersion(connection) >= WATCHING_VERSION;
}

bool postgresql_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                        struct error *error)
{
    struct postgresql_client *client = memory_new(sizeof(*client));
    client->options = connection_options;
    client->max_sessions = (size_t)client->options->max_sessions;
    client->max_unknown = POSTGRESQL_MIN_UNKNOWN;
    client->ca = -1;
    if (!keep_authorities(client, error) || !connect_first(client, deadline_ms, error)) {
        postgresql_client_disconnect(client);
        return false;
    }
    note_server(client);
    *ret_client = client;
    return true;
}
