#include "postgresql/client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "postgresql/parameters.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_WORDS = 300 };

static char *show_address(const struct postgresql_parameters *parameters)
{
    const char *host = postgresql_parameter(parameters, "host");
    const char *port = postgresql_parameter(parameters, "port");
    if (host == NULL)
        host = postgresql_parameter(parameters, "hostaddr");
    return text_format("%s:%s", host == NULL ? "localhost" : host, port == NULL ? "5432" : port);
}

/* libpq's words have several lines, the later ones indented. */
static char *one_line(const char *words)
{
    char *line = text_copy_bytes(words, text_cut(words, LONGEST_WORDS));
    char *to = line;
    for (const char *from = line; *from != '\0'; from++) {
        bool space = strchr(" \t\r\n", *from) != NULL;
        if (!space)
            *to++ = *from;
        else if (to > line && to[-1] != ' ')
            *to++ = ' ';
    }
    while (to > line && to[-1] == ' ')
        to--;
    *to = '\0';
    return line;
}

bool postgresql_client_broken(const struct postgresql_client *client, struct error *error)
{
    _cleanup_(memory_free) char *words = one_line(PQerrorMessage(client->session));
    return error_unavailable(error, "PostgreSQL at %s: %s", client->address,
                             words[0] == '\0' ? "the connection broke" : words);
}

bool postgresql_client_silent(const struct postgresql_client *client, struct error *error)
{
    return error_unavailable(error, "PostgreSQL at %s does not answer in time", client->address);
}

bool postgresql_client_wait(const struct postgresql_client *client, short events,
                            int64_t deadline_ms)
{
    struct pollfd socket = {.fd = PQsocket(client->session), .events = events};
    int ready;
    do
        ready = poll(&socket, 1, clock_left_ms(deadline_ms, INT_MAX));
    while (ready < 0 && errno == EINTR);
    return ready > 0;
}

static bool finish_connecting(const struct postgresql_client *client, int64_t deadline_ms,
                              struct error *error)
{
    if (PQstatus(client->session) == CONNECTION_BAD)
        return postgresql_client_broken(client, error);

    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next != PGRES_POLLING_OK) {
        short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (!postgresql_client_wait(client, events, deadline_ms))
            return postgresql_client_silent(client, error);
        next = PQconnectPoll(client->session);
        if (next == PGRES_POLLING_FAILED)
            return postgresql_client_broken(client, error);
    }
    return true;
}

/* A query's RAISE NOTICE is not for our log. */
static void ignore_notice(void *context, const PGresult *notice)
{
    (void)context, (void)notice;
}

static bool open_session(struct postgresql_client *client,
                         const struct postgresql_connection *options, int64_t deadline_ms,
                         struct error *error)
{
    _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
    if (!postgresql_parameters_make(options, &parameters, error))
        return false;
    client->address = show_address(&parameters);
    client->session = PQconnectStartParams(parameters.keywords, parameters.values, 0);
    if (client->session == NULL)
        return error_set(error, ERROR_INTERNAL, "libpq did not start");

    PQsetNoticeReceiver(client->session, ignore_notice, NULL);
    if (!finish_connecting(client, deadline_ms, error))
        return false;
    return (PQsetnonblocking(client->session, 1) == 0 && PQenterPipelineMode(client->session)) ||
           postgresql_client_broken(client, error);
}

bool postgresql_client_connect(const void *connection_options, int64_t deadline_ms,
                               void **ret_client, struct error *error)
{
    struct postgresql_client *client = memory_new(sizeof(*client));
    if (!open_session(client, connection_options, deadline_ms, error)) {
        postgresql_client_disconnect(client);
        return false;
    }
    *ret_client = client;
    return true;
}

void postgresql_client_disconnect(void *opaque)
{
    struct postgresql_client *client = opaque;
    PQfinish(client->session);
    free(client->address);
    free(client);
}
