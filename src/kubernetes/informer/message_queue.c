#include "kubernetes/informer/message_queue.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>

void message_queue_init(struct message_queue *queue, struct informer *informer,
                        void (*free_content)(void *content))
{
    queue->informer = informer;
    queue->free_content = free_content;
    pthread_mutex_init(&queue->lock, NULL);
}

static void message_free(const struct message_queue *queue, struct queued_message *message)
{
    if (message->content != NULL)
        queue->free_content(message->content);
    free(message->key);
    free(message);
}

static void drop(struct message_queue *queue, struct queued_message *message)
{
    HASH_DELETE(hh, queue->messages, message);
    message_free(queue, message);
}

void message_queue_done(struct message_queue *queue)
{
    struct queued_message *message;
    struct queued_message *next;
    HASH_ITER(hh, queue->messages, message, next)
        drop(queue, message);
    pthread_mutex_destroy(&queue->lock);
}

static void add(struct message_queue *queue, enum message_kind kind, const char *key,
                size_t key_length, void *content)
{
    struct queued_message *message = memory_new(sizeof(*message));
    message->kind = kind;
    message->key = text_copy_bytes(key, key_length);
    message->key_length = key_length;
    message->content = content;
    message->is_known = kind != MESSAGE_ADD;
    HASH_ADD_KEYPTR(hh, queue->messages, message->key, key_length, message);
}

/* What was added and removed before anybody knew of it was nothing. */
static void merge(struct message_queue *queue, struct queued_message *message,
                  enum message_kind kind, void *content)
{
    if (kind == MESSAGE_REFRESH)
        return; /* what is added is read anyway */
    if (kind == MESSAGE_REMOVE && !message->is_known) {
        drop(queue, message);
        return;
    }
    if (message->content != NULL)
        queue->free_content(message->content);
    message->content = content;
    message->kind = kind;
}

void message_queue_send(struct message_queue *queue, enum message_kind kind, const char *key,
                        size_t key_length, void *content)
{
    struct queued_message *message;
    pthread_mutex_lock(&queue->lock);
    HASH_FIND(hh, queue->messages, key, key_length, message);
    if (message == NULL)
        add(queue, kind, key, key_length, content);
    else
        merge(queue, message, kind, content);
    pthread_mutex_unlock(&queue->lock);
    informer_wake(queue->informer);
}

void message_queue_receive(struct message_queue *queue,
                           void (*receive)(void *context, struct queued_message *message),
                           void *context)
{
    struct queued_message *message;
    struct queued_message *next;
    pthread_mutex_lock(&queue->lock);
    struct queued_message *messages = TAKE(queue->messages);
    pthread_mutex_unlock(&queue->lock);
    HASH_ITER(hh, messages, message, next) {
        HASH_DELETE(hh, messages, message);
        receive(context, message);
        message_free(queue, message);
    }
}
