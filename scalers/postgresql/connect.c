#include "postgresql/connect.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "postgresql/client.h"
#include "postgresql/options.h"
#include "postgresql/results.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WATCHING_VERSION = 140000 };

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

static bool finish_first(struct postgresql_client *client, int64_t deadline_ms, struct error *error)
{
    struct postgresql_session *session = &client->sessions[0];
    while (session->state != POSTGRESQL_READY) {
        if (PQstatus(session->connection) == CONNECTION_BAD || !postgresql_session_flush(session))
            return postgresql_client_broken(client, session, error);
        if (!wait_ready(session, deadline_ms))
            return postgresql_client_silent(client, error);
        bool lives = session->state == POSTGRESQL_CONNECTING
                         ? postgresql_session_advance(session)
                         : postgresql_results_take(client, session);
        if (!lives)
            return postgresql_client_broken(client, session, error);
    }
    return true;
}

static bool keep_authorities(struct postgresql_client *client, struct error *error)
{
    const char *ca = client->options->ca;
    if (ca == NULL)
        return true;
    client->ca = memfd_create("ca", MFD_CLOEXEC);
    return (client->ca >= 0 && write(client->ca, ca, strlen(ca)) == (ssize_t)strlen(ca)) ||
           error_unavailable(error, "cannot keep ca in memory: %s", strerror(errno));
}

/* What the first session found out: libpq may have tried several hosts, and several addresses of
 * one. */
static void note_server(struct postgresql_client *client)
{
    const PGconn *connection = client->sessions[0].connection;
    client->host = text_copy(PQhost(connection));
    client->hostaddr = text_copy(PQhostaddr(connection));
    client->port = text_copy(PQport(connection));
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
    if (!keep_authorities(client, error) ||
        !postgresql_client_open(client, &client->sessions[0], error) ||
        !finish_first(client, deadline_ms, error)) {
        postgresql_client_disconnect(client);
        return false;
    }
    note_server(client);
    *ret_client = client;
    return true;
}
