#include "nats_jetstream/client/connector.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct nats_attempt {
    pthread_t thread;
    const struct nats_connection_options *options;
    int64_t deadline_ms;
    int descriptor;
    atomic_bool has_ended; /* then these are the owner's: */
    struct nats_client_connection *connection;
    struct error error;
};

static void *connector_thread(void *argument)
{
    struct nats_attempt *attempt = argument;
    attempt->connection =
        nats_client_connection_open(attempt->options, attempt->deadline_ms, &attempt->error);
    uint64_t one = 1;
    attempt->has_ended = true;
    ssize_t written = write(attempt->descriptor, &one, sizeof(one));
    (void)written;
    return NULL;
}

/* After its thread. */
static void free_attempt(struct nats_attempt *attempt)
{
    if (attempt->descriptor >= 0)
        close(attempt->descriptor);
    error_done(&attempt->error);
    free(attempt);
}

bool nats_connector_begin(struct nats_connector *connector,
                          const struct nats_connection_options *options, int64_t deadline_ms,
                          struct error *error)
{
    struct nats_attempt *attempt = memory_new(sizeof(*attempt));
    attempt->options = options;
    attempt->deadline_ms = deadline_ms;
    attempt->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (attempt->descriptor < 0 ||
        pthread_create(&attempt->thread, NULL, connector_thread, attempt) != 0) {
        free_attempt(attempt);
        return error_set(error, ERROR_INTERNAL,
                         "no thread or descriptor is left to connect to NATS");
    }
    connector->attempt = attempt;
    return true;
}

int nats_connector_descriptor(const struct nats_connector *connector)
{
    return connector->attempt == NULL ? -1 : connector->attempt->descriptor;
}

static struct nats_client_connection *end(struct nats_connector *connector, struct error *error)
{
    struct nats_attempt *attempt = TAKE(connector->attempt);
    pthread_join(attempt->thread, NULL);
    struct nats_client_connection *connection = attempt->connection;
    error_move(error, &attempt->error);
    free_attempt(attempt);
    return connection;
}

bool nats_connector_take(struct nats_connector *connector,
                         struct nats_client_connection **ret_connection, struct error *error)
{
    if (connector->attempt == NULL || !connector->attempt->has_ended)
        return false;
    *ret_connection = end(connector, error);
    return true;
}

void nats_connector_done(struct nats_connector *connector)
{
    _cleanup_(error_done) struct error ignored = {0};
    if (connector->attempt == NULL)
        return;
    struct nats_client_connection *connection = end(connector, &ignored);
    if (connection != NULL)
        nats_client_connection_close(connection);
}
