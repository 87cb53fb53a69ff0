#include "web/http/stream.h"

#include "base/clock.h"
#include "base/memory.h"
#include "web/http/address.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

struct web_reader {
    struct web_streams *streams;
    const struct web_stream *hooks;
    void *page; /* the hooks' context */
    void *own;  /* what opened() returned */
    struct evhttp_request *request;
    struct bufferevent *connection;
    bool is_evicted;    /* closed, and its end is not reported yet; it has no place */
    bool is_sending;    /* a piece that it has not taken yet */
    int64_t sent_at_ms; /* ... since when */
    TAILQ_ENTRY(web_reader) all;
};

struct web_streams {
    struct event *tick; /* pending while there are readers */
    size_t count;       /* without the evicted */
    TAILQ_HEAD(, web_reader) readers;
};

/* ---- pieces ---- */

static void send_piece(struct web_reader *reader);

static void piece_taken(struct evhttp_connection *connection, void *argument)
{
    struct web_reader *reader = argument;
    (void)connection;
    reader->is_sending = false;
    send_piece(reader);
}

/* What is left after it is written when this was taken; what comes later, with the next tick. */
static void send_piece(struct web_reader *reader)
{
    _cleanup_(text_done) struct text piece = {0};
    if (reader->is_sending)
        return;
    while (piece.length < WEB_STREAM_PIECE_BYTES &&
           reader->hooks->write(reader->page, reader->own, &piece))
        ;
    if (piece.length == 0)
        return;
    struct evbuffer *buffer = evbuffer_new();
    evbuffer_add(buffer, piece.bytes, piece.length);
    reader->is_sending = true;
    reader->sent_at_ms = clock_now_ms();
    evhttp_send_reply_chunk_with_cb(reader->request, buffer, piece_taken, reader);
    evbuffer_free(buffer);
}

/* The HTTP server sees its connection end. */
static void disconnect(const struct web_reader *reader)
{
    int fd = bufferevent_getfd(reader->connection);
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR);
}

/* A page's tick comes before its readers are written to; readers of one page are beside each other
 * in practice. */
static void tick(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct web_streams *streams = argument;
    const void *ticked = NULL;
    struct web_reader *reader;
    int64_t wait_ms = 1000;
    TAILQ_FOREACH(reader, &streams->readers, all) {
        if (reader->is_evicted)
            continue;
        if (reader->page != ticked)
            wait_ms = reader->hooks->tick(reader->page);
        ticked = reader->page;
        if (reader->is_sending && clock_now_ms() - reader->sent_at_ms > WEB_STREAM_PATIENCE_MS)
            disconnect(reader);
        else
            send_piece(reader);
    }
    const struct timeval wait = {wait_ms / 1000, wait_ms % 1000 * 1000};
    if (streams->count > 0)
        evtimer_add(streams->tick, &wait);
}

/* ---- the interface ---- */

struct web_streams *web_streams_new(struct event_base *base)
{
    struct web_streams *streams = memory_new(sizeof(*streams));
    streams->tick = evtimer_new(base, tick, streams);
    TAILQ_INIT(&streams->readers);
    return streams;
}

void web_streams_free(struct web_streams *streams)
{
    event_free(streams->tick);
    free(streams);
}

/* Without a share for each address one client would take all places. Two more, so that two do not
 * take turns. */
bool web_streams_make_room(struct web_streams *streams, struct evhttp_connection *next)
{
    struct web_reader *readers[WEB_STREAM_MAX_READERS];
    struct web_address addresses[WEB_STREAM_MAX_READERS];
    size_t count = 0;
    struct web_reader *reader;
    if (streams->count < WEB_STREAM_MAX_READERS)
        return true;
    TAILQ_FOREACH(reader, &streams->readers, all)
        if (!reader->is_evicted) {
            readers[count] = reader;
            addresses[count++] = web_address_of(bufferevent_getfd(reader->connection));
        }
    struct web_address own =
        web_address_of(bufferevent_getfd(evhttp_connection_get_bufferevent(next)));
    size_t victim = web_address_commonest(addresses, count);
    if (web_address_count(addresses, count, &addresses[victim]) <
        web_address_count(addresses, count, &own) + 2)
        return false;
    readers[victim]->is_evicted = true;
    streams->count--;
    disconnect(readers[victim]);
    return true;
}

struct web_reader *web_streams_open(struct web_streams *streams, const struct web_stream *hooks,
                                    void *context, struct evhttp_request *request)
{
    const struct timeval at_once = {0, 0};
    const int sent_bytes = WEB_STREAM_PIECE_BYTES;
    struct web_reader *reader = memory_new(sizeof(*reader));
    reader->streams = streams;
    reader->hooks = hooks;
    reader->page = context;
    reader->own = hooks->opened(context);
    reader->request = request;
    reader->connection = evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
    /* Otherwise the kernel keeps megabytes for a reader that takes nothing, and we would notice
     * that late. */
    setsockopt(bufferevent_getfd(reader->connection), SOL_SOCKET, SO_SNDBUF, &sent_bytes,
               sizeof(sent_bytes));
    bufferevent_set_timeouts(reader->connection, NULL, NULL);
    evhttp_send_reply_start(request, HTTP_OK, NULL);
    TAILQ_INSERT_TAIL(&streams->readers, reader, all);
    if (streams->count++ == 0)
        evtimer_add(streams->tick, &at_once);
    return reader;
}

void web_streams_disconnect(struct web_streams *streams)
{
    const struct web_reader *reader;
    TAILQ_FOREACH(reader, &streams->readers, all)
        disconnect(reader);
}

/* A request whose connection has failed is ours to free; otherwise the connection does it. */
void web_streams_closed(struct web_reader *reader)
{
    struct web_streams *streams = reader->streams;
    TAILQ_REMOVE(&streams->readers, reader, all);
    streams->count -= !reader->is_evicted;
    reader->hooks->closed(reader->page, reader->own);
    if (evhttp_request_get_connection(reader->request) == NULL)
        evhttp_send_reply_end(reader->request);
    free(reader);
}
