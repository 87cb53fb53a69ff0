#include "web/http/web_stream.h"

#include "base/clock.h"
#include "base/memory.h"
#include "web/http/web_address.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdlib.h>
#include <sys/param.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>

enum {
    SEND_TIMEOUT_MS = 30 * 1000, /* of a piece */
    BUSY_SHARE = WEB_STREAM_BUSY_SHARE,
    /* What pieces between two ticks count at most: however many readers come, there is a tick, and
     * those whose time is over are closed. */
    MAX_BETWEEN_US = SEND_TIMEOUT_MS * 1000 / BUSY_SHARE,
};

/* Waiting for a turn of the loop is no work; what hooks have it do, they count. */
static int64_t thread_cpu_us(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000 * 1000 + used.tv_nsec / 1000;
}

/* A page that is a stream. There are as many as have been read; each is kept. */
struct stream_page {
    struct web_streams *streams;
    const struct web_stream_hooks *hooks;
    void *context;
    struct event *tick; /* pending while there are readers */
    size_t readers;
    int64_t between_us; /* that pieces took since the last tick */
    TAILQ_ENTRY(stream_page) all;
};

struct web_stream_reader {
    struct stream_page *page;
    void *own; /* what opened() returned */
    struct evhttp_request *evhttp_request;
    struct bufferevent *bufferevent;
    int64_t ends_s;     /* its session; INT64_MAX: never */
    bool is_sending;    /* a piece that it has not taken yet */
    int64_t sent_at_ms; /* ... since when */
    TAILQ_ENTRY(web_stream_reader) all;
};

struct web_streams {
    struct event_base *base;
    TAILQ_HEAD(, stream_page) pages;
    size_t count; /* of readers */
    TAILQ_HEAD(, web_stream_reader) readers;
};

/* ---- pieces ---- */

static void send_piece(struct web_stream_reader *reader);

/* Outside of a tick. */
static void send_between(struct web_stream_reader *reader)
{
    int64_t began_us = thread_cpu_us();
    send_piece(reader);
    reader->page->between_us += thread_cpu_us() - began_us;
}

static void piece_taken(struct evhttp_connection *connection, void *argument)
{
    struct web_stream_reader *reader = argument;
    (void)connection;
    reader->is_sending = false;
    send_between(reader);
}

/* What does not fit is written when this piece has been taken. News after the last piece waits for
 * the next tick. */
static void send_piece(struct web_stream_reader *reader)
{
    _cleanup_(text_done) struct text piece = {0};
    if (reader->is_sending)
        return;
    while (piece.length < WEB_STREAM_PIECE_BYTES &&
           reader->page->hooks->write(reader->page->context, reader->own, &piece))
        continue;
    if (piece.length == 0)
        return;
    struct evbuffer *buffer = evbuffer_new();
    evbuffer_add(buffer, piece.bytes, piece.length);
    reader->is_sending = true;
    reader->sent_at_ms = clock_now_ms();
    evhttp_send_reply_chunk_with_cb(reader->evhttp_request, buffer, piece_taken, reader);
    evbuffer_free(buffer);
}

/* Frees the connection, which ends the reader (web_streams_closed()). Only shutting the socket down
 * is not enough: no event reports it of a reader that is sent nothing and has sent too much, since
 * that is neither written nor read. */
static void disconnect(const struct web_stream_reader *reader)
{
    evhttp_connection_free(evhttp_request_get_connection(reader->evhttp_request));
}

static void add_tick(const struct stream_page *page, int64_t wait_ms)
{
    const struct timeval wait = {wait_ms / 1000, wait_ms % 1000 * 1000};
    evtimer_add(page->tick, &wait);
}

static void tick(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct stream_page *page = argument;
    struct web_stream_reader *reader;
    struct web_stream_reader *next;
    if (page->readers == 0)
        return;
    int64_t began_us = thread_cpu_us();
    int64_t wait_ms = page->hooks->tick(page->context);
    int64_t now_ms = clock_now_ms();
    int64_t now_s = (int64_t)clock_unix_s(now_ms);
    for (reader = TAILQ_FIRST(&page->streams->readers); reader != NULL; reader = next) {
        next = TAILQ_NEXT(reader, all);
        if (reader->page != page)
            continue;
        bool is_stuck = reader->is_sending && now_ms - reader->sent_at_ms > SEND_TIMEOUT_MS;
        if (now_s >= reader->ends_s || is_stuck)
            disconnect(reader);
        else
            send_piece(reader);
    }
    int64_t busy_us = thread_cpu_us() - began_us + MIN(page->between_us, MAX_BETWEEN_US);
    page->between_us = 0;
    add_tick(page, wait_ms + BUSY_SHARE * busy_us / 1000);
}

/* ---- the interface ---- */

struct web_streams *web_streams_new(struct event_base *base)
{
    struct web_streams *streams = memory_new(sizeof(*streams));
    streams->base = base;
    TAILQ_INIT(&streams->pages);
    TAILQ_INIT(&streams->readers);
    return streams;
}

void web_streams_free(struct web_streams *streams)
{
    for (struct stream_page *page; (page = TAILQ_FIRST(&streams->pages)) != NULL;) {
        TAILQ_REMOVE(&streams->pages, page, all);
        event_free(page->tick);
        free(page);
    }
    free(streams);
}

static struct stream_page *page_for(struct web_streams *streams,
                                    const struct web_stream_hooks *hooks, void *context)
{
    struct stream_page *page;
    TAILQ_FOREACH(page, &streams->pages, all)
        if (page->hooks == hooks && page->context == context)
            return page;
    page = memory_new(sizeof(*page));
    page->streams = streams;
    page->hooks = hooks;
    page->context = context;
    page->tick = evtimer_new(streams->base, tick, page);
    TAILQ_INSERT_TAIL(&streams->pages, page, all);
    return page;
}

/* Without a share for each address one client would take all places. A reader is displaced only by
 * an address with at least two fewer, or two addresses would displace each other in turn. */
bool web_streams_admit(struct web_streams *streams, struct evhttp_connection *next)
{
    struct web_stream_reader *readers[WEB_STREAM_MAX_READERS];
    struct web_address addresses[WEB_STREAM_MAX_READERS];
    size_t count = 0;
    struct web_stream_reader *reader;
    if (streams->count < WEB_STREAM_MAX_READERS)
        return true;
    TAILQ_FOREACH(reader, &streams->readers, all) {
        readers[count] = reader;
        addresses[count++] = web_address_of(bufferevent_getfd(reader->bufferevent));
    }
    struct web_address own =
        web_address_of(bufferevent_getfd(evhttp_connection_get_bufferevent(next)));
    size_t victim = web_address_commonest(addresses, count);
    if (web_address_count(addresses, count, &addresses[victim]) <
        web_address_count(addresses, count, &own) + 2)
        return false;
    disconnect(readers[victim]);
    return true;
}

struct web_stream_reader *web_streams_open(struct web_streams *streams,
                                           const struct web_stream_hooks *hooks, void *context,
                                           struct evhttp_request *evhttp_request, int64_t ends_s)
{
    const int sent_bytes = WEB_STREAM_PIECE_BYTES;
    struct web_stream_reader *reader = memory_new(sizeof(*reader));
    reader->page = page_for(streams, hooks, context);
    reader->own = hooks->opened(context);
    reader->evhttp_request = evhttp_request;
    reader->ends_s = ends_s;
    reader->bufferevent =
        evhttp_connection_get_bufferevent(evhttp_request_get_connection(evhttp_request));
    /* Otherwise the kernel keeps megabytes for a reader that takes nothing, and we would notice
     * that late. */
    setsockopt(bufferevent_getfd(reader->bufferevent), SOL_SOCKET, SO_SNDBUF, &sent_bytes,
               sizeof(sent_bytes));
    bufferevent_set_timeouts(reader->bufferevent, NULL, NULL);
    evhttp_send_reply_start(evhttp_request, HTTP_OK, NULL);
    TAILQ_INSERT_TAIL(&streams->readers, reader, all);
    streams->count++;
    /* The next tick may be far away, and what it left is there. */
    if (reader->page->readers++ == 0)
        add_tick(reader->page, 0);
    else
        send_between(reader);
    return reader;
}

void web_streams_disconnect(struct web_streams *streams)
{
    const struct web_stream_reader *reader;
    while ((reader = TAILQ_FIRST(&streams->readers)) != NULL)
        disconnect(reader);
}

/* A request whose connection has failed is ours to free; otherwise the connection does it. */
void web_streams_closed(struct web_stream_reader *reader)
{
    struct stream_page *page = reader->page;
    TAILQ_REMOVE(&page->streams->readers, reader, all);
    page->streams->count--;
    page->readers--;
    page->hooks->closed(page->context, reader->own);
    if (evhttp_request_get_connection(reader->evhttp_request) == NULL)
        evhttp_send_reply_end(reader->evhttp_request);
    free(reader);
}
