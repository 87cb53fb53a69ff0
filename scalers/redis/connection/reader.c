#include "redis/connection/reader.h"

enum {
    MAX_REPLY_BYTES = 2 << 20, /* a consumer group is 150 bytes of XINFO GROUPS */
    MAX_ELEMENTS = 1 << 16,    /* of all arrays of a reply; it is 13 of them */
    MAX_DEPTH = 7,             /* of arrays in arrays; CLUSTER SLOTS has 4 */
    ELEMENT_BYTES = sizeof(redisReply *) + sizeof(redisReply) + 16, /* with malloc()'s own */
};

/* False: other connections have the memory for it. */
static bool count_memory(struct redis_reader *reader)
{
    return reply_memory_set(&reader->memory,
                            reader->partial_bytes + reader->elements * ELEMENT_BYTES);
}

static bool is_too_deep(const redisReadTask *task)
{
    size_t depth = 0;
    for (; task != NULL && depth <= MAX_DEPTH; task = task->parent)
        depth++;
    return depth > MAX_DEPTH;
}

/* hiredis allocates as many as are announced, and each is a value of the reply: there are no more
 * values than that. From 1.0 on it has no limit of depth: it keeps a task for each level until the
 * connection is closed, and frees a reply by recursion. */
static void *create_limited_array(const redisReadTask *task, redis_element_count elements)
{
    struct redis_reader *reader = task->privdata;
    if ((size_t)elements > MAX_ELEMENTS - reader->elements || is_too_deep(task))
        return NULL;
    reader->elements += (size_t)elements;
    if (!count_memory(reader))
        return NULL;
    return reader->create_array(task, elements);
}

void redis_reader_begin(struct redis_reader *reader, redisContext *context)
{
    reader->context = context;
    reader->functions = *context->reader->fn;
    reader->create_array = reader->functions.createArray;
    reader->functions.createArray = create_limited_array;
    context->reader->fn = &reader->functions;
    context->reader->privdata = reader;
}

void redis_reader_done(struct redis_reader *reader)
{
    reply_memory_set(&reader->memory, 0);
}

static enum redis_read explain(const struct redis_reader *reader, const char **ret_reason)
{
    const redisContext *context = reader->context;
    *ret_reason = context->errstr;
    if (context->err == REDIS_ERR_OOM) /* an array beyond our limit, or that of all connections */
        return REDIS_READ_TOO_LARGE;
    return context->err == REDIS_ERR_EOF || context->err == REDIS_ERR_IO ? REDIS_READ_HUNG_UP
                                                                         : REDIS_READ_INVALID;
}

/* One record, whole: OpenSSL keeps nothing that poll() does not know of. */
static enum redis_read read_record(struct redis_reader *reader, struct tls_socket *tls,
                                   const char **ret_reason)
{
    char buffer[TLS_RECORD_BYTES];
    size_t length = 0;
    enum tls_result result = tls_socket_read(tls, buffer, sizeof(buffer), &length);
    *ret_reason = tls_socket_reason(tls);
    if (result == TLS_CLOSED)
        return REDIS_READ_HUNG_UP;
    if (result == TLS_BROKEN)
        return REDIS_READ_INVALID;
    if (result == TLS_WAITING ||
        redisReaderFeed(reader->context->reader, buffer, length) == REDIS_OK)
        return REDIS_READ_DONE;
    return REDIS_READ_TOO_LARGE;
}

enum redis_read redis_reader_read(struct redis_reader *reader, struct tls_socket *tls,
                                  const char **ret_reason)
{
    size_t before = reader->context->reader->len;
    enum redis_read result = REDIS_READ_DONE;
    if (tls != NULL)
        result = read_record(reader, tls, ret_reason);
    else if (redisBufferRead(reader->context) != REDIS_OK)
        result = explain(reader, ret_reason);
    if (result == REDIS_READ_DONE)
        reader->partial_bytes += reader->context->reader->len - before;
    return result;
}

enum redis_read redis_reader_next(struct redis_reader *reader, redisReply **ret_reply,
                                  const char **ret_reason)
{
    const redisReader *parser = reader->context->reader;
    void *reply = NULL;
    if (redisGetReplyFromReader(reader->context, &reply) != REDIS_OK)
        return explain(reader, ret_reason);
    *ret_reply = reply;
    if (reply != NULL) {
        reader->elements = 0;
        reader->partial_bytes = parser->len - parser->pos;
        return REDIS_READ_DONE;
    }
    return count_memory(reader) && reader->partial_bytes <= MAX_REPLY_BYTES ? REDIS_READ_DONE
                                                                            : REDIS_READ_TOO_LARGE;
}
