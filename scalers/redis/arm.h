/*
 * Arming: Redis tells of a key that was changed since it was read (CLIENT TRACKING), once, to a second
 * connection that listens. Only what is to be armed is tracked (OPTIN): each take from a list is a
 * change, too, and of a busy one we would be told all day.
 *
 * What no command changes is not told: entries of a stream that a group is given (XREADGROUP) become
 * pending without a word, so pending entries cannot be armed.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_ARM_H
#define BACKLOG_SCALERS_REDIS_ARM_H

#include "measure/scaler.h"
#include "redis/client.h"
#include "redis/pipeline.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before each measurement: begins to listen where a probe wants that, and sees whether it is still heard.
 * False: the client is of no further use. That nobody may listen is no error of it. */
bool redis_arm_prepare(struct redis_client *client, struct probe *const *probes, size_t count,
                       int64_t deadline_ms, struct error *error);

/* Just before the command is asked that reads the key: arms with it, where the probe wants that. */
void redis_arm_ask(struct redis_pipeline *pipeline, struct probe *probe, const char *key);

/* To be given each answer of the pipeline. True: it was one to redis_arm_ask(). */
bool redis_arm_answered(struct redis_pipeline *pipeline, struct redis_command command,
                        const redisReply *reply);

/* Nobody listens any more: the wakers wake. */
void redis_arm_lose(struct redis_client *client);
void redis_arm_free(struct redis_client *client); /* without a wake */

/* As struct scaler has them. */
void redis_arm_disarm(void *client, uint64_t waker_id);
int redis_arm_descriptor(const void *client);
void redis_arm_hear(void *client);

#endif
