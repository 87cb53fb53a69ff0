/*
 * What a connection writes: all that nghttp2 has queued, and what the socket did not take, when it
 * does.
 */

#include "serve/h2/output.h"
#include "base/clock.h"
#include "base/memory.h"
#include "serve/h2/connection.h"
#include "serve/h2/socket.h"

#include <stdlib.h>
#include <string.h>

/* A connection that has more to write lets others write after this many times. */
enum { MAX_WRITES_PER_TURN = 8 };

/* Between looks at the clock: they take 0.1 ms where each closes a stream. */
enum { FRAMES_PER_LOOK = 64 };

/* False: the connection is broken. */
static bool send_unsent(struct h2_connection *connection)
{
    if (connection->unsent_length == 0)
        return true;
    size_t left = connection->unsent_length - connection->unsent_offset;
    ssize_t sent = h2_socket_send(connection, connection->unsent + connection->unsent_offset, left);
    if (sent < 0)
        return false;
    if (sent > 0)
        connection->wrote_ms = connection->server->now_ms;
    connection->unsent_offset += (size_t)sent;
    if ((size_t)sent < left)
        return true;
    free(TAKE(connection->unsent));
    connection->unsent_length = 0;
    return true;
}

static void store_unsent(struct h2_connection *connection, const uint8_t *data, size_t length)
{
    connection->unsent = memory_new(length);
    memcpy(connection->unsent, data, length);
    connection->unsent_length = length;
    connection->unsent_offset = 0;
    connection->wrote_ms = connection->server->now_ms;
}

static bool has_time(const struct h2_server *server)
{
    return clock_now_us() < server->writes_until_us;
}

/* Collects what nghttp2 has queued; 0: nothing now. */
static size_t fill_output(struct h2_connection *connection)
{
    uint8_t *output = connection->server->output;
    size_t filled = 0;
    for (size_t frames = 1; filled < H2_OUTPUT_BYTES; frames++) {
        const uint8_t *data;
        if (frames % FRAMES_PER_LOOK == 0 && !has_time(connection->server))
            break;
        ssize_t length = nghttp2_session_mem_send(connection->session, &data);
        if (length <= 0)
            break; /* an error here is a lack of memory; the next read finds it again */
        memcpy(output + filled, data, (size_t)length);
        filled += (size_t)length;
    }
    return filled;
}

bool h2_output_write(struct h2_connection *connection)
{
    if (!send_unsent(connection))
        return false;
    for (int i = 0; i < MAX_WRITES_PER_TURN && connection->unsent_length == 0; i++) {
        if (i > 0 && !has_time(connection->server))
            return true;
        size_t filled = fill_output(connection);
        if (filled == 0)
            return true;
        ssize_t sent = h2_socket_send(connection, connection->server->output, filled);
        if (sent < 0)
            return false;
        if ((size_t)sent < filled)
            store_unsent(connection, connection->server->output + sent, filled - (size_t)sent);
    }
    return true;
}

size_t h2_output_abort(struct h2_connection *connection)
{
    const struct h2_server *server = connection->server;
    if (connection->session != NULL)
        h2_output_write(connection);
    size_t calls = server->call_count;
    if (connection->session != NULL) {
        /* From now on nghttp2 sends no headers any more. */
        nghttp2_session_terminate_session(connection->session, NGHTTP2_NO_ERROR);
        h2_output_write(connection);
    }
    h2_socket_unwrap(connection);
    h2_connection_free(connection);
    return calls - server->call_count;
}
