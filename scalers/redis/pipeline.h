/*
 * A pipeline: many commands in one round trip. They are written while the answers are read, so that
 * neither side waits for the other to make room, and answers come in the order of the commands.
 *
 * Threads: that of its client.
 */
#ifndef BACKLOG_SCALERS_REDIS_PIPELINE_H
#define BACKLOG_SCALERS_REDIS_PIPELINE_H

#include "base/error.h"
#include "redis/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REDIS_WORDS_MOST = 6 };

struct redis_command {
    const char *words[REDIS_WORDS_MOST]; /* not copied: they outlive the run; NULL where fewer */
    void *asker;                         /* the caller's */
};

struct redis_pipeline {
    struct redis_client *client;
    /* Takes one answer, which is freed after it. It may ask more. */
    void (*answered)(struct redis_pipeline *pipeline, struct redis_command command,
                     const redisReply *reply);
    void *context; /* the caller's */

    /* The rest belongs to pipeline.c. */
    struct redis_command *commands;
    size_t count;
    size_t capacity;
    size_t sent;
    size_t taken;
    bool unwritten;  /* the client's buffer still has some of what was sent */
    size_t received; /* bytes of the answer that is not whole yet */
};

void redis_pipeline_ask(struct redis_pipeline *pipeline, struct redis_command command);

/*
 * Returns true once all is answered. Otherwise, and at the deadline, the client is of no further use:
 * what it may still receive answers what nobody waits for any more.
 */
bool redis_pipeline_run(struct redis_pipeline *pipeline, int64_t deadline_ms, struct error *error);

void redis_pipeline_done(struct redis_pipeline *pipeline);

#endif
