#include "web/http/web_stream.h"

#include "base/clock.h"
#include "base/memory.h"
#include "web/http/web_address.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/param.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>

enum {
    BUSY_SHARE = WEB_STREAM_BUSY_SHARE,
    /* A source wakes at least this often, so `alive` is written after 5 to 7 s. */
    WAKE_MS = 2000,
    ALIVE_AFTER_MS = 5000,
    /* Nothing is sent during an update, which may wait for seconds (trigger_walk.h). */
    ALIVE_BEFORE_UPDATE_MS = 2000,
    /* Of the CPU time of pieces between two updates so much counts: 30 s of rest. */
    MAX_BETWEEN_US = WEB_STREAM_TIMEOUT_MS * 1000 / BUSY_SHARE,
};

/* CPU time of this thread, so without waiting for others. update() adds theirs (web_stream.h). */
static int64_t thread_cpu_us(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000 * 1000 + used.tv_nsec / 1000;
}

/* What the readers of one page are sent. It is made for the first reader, and stays until
 * web_streams_free(). */
struct stream_source {
    struct web_streams *streams;
    const struct web_stream_hooks *hooks;
    void *context;
    struct event *wake;   /* pending while there are readers, and until forget() after the last */
    int64_t update_at_ms; /* the next update is not before */
    size_t readers;
    int64_t between_us; /* CPU time of the pieces since the last update */
    TAILQ_ENTRY(stream_source) all;
};

struct web_stream_reader {
    struct stream_source *source;
    void *own; /* what opened() returned */
    struct evhttp_request *evhttp_request;
    struct bufferevent *bufferevent;
    int64_t ends_s;     /* its session; INT64_MAX: it has none */
    bool is_sending;    /* our kernel has not taken all of its last piece */
    int64_t sent_at_ms; /* when its last piece was written; before that, when it came */
    struct web_stream_progress progress;
    TAILQ_ENTRY(web_stream_reader) all;
};

struct web_streams {
    struct event_base *base;
    TAILQ_HEAD(, stream_source) sources;
    size_t count; /* of readers */
    TAILQ_HEAD(, web_stream_reader) readers;
};

/* ---- pieces ---- */

/* What the kernel has counts, too: it takes more from us only when a third of its buffer is free,
 * which may be later than the timeout of a slow reader. */
size_t web_stream_bytes_left(struct bufferevent *bufferevent)
{
    int in_kernel = 0;
    ioctl(bufferevent_getfd(bufferevent), SIOCOUTQ, &in_kernel);
    return evbuffer_get_length(bufferevent_get_output(bufferevent)) + (size_t)in_kernel;
}

void web_stream_note_progress(struct web_stream_progress *progress, size_t left_bytes,
                              int64_t now_ms)
{
    if (left_bytes < progress->left_bytes || left_bytes == 0)
        *progress = (struct web_stream_progress){left_bytes, now_ms};
}

bool web_stream_is_stuck(const struct web_stream_progress *progress, int64_t now_ms)
{
    return now_ms - progress->taken_at_ms > WEB_STREAM_TIMEOUT_MS;
}

static void note_progress(struct web_stream_reader *reader, int64_t now_ms)
{
    web_stream_note_progress(&reader->progress, web_stream_bytes_left(reader->bufferevent), now_ms);
}

static void send_piece(struct web_stream_reader *reader);

/* Sends a piece between two updates. */
static void send_between(struct web_stream_reader *reader)
{
    int64_t began_us = thread_cpu_us();
    send_piece(reader);
    reader->source->between_us += thread_cpu_us() - began_us;
}

/* Our kernel has all of the piece, which says nothing about the reader. */
static void piece_taken(struct evhttp_connection *connection, void *argument)
{
    struct web_stream_reader *reader = argument;
    (void)connection;
    reader->is_sending = false;
    send_between(reader);
}

/* The reader's time goes on where something was on its way to it already. */
static void send_bytes(struct web_stream_reader *reader, const char *bytes, size_t length)
{
    struct evbuffer *buffer = evbuffer_new();
    evbuffer_add(buffer, bytes, length);
    reader->is_sending = true;
    reader->sent_at_ms = clock_now_ms();
    note_progress(reader, reader->sent_at_ms);
    evhttp_send_reply_chunk_with_cb(reader->evhttp_request, buffer, piece_taken, reader);
    evbuffer_free(buffer);
    reader->progress.left_bytes = web_stream_bytes_left(reader->bufferevent);
}

/* Does nothing where the piece before is still being sent: piece_taken() sends the next one. When
 * nothing is left, the next update sends what is new. */
static void send_piece(struct web_stream_reader *reader)
{
    _cleanup_(text_done) struct text piece = {0};
    const struct stream_source *source = reader->source;
    if (reader->is_sending)
        return;
    while (piece.length < WEB_STREAM_PIECE_BYTES &&
           source->hooks->write(source->context, reader->own, &piece))
        continue;
    if (piece.length > 0)
        send_bytes(reader, piece.bytes, piece.length);
}

/* Sends `alive` to a reader that was sent nothing for `after_ms`. True: it did. `alive` is an
 * event, as a browser's EventSource does not pass comments on to its page. */
static bool send_alive(struct web_stream_reader *reader, int64_t now_ms, int64_t after_ms)
{
    static const char alive[] = "event: alive\ndata: {}\n\n";
    if (reader->is_sending || now_ms - reader->sent_at_ms < after_ms)
        return false;
    send_bytes(reader, alive, strlen(alive));
    return true;
}

/* True: a reader is sent `alive`, which the loop is to send before the update. */
static bool send_alive_before_update(const struct stream_source *source, int64_t now_ms)
{
    struct web_stream_reader *reader;
    bool is_sent = false;
    TAILQ_FOREACH(reader, &source->streams->readers, all)
        if (reader->source == source)
            is_sent |= send_alive(reader, now_ms, ALIVE_BEFORE_UPDATE_MS);
    return is_sent;
}

/* Frees the connection, which ends the reader (web_streams_closed()). shutdown() is not enough: no
 * event reports it of a reader that is sent nothing, and has sent more than is read. */
static void disconnect_reader(const struct web_stream_reader *reader)
{
    evhttp_connection_free(evhttp_request_get_connection(reader->evhttp_request));
}

static void plan_wake(const struct stream_source *source, int64_t now_ms)
{
    int64_t wait_ms = MIN(MAX(source->update_at_ms - now_ms, 0), WAKE_MS);
    const struct timeval wait = {wait_ms / 1000, wait_ms % 1000 * 1000};
    evtimer_add(source->wake, &wait);
}

/* Closes readers whose session is over or which take nothing, and sends to the others. */
static void serve_readers(const struct stream_source *source, bool has_news)
{
    struct web_stream_reader *reader;
    struct web_stream_reader *next;
    int64_t now_ms = clock_now_ms();
    int64_t now_s = (int64_t)clock_unix_s(now_ms);
    for (reader = TAILQ_FIRST(&source->streams->readers); reader != NULL; reader = next) {
        next = TAILQ_NEXT(reader, all);
        if (reader->source != source)
            continue;
        note_progress(reader, now_ms);
        if (now_s >= reader->ends_s || web_stream_is_stuck(&reader->progress, now_ms)) {
            disconnect_reader(reader);
            continue;
        }
        if (has_news)
            send_piece(reader);
        send_alive(reader, now_ms, ALIVE_AFTER_MS);
    }
}

static void wake_source(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct stream_source *source = argument;
    int64_t began_us = thread_cpu_us();
    int64_t woken_ms = clock_now_ms();
    bool is_due = woken_ms >= source->update_at_ms;
    if (is_due && source->readers == 0) {
        source->hooks->forget(source->context);
        return;
    }
    if (is_due && send_alive_before_update(source, woken_ms)) {
        source->between_us += thread_cpu_us() - began_us;
        plan_wake(source, woken_ms);
        return;
    }
    int64_t wait_ms = is_due ? source->hooks->update(source->context) : 0;
    serve_readers(source, is_due);
    int64_t busy_us = thread_cpu_us() - began_us;
    int64_t now_ms = clock_now_ms();
    if (is_due) {
        busy_us += MIN(source->between_us, MAX_BETWEEN_US);
        source->between_us = 0;
        source->update_at_ms = now_ms + wait_ms + BUSY_SHARE * busy_us / 1000;
    } else
        source->between_us += busy_us;
    plan_wake(source, now_ms);
}

/* ---- the interface ---- */

struct web_streams *web_streams_new(struct event_base *base)
{
    struct web_streams *streams = memory_new(sizeof(*streams));
    streams->base = base;
    TAILQ_INIT(&streams->sources);
    TAILQ_INIT(&streams->readers);
    return streams;
}

void web_streams_free(struct web_streams *streams)
{
    for (struct stream_source *source; (source = TAILQ_FIRST(&streams->sources)) != NULL;) {
        TAILQ_REMOVE(&streams->sources, source, all);
        event_free(source->wake);
        free(source);
    }
    free(streams);
}

static struct stream_source *source_for(struct web_streams *streams,
                                        const struct web_stream_hooks *hooks, void *context)
{
    struct stream_source *source;
    TAILQ_FOREACH(source, &streams->sources, all)
        if (source->hooks == hooks && source->context == context)
            return source;
    source = memory_new(sizeof(*source));
    source->streams = streams;
    source->hooks = hooks;
    source->context = context;
    source->wake = evtimer_new(streams->base, wake_source, source);
    TAILQ_INSERT_TAIL(&streams->sources, source, all);
    return source;
}

/* Without this one client could take all places. An address with n readers takes a place from one
 * with n + 2 or more: with n + 1, two addresses would displace each other in turn. */
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
    disconnect_reader(readers[victim]);
    return true;
}

struct web_stream_reader *web_streams_open(struct web_streams *streams,
                                           const struct web_stream_hooks *hooks, void *context,
                                           struct evhttp_request *evhttp_request, int64_t ends_s)
{
    const int sent_bytes = WEB_STREAM_PIECE_BYTES;
    struct web_stream_reader *reader = memory_new(sizeof(*reader));
    reader->source = source_for(streams, hooks, context);
    reader->own = hooks->opened(context, ends_s != INT64_MAX);
    reader->evhttp_request = evhttp_request;
    reader->ends_s = ends_s;
    reader->sent_at_ms = reader->progress.taken_at_ms = clock_now_ms();
    reader->bufferevent =
        evhttp_connection_get_bufferevent(evhttp_request_get_connection(evhttp_request));
    /* Otherwise the kernel would take megabytes, and a reader that takes nothing would be noticed
     * late. */
    setsockopt(bufferevent_getfd(reader->bufferevent), SOL_SOCKET, SO_SNDBUF, &sent_bytes,
               sizeof(sent_bytes));
    bufferevent_set_timeouts(reader->bufferevent, NULL, NULL);
    evhttp_send_reply_start(evhttp_request, 200, NULL);
    TAILQ_INSERT_TAIL(&streams->readers, reader, all);
    streams->count++;
    reader->source->readers++;
    /* What the last update left: the next update may be far away. */
    send_between(reader);
    /* A wake that is pending comes in time for this reader, too. If each reader put it off, readers
     * that come one after another would keep `alive` from those that are here. */
    if (!evtimer_pending(reader->source->wake, NULL))
        plan_wake(reader->source, clock_now_ms());
    return reader;
}

void web_streams_disconnect(struct web_streams *streams)
{
    const struct web_stream_reader *reader;
    while ((reader = TAILQ_FIRST(&streams->readers)) != NULL)
        disconnect_reader(reader);
}

/* The connection frees its request, except after it has failed. */
void web_streams_closed(struct web_stream_reader *reader)
{
    struct stream_source *source = reader->source;
    TAILQ_REMOVE(&source->streams->readers, reader, all);
    source->streams->count--;
    source->readers--;
    source->hooks->closed(source->context, reader->own);
    if (evhttp_request_get_connection(reader->evhttp_request) == NULL)
        evhttp_send_reply_end(reader->evhttp_request);
    free(reader);
}
