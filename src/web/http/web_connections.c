#include "web/http/web_connections.h"

#include "base/memory.h"
#include "web/http/web_address.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/param.h>
#include <sys/queue.h>
#include <sys/socket.h>

/* Enough for every scraper, probe and browser at once; and at most so many descriptors and buffers
 * for an attacker. */
enum { MAX_CONNECTIONS = 64 };

/* At most so many connections are closed at once for those that wait in the kernel's queue: the
 * others keep their time to send a request. */
enum { MAX_EVICTED = MAX_CONNECTIONS / 2 };

/* Of what a client sends we read so much: a header that is longer than permitted, to refuse it. The
 * rest stays in the kernel. */
enum { MAX_UNREAD_BYTES = WEB_CONNECTION_MAX_HEADER_BYTES + (4 << 10) };

/* Of the blocks of all responses, of which one address uses half at most, however large its own
 * are. Small responses, such as those of probes, are always sent. */
enum {
    MAX_PENDING_BYTES = 16 << 20,
    MAX_ADDRESS_BYTES = MAX_PENDING_BYTES / 2,
    SMALL_BYTES = 16 << 10
};

enum { CONNECTION_MS = 5000 };

/* A client that takes so much of its response in CONNECTION_MS has as much time again. */
enum { MIN_TAKEN_BYTES = 64 << 10 };

static const struct timeval eviction_delay = {0, 1000};
static const struct timeval retry_delay = {0, 100000};

/* A connection is freed:
 *
 *     before its request    when its deadline is over, or at once when it is evicted
 *     after its request     when evhttp calls connection_closed(): the client has gone, the
 *                           response is sent, or the deadline, an eviction or the stream ended it
 */
struct web_connection {
    struct web_connections *owner;
    /* A reference of ours: the descriptor stays open as long as we use it. */
    struct bufferevent *bufferevent;
    struct event *deadline;
    size_t pending_bytes;             /* the block of its response */
    size_t left_bytes;                /* what the client had not taken when its deadline was set */
    bool is_counted;                  /* against MAX_CONNECTIONS */
    bool has_requested;               /* evhttp calls connection_closed() at its end */
    struct web_stream_reader *reader; /* NULL: it gets one response */
    TAILQ_ENTRY(web_connection) all;
};

struct web_connections {
    struct evconnlistener *listener; /* owned by evhttp; NULL: it is gone */
    struct event *eviction;          /* pending beyond the limit, while the listener pauses */
    size_t count;
    struct timeval timeout;                 /* of each, for its request and for its response */
    TAILQ_HEAD(, web_connection) evictable; /* the oldest first; no readers */
};

static void stop_counting(struct web_connection *connection)
{
    struct web_connections *owner = connection->owner;
    if (!connection->is_counted)
        return;
    connection->is_counted = false;
    TAILQ_REMOVE(&owner->evictable, connection, all);
    if (--owner->count <= MAX_CONNECTIONS && owner->listener != NULL)
        evconnlistener_enable(owner->listener);
}

static void connection_free(struct web_connection *connection)
{
    if (connection->reader != NULL)
        web_streams_closed(connection->reader);
    else
        stop_counting(connection);
    event_free(connection->deadline);
    bufferevent_decref(connection->bufferevent);
    free(connection);
}

/* A connection that has requested something ends when evhttp sees that (connection_closed()). */
static void connection_disconnect(struct web_connection *connection)
{
    int fd = bufferevent_getfd(connection->bufferevent);
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR);
    if (!connection->has_requested)
        connection_free(connection);
}

/* Whether the client has taken enough of its response to have its time again: MIN_TAKEN_BYTES, or
 * all that the kernel had. With less in the kernel it could not take more: this thread was too busy
 * to give the kernel the rest. */
static bool is_reading(const struct web_connection *connection, size_t left_bytes)
{
    size_t with_us = evbuffer_get_length(bufferevent_get_output(connection->bufferevent));
    bool has_taken_all_it_could = left_bytes == with_us; /* nothing is in the kernel */
    bool has_taken_enough = left_bytes + MIN_TAKEN_BYTES <= connection->left_bytes;
    return left_bytes > 0 && (has_taken_all_it_could || has_taken_enough);
}

static void deadline_passed(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct web_connection *connection = argument;
    size_t left_bytes = web_stream_bytes_left(connection->bufferevent);
    if (!connection->has_requested || !is_reading(connection, left_bytes)) {
        connection_disconnect(connection);
        return;
    }
    connection->left_bytes = left_bytes;
    web_connection_begin_deadline(connection);
}

static void connection_closed(struct evhttp_connection *evhttp_connection, void *argument)
{
    (void)evhttp_connection;
    connection_free(argument);
}

/* New connections wait in the kernel's queue until what the present ones have sent is read. */
static void pause_listener(struct web_connections *connections)
{
    evconnlistener_disable(connections->listener);
    evtimer_add(connections->eviction, &eviction_delay);
}

/* The oldest connection of the address with the most: probes and scrapers have few. Not NULL: half
 * of MAX_CONNECTIONS stay. */
static struct web_connection *find_victim(const struct web_connections *connections)
{
    struct web_address addresses[MAX_CONNECTIONS];
    size_t count = 0;
    struct web_connection *connection;
    TAILQ_FOREACH(connection, &connections->evictable, all)
        if (count < MAX_CONNECTIONS)
            addresses[count++] = web_address_of(bufferevent_getfd(connection->bufferevent));
    size_t index = web_address_commonest(addresses, count);
    for (connection = TAILQ_FIRST(&connections->evictable); index > 0; index--)
        connection = TAILQ_NEXT(connection, all);
    return connection;
}

/* How many connections wait in the kernel's queue; 0 where the kernel does not say. */
static size_t count_waiting(const struct web_connections *connections)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);
    return getsockopt(evconnlistener_get_fd(connections->listener), IPPROTO_TCP, TCP_INFO, &info,
                      &length) == 0
               ? info.tcpi_unacked
               : 0;
}

/* Makes places for the connections that are too many and for those that wait: where there are 65,
 * and 10 wait, 11 are closed. */
static void evict(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    const struct web_connections *connections = argument;
    size_t waiting = count_waiting(connections);
    size_t wanted = waiting > MAX_EVICTED ? MAX_EVICTED : waiting;
    bool is_full = connections->count > MAX_CONNECTIONS; /* otherwise those that wait have places */
    while (is_full && connections->count + wanted > MAX_CONNECTIONS) {
        struct web_connection *victim = find_victim(connections);
        stop_counting(victim);
        connection_disconnect(victim);
    }
}

/* The loop's time is of before the callbacks of this turn, one of which may have written a page for
 * seconds: so it is updated first. A deadline that has passed in this turn is put off, too. */
void web_connection_begin_deadline(struct web_connection *connection)
{
    event_base_update_cache_time(event_get_base(connection->deadline));
    evtimer_add(connection->deadline, &connection->owner->timeout);
}

/* evhttp calls this for the bufferevent of a connection that it has accepted. */
static struct bufferevent *connection_new(struct event_base *base, void *argument)
{
    struct web_connections *connections = argument;
    struct web_connection *connection = memory_new(sizeof(*connection));
    connection->owner = connections;
    connection->is_counted = true;
    connection->bufferevent = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_incref(connection->bufferevent);
    bufferevent_setwatermark(connection->bufferevent, EV_READ, 0, MAX_UNREAD_BYTES);
    connection->deadline = evtimer_new(base, deadline_passed, connection);
    web_connection_begin_deadline(connection);
    TAILQ_INSERT_TAIL(&connections->evictable, connection, all);
    if (++connections->count > MAX_CONNECTIONS)
        pause_listener(connections);
    return connection->bufferevent;
}

static void resume(evutil_socket_t fd, short what, void *listener)
{
    (void)fd;
    (void)what;
    evconnlistener_enable(listener);
}

/* Out of descriptors: the connection stays in the queue, and would be reported again and again. */
static void accept_failed(struct evconnlistener *listener, void *http)
{
    (void)http;
    evconnlistener_disable(listener);
    event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, resume, listener,
                    &retry_delay);
}

/* ---- the interface ---- */

struct web_connections *web_connections_new(struct evhttp *http, struct evconnlistener *listener,
                                            int64_t connection_ms)
{
    struct web_connections *connections = memory_new(sizeof(*connections));
    int64_t timeout_ms = connection_ms > 0 ? connection_ms : CONNECTION_MS;
    connections->timeout = (struct timeval){timeout_ms / 1000, timeout_ms % 1000 * 1000};
    TAILQ_INIT(&connections->evictable);
    connections->listener = listener;
    connections->eviction = evtimer_new(evconnlistener_get_base(listener), evict, connections);
    evhttp_set_bevcb(http, connection_new, connections);
    evhttp_bind_listener(http, listener);
    evconnlistener_set_error_cb(listener, accept_failed);
    return connections;
}

void web_connections_free(struct web_connections *connections, struct evhttp *http)
{
    struct web_connection *connection;
    struct web_connection *next;
    connections->listener = NULL;
    evhttp_free(http); /* its connections with requests and its listener with it */
    for (connection = TAILQ_FIRST(&connections->evictable); connection != NULL; connection = next) {
        next = TAILQ_NEXT(connection, all);
        connection_free(connection);
    }
    event_free(connections->eviction);
    free(connections);
}

struct web_connection *web_connections_begin_request(const struct web_connections *connections,
                                                     struct evhttp_connection *evhttp_connection)
{
    struct web_connection *connection;
    const struct bufferevent *bufferevent = evhttp_connection_get_bufferevent(evhttp_connection);
    TAILQ_FOREACH(connection, &connections->evictable, all)
        if (connection->bufferevent == bufferevent) {
            connection->has_requested = true;
            evhttp_connection_set_closecb(evhttp_connection, connection_closed, connection);
            return connection;
        }
    return NULL;
}

/* What an address uses of MAX_PENDING_BYTES. */
struct use {
    struct web_address address;
    size_t bytes;
};

/* Adds to what the address uses. Returns by how much that is more. */
static size_t add_use(struct use *uses, size_t *count, const struct web_address *address,
                      size_t bytes)
{
    size_t i = 0;
    while (i < *count && web_address_count(&uses[i].address, 1, address) == 0)
        i++;
    if (i == *count)
        uses[(*count)++] = (struct use){*address, 0};
    size_t more = MIN(bytes, MAX_ADDRESS_BYTES - uses[i].bytes);
    uses[i].bytes += more;
    return more;
}

/* An address that has no other response unread gets one however large it is, while the others use
 * no more than one of them may: it would be too large the next time, too. */
bool web_connection_reserve_bytes(struct web_connection *connection, size_t bytes)
{
    _cleanup_(memory_free) struct use *uses =
        memory_array(connection->owner->count + 1, sizeof(*uses)); /* the first is its own */
    struct web_address own = web_address_of(bufferevent_getfd(connection->bufferevent));
    size_t count = 0;
    size_t of_all = add_use(uses, &count, &own, 0);
    const struct web_connection *each;
    TAILQ_FOREACH(each, &connection->owner->evictable, all) {
        struct web_address address = web_address_of(bufferevent_getfd(each->bufferevent));
        if (each->pending_bytes > 0)
            of_all += add_use(uses, &count, &address, each->pending_bytes);
    }
    size_t of_address = uses[0].bytes;
    bool is_first = of_address == 0 && of_all <= MAX_ADDRESS_BYTES;
    if (bytes > SMALL_BYTES && !is_first && of_all + of_address + bytes > MAX_PENDING_BYTES)
        return false;
    connection->pending_bytes = connection->left_bytes = bytes;
    return true;
}

void web_connection_set_reader(struct web_connection *connection, struct web_stream_reader *reader)
{
    evtimer_del(connection->deadline);
    stop_counting(connection);
    connection->reader = reader;
}
