/*
 * Streams: responses that go on (server-sent events). A reader is sent at once what is there, then
 * what is new after each update of its source.
 *
 * A reader is sent a piece when it has taken all of the piece before. So a slow reader costs one
 * piece of memory, and skips states that it has no time for. A reader is closed when it takes
 * nothing for 30 s, and when its session ends. Without news it is sent the event `alive`: where it
 * is sent nothing for WEB_STREAM_MAX_SILENCE_MS its connection is lost, which TCP does not report.
 *
 * A source takes at most a twentieth of a core: after each update it rests for
 *
 *     what update() returned
 *     + WEB_STREAM_BUSY_SHARE * CPU time of update() and of writing what is new to the readers
 *     + WEB_STREAM_BUSY_SHARE * CPU time of all other pieces since the update before, at most 1.5 s
 *
 * Not in the twentieth are what the kernel does to send the bytes, and what readers are sent at
 * first: they are sent it when they come, and it only puts the next update off.
 *
 * Readers that come and leave in turn cost no more: when the last one has left, a source keeps what
 * it has until its next update would have been due, and a reader that comes before then is sent
 * that. One that comes later has the source updated at once.
 *
 * Threads: the HTTP server's own runs every hook.
 */
#ifndef BACKLOG_WEB_HTTP_WEB_STREAM_H
#define BACKLOG_WEB_HTTP_WEB_STREAM_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WEB_STREAM_MAX_READERS = 200,
    WEB_STREAM_PIECE_BYTES = 64 * 1024, /* a hook stops adding when a piece is this large */
    WEB_STREAM_BUSY_SHARE = 20,         /* a source takes one part in so many of a core */
    WEB_STREAM_MAX_SILENCE_MS = 10 * 1000,
    WEB_STREAM_TIMEOUT_MS = 30 * 1000, /* of a reader that takes nothing of its piece */
};

/* The hooks of a page that is a stream. */
struct web_stream_hooks {
    /* A reader has come, or gone. What opened() returns is given to the others. has_session: it
     * is the cookie of a login (web_login.h) that admits the reader, who can log out. */
    void *(*opened)(void *context, bool has_session);
    void (*closed)(void *context, void *reader);
    /* Looks whether something has changed; it is called while there are readers. Returns for how
     * many milliseconds the source is to rest, before what this thread did is added (above). Where
     * other threads worked for it, it adds WEB_STREAM_BUSY_SHARE times their time itself. */
    int64_t (*update)(void *context);
    /* Adds what is new for this reader. True: there is more. */
    bool (*write)(void *context, void *reader, struct text *piece);
    /* There has been no reader for a while: what update() left is not needed before the next. */
    void (*forget)(void *context);
};

struct bufferevent;
struct event_base;
struct evhttp_connection;
struct evhttp_request;
struct web_stream_reader;
struct web_streams;

/* All streams of the HTTP server. They are freed after all readers are closed. */
struct web_streams *web_streams_new(struct event_base *base);
void web_streams_free(struct web_streams *streams);

/* Whether one more reader may come. At the limit a reader of the address that has the most is
 * closed for it, if that has at least two more than the address of the one that comes. */
bool web_streams_admit(struct web_streams *streams, struct evhttp_connection *next);

/* Begins the response to the request; its headers are set already. It goes on until the session of
 * whoever requested it ends, in seconds since 1970; INT64_MAX: there is no session. */
struct web_stream_reader *web_streams_open(struct web_streams *streams,
                                           const struct web_stream_hooks *hooks, void *context,
                                           struct evhttp_request *evhttp_request, int64_t ends_s);

/* Closes all readers, as the token that permitted them is replaced. */
void web_streams_disconnect(struct web_streams *streams);

/* How much of its piece a reader had not taken when that was last less than before, and when. */
struct web_stream_progress {
    size_t left_bytes;
    int64_t taken_at_ms;
};

/* What the client of a connection has not taken of what it is sent: what we have, and what our
 * kernel has. */
size_t web_stream_bytes_left(struct bufferevent *bufferevent);

/* Notes whether the reader, who has so much left to take now, has taken something. True: nothing
 * for WEB_STREAM_TIMEOUT_MS. For tests, too. */
bool web_stream_is_stuck(struct web_stream_progress *progress, size_t left_bytes, int64_t now_ms);

/* Ends the reader, whose connection is ending. */
void web_streams_closed(struct web_stream_reader *reader);

#endif
