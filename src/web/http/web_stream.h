/*
 * Streams: responses that go on (server-sent events). All readers of a page share its source: what
 * the page's hooks update. A reader is sent at once what is there, then what is new after each
 * update.
 *
 * The life of a reader:
 *
 *     opened -> piece is being sent <-> all is sent -> closed
 *
 *     a piece is written     when our kernel has all of the piece before, and there is more
 *     `alive` is written     when all is sent, and nothing was written for 5 s, or for 2 s before
 *                            an update. A reader takes long silence for a lost connection, which
 *                            TCP does not report
 *     the reader is closed   when something was on its way to it for 30 s, and its kernel has
 *                            acknowledged nothing; when its session ends; or for a reader of
 *                            another address (web_streams_admit())
 *
 * So a slow reader costs one piece of memory and what our kernel keeps, and skips states that it
 * has no time for. One whose network failed acknowledges nothing, not even `alive`; one that reads
 * nothing does so once the buffer of its own kernel is full.
 *
 * A reader that takes what it is sent is sent something at least every WEB_STREAM_MAX_SILENCE_MS,
 * where an update takes at most 8 s (2 + 8), and other pages take at most 3 s of the HTTP server's
 * thread (7 + 3). Both may take longer where the server's loop is busy (trigger_walk.h): a reader
 * does better to wait for 30 s, as the dashboard does.
 *
 * A source takes at most a twentieth of a core: after each update it rests for
 *
 *     what update() returned
 *     + 20 * CPU time of update() and of writing what is new to the readers
 *     + 20 * CPU time of all other pieces since the update before, of which at most 1.5 s count
 *
 * Example: update() took 40 ms and returned 1000, ten readers took 10 ms, and one that came since
 * the update before took 50 ms for its first pieces: 1000 + 20 * (40 + 10) + 20 * 50 = 3000 ms. The
 * kernel's time for the bytes does not count. First pieces are sent at once, however many readers
 * come: they only put the next update off, by 30 s at most.
 *
 * Readers that come and leave in turn cause no updates of their own. When the last reader has left,
 * a source keeps what it has until its next update would have been due:
 *
 *     a reader comes before that   it is sent what the source has kept
 *     nobody comes                 the source forgets (forget()); a later reader has it updated at
 *                                  once
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
    WEB_STREAM_BUSY_SHARE = 20,         /* a source takes a twentieth of a core */
    WEB_STREAM_MAX_SILENCE_MS = 10 * 1000,
    WEB_STREAM_TIMEOUT_MS = 30 * 1000, /* of a reader that takes nothing of what it is sent */
};

/* The hooks of a page that is a stream. */
struct web_stream_hooks {
    /* A reader has come, or gone. closed() and write() are given what opened() returned.
     * has_session: the cookie of a login (web_login.h) admits the reader, who can log out. */
    void *(*opened)(void *context, bool has_session);
    void (*closed)(void *context, void *reader);
    /* Looks whether something has changed, while there are readers. Returns how many milliseconds
     * the source is to rest, without the CPU time of this thread (above). The hook itself adds
     * WEB_STREAM_BUSY_SHARE times the time for which other threads worked for it. */
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

/* Whether the next reader may come. At the limit one reader of the address with the most readers is
 * closed, if that address has at least two readers more than the next reader's. */
bool web_streams_admit(struct web_streams *streams, struct evhttp_connection *next);

/* Begins the response to the request; its headers are set already. The stream goes on until ends_s,
 * in seconds since 1970, when the reader's session ends; INT64_MAX: there is no session. */
struct web_stream_reader *web_streams_open(struct web_streams *streams,
                                           const struct web_stream_hooks *hooks, void *context,
                                           struct evhttp_request *evhttp_request, int64_t ends_s);

/* Closes all readers, as the token that permitted them is replaced. */
void web_streams_disconnect(struct web_streams *streams);

/* What a reader takes of what it is sent. */
struct web_stream_progress {
    size_t left_bytes;   /* on their way to it, when it took something last or was sent more */
    int64_t taken_at_ms; /* when it took something last, or nothing was on its way */
};

/* What the client of a connection has not taken of what it is sent: what we have, and what our
 * kernel has. */
size_t web_stream_bytes_left(struct bufferevent *bufferevent);

/* Notes how much of what was sent before is on its way to the reader now. Public for tests. */
void web_stream_note_progress(struct web_stream_progress *progress, size_t left_bytes,
                              int64_t now_ms);

/* Whether the reader has taken nothing for WEB_STREAM_TIMEOUT_MS, as was noted. Public for tests.
 */
bool web_stream_is_stuck(const struct web_stream_progress *progress, int64_t now_ms);

/* Frees the reader, whose connection is ending. */
void web_streams_closed(struct web_stream_reader *reader);

#endif
