/*
 * Streams: answers that go on (server-sent events). A reader is sent a piece when it has taken all
 * of the one before, so that one that is slow or never reads costs one piece of memory, and gets
 * the newest state when it can. One that takes nothing for 30 s is closed.
 *
 * Threads: the HTTP server's own runs every hook.
 */
#ifndef BACKLOG_WEB_HTTP_STREAM_H
#define BACKLOG_WEB_HTTP_STREAM_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STREAM_MAX_READERS = 200,
    STREAM_PIECE_BYTES = 64 * 1024, /* a hook stops adding when a piece is this large */
    STREAM_PATIENCE_MS = 30 * 1000,
};

/* What a page that is a stream consists of. */
struct stream_hooks {
    /* A reader has come, or gone. What opened() returns is given to the others. */
    void *(*opened)(void *context);
    void (*closed)(void *context, void *reader);
    /* While there are readers: something may have changed. Returns in how many milliseconds to call
     * again. */
    int64_t (*tick)(void *context);
    /* Adds what is new for this reader. True: there is more. */
    bool (*write)(void *context, void *reader, struct text *piece);
};

struct event_base;
struct evhttp_connection;
struct evhttp_request;
struct reader;
struct streams;

/* For the HTTP server: all its streams. They are freed when all readers are closed. */
struct streams *streams_new(struct event_base *base);
void streams_free(struct streams *streams);

/* Room for one more reader. At the limit one is closed of the address that has the most, if that
 * has at least two more than the address of the one that comes; otherwise false. */
bool streams_make_room(struct streams *streams, struct evhttp_connection *next);

/* Begins the answer. The headers of the request's answer are set. */
struct reader *streams_open(struct streams *streams, const struct stream_hooks *hooks,
                            void *context, struct evhttp_request *request);

/* Closes all: they were permitted by a token that is no more. */
void streams_disconnect(struct streams *streams);

/* Its connection is ending. */
void streams_closed(struct reader *reader);

#endif
