#include "redis/pipeline.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_BYTES = 64 * 1024,  /* what is handed to the socket before answers are looked at again */
    LARGEST_ANSWER = 4 << 20, /* a consumer group is 150 bytes of XINFO GROUPS */
};

void redis_pipeline_ask(struct redis_pipeline *pipeline, struct redis_command command)
{
    pipeline->commands = memory_grow(pipeline->commands, &pipeline->capacity, pipeline->count + 1,
                                     sizeof(*pipeline->commands));
    pipeline->commands[pipeline->count++] = command;
}

void redis_pipeline_done(struct redis_pipeline *pipeline)
{
    free(pipeline->commands);
}

static bool is_too_large(const struct redis_client *client, struct error *error)
{
    return error_unavailable(error, "Redis at %s sends an answer that is too large",
                             client->address);
}

static bool broke(const struct redis_client *client, struct error *error)
{
    if (client->context->err == REDIS_ERR_OOM) /* an array beyond our limit */
        return is_too_large(client, error);
    return error_unavailable(error, "the connection to Redis at %s broke: %s", client->address,
                             client->context->errstr);
}

/* Returns how many bytes it appended; 0: out of memory. */
static size_t append(redisContext *context, const struct redis_command *command)
{
    size_t lengths[REDIS_WORDS_MOST];
    size_t bytes = 0;
    int words = 0;
    for (; words < REDIS_WORDS_MOST && command->words[words] != NULL; words++) {
        lengths[words] = strlen(command->words[words]);
        bytes += lengths[words];
    }
    const char **arguments = (const char **)command->words;
    bool good = redisAppendCommandArgv(context, words, arguments, lengths) == REDIS_OK;
    return good ? bytes : 0;
}

static bool send_some(struct redis_pipeline *pipeline, struct error *error)
{
    redisContext *context = pipeline->client->context;
    size_t bytes = 0;
    while (!pipeline->unwritten && bytes < CHUNK_BYTES && pipeline->sent < pipeline->count) {
        size_t added = append(context, &pipeline->commands[pipeline->sent]);
        if (added == 0)
            return broke(pipeline->client, error);
        bytes += added;
        pipeline->sent++;
    }
    int done = 0;
    if (redisBufferWrite(context, &done) != REDIS_OK)
        return broke(pipeline->client, error);
    pipeline->unwritten = !done;
    return true;
}

/* Waits until something can be read or written, and reads. */
static bool receive_some(struct redis_pipeline *pipeline, int64_t deadline_ms, struct error *error)
{
    redisContext *context = pipeline->client->context;
    bool more = pipeline->unwritten || pipeline->sent < pipeline->count;
    struct pollfd socket = {.fd = context->fd, .events = (short)(more ? POLLIN | POLLOUT : POLLIN)};
    int left_ms = clock_left_ms(deadline_ms, INT_MAX);
    int ready = left_ms == 0 ? 0 : poll(&socket, 1, left_ms);
    if (ready < 0 && errno != EINTR)
        return error_unavailable(error, "the connection to Redis at %s broke: %s",
                                 pipeline->client->address, strerror(errno));
    if (ready == 0)
        return error_unavailable(error, "Redis at %s does not answer in time",
                                 pipeline->client->address);
    if (ready < 0 || (socket.revents & ~POLLOUT) == 0)
        return true;

    size_t before = context->reader->len;
    if (redisBufferRead(context) != REDIS_OK)
        return broke(pipeline->client, error);
    pipeline->received += context->reader->len - before;
    return true;
}

static bool take_answer(struct redis_pipeline *pipeline, redisReply *reply, struct error *error)
{
    bool asked = pipeline->taken < pipeline->sent;
    if (asked)
        pipeline->answered(pipeline, pipeline->commands[pipeline->taken++], reply);
    freeReplyObject(reply);
    return asked || error_unavailable(error, "Redis at %s answered what was not asked",
                                      pipeline->client->address);
}

static bool take_answers(struct redis_pipeline *pipeline, struct error *error)
{
    const redisReader *reader = pipeline->client->context->reader;
    for (;;) {
        void *reply = NULL;
        if (redisGetReplyFromReader(pipeline->client->context, &reply) != REDIS_OK)
            return broke(pipeline->client, error);
        if (reply == NULL)
            break;
        if (!take_answer(pipeline, reply, error))
            return false;
        pipeline->received = reader->len - reader->pos;
    }
    return pipeline->received <= LARGEST_ANSWER || is_too_large(pipeline->client, error);
}

bool redis_pipeline_run(struct redis_pipeline *pipeline, int64_t deadline_ms, struct error *error)
{
    while (pipeline->taken < pipeline->count)
        if (!send_some(pipeline, error) || !receive_some(pipeline, deadline_ms, error) ||
            !take_answers(pipeline, error))
            return false;
    return true;
}
