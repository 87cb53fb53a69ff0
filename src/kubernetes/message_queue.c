#include "kubernetes/message_queue.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <utlist.h>

void message_queue_init(struct message_queue *queue, struct informer *informer,
                        void (*free_content)(void *content))
{
    queue->informer = informer;
    queue->free_content = free_content;
    pthread_mutex_init(&queue->lock, NULL);
}

static void message_free(const struct message_queue *queue, struct message *message)
{
    if (message->content != NULL)
        queue->free_content(message->content);
    free(message->key);
    free(message);
}

void message_queue_done(struct message_queue *queue)
{
    struct message *message;
    struct message *next;
    DL_FOREACH_SAFE(queue->messages, message, next)
        message_free(queue, message);
    pthread_mutex_destroy(&queue->lock);
}

void message_queue_send(struct message_queue *queue, enum message_kind kind, const char *key,
                        size_t key_length, void *content)
{
    struct message *message = memory_new(sizeof(*message));
    message->kind = kind;
    message->key = text_copy_bytes(key, key_length);
    message->key_length = key_length;
    message->content = content;
    pthread_mutex_lock(&queue->lock);
    DL_APPEND(queue->messages, message);
    pthread_mutex_unlock(&queue->lock);
    informer_wake(queue->informer);
}

void message_queue_receive(struct message_queue *queue,
                           void (*receive)(void *context, struct message *message), void *context)
{
    struct message *message;
    struct message *next;
    pthread_mutex_lock(&queue->lock);
    struct message *messages = TAKE(queue->messages);
    pthread_mutex_unlock(&queue->lock);
    DL_FOREACH_SAFE(messages, message, next) {
        receive(context, message);
        message_free(queue, message);
    }
}
