/*
 * Reads replies from a connected socket; hiredis parses them. What a server may announce has
 * limits: the bytes, the values and the depth of a reply, and the memory of all connections.
 *
 * Threads: that of the client. Nothing blocks.
 */
#ifndef BACKLOG_SCALERS_REDIS_CONNECTION_READER_H
#define BACKLOG_SCALERS_REDIS_CONNECTION_READER_H

#include "shared/reply_memory.h"
#include "shared/tls_socket.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>

/* The number of an array's elements, as hiredis has it. */
#if HIREDIS_MAJOR >= 1
typedef size_t redis_element_count;
#else
typedef int redis_element_count;
#endif

/* {0} has not begun. */
struct redis_reader {
    redisContext *context;               /* borrowed */
    size_t partial_bytes;                /* of a reply that is not complete */
    size_t elements;                     /* of its arrays, as they were announced */
    struct reply_memory memory;          /* of the bytes and the elements */
    redisReplyObjectFunctions functions; /* hiredis's own, but for: */
    void *(*create_array)(const redisReadTask *task, redis_element_count elements);
};

enum redis_read {
    REDIS_READ_DONE,
    REDIS_READ_HUNG_UP, /* the server closed the connection, or it broke; `ret_reason` says how */
    REDIS_READ_INVALID, /* no Redis; `ret_reason` says why */
    REDIS_READ_TOO_LARGE,
};

void redis_reader_begin(struct redis_reader *reader, redisContext *context);
void redis_reader_done(struct redis_reader *reader);

/* Reads what is there, over TLS where that is not NULL. */
enum redis_read redis_reader_read(struct redis_reader *reader, struct tls_socket *tls,
                                  const char **ret_reason);

/* The next reply of what was read, which the caller frees; NULL: it is not complete. */
enum redis_read redis_reader_next(struct redis_reader *reader, redisReply **ret_reply,
                                  const char **ret_reason);

#endif
