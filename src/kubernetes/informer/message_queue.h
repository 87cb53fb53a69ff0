/*
 * Messages to the informer's thread: who is to be followed from now on, who is not any more, and
 * whose objects are to be read again. There is one message per key at a time. Later ones about the
 * key are merged into it, so that a busy thread has no more messages than there are keys.
 *
 * Threads: any sends, the informer's receives.
 */
#ifndef BACKLOG_KUBERNETES_INFORMER_MESSAGE_QUEUE_H
#define BACKLOG_KUBERNETES_INFORMER_MESSAGE_QUEUE_H

#include "base/hash_table.h"
#include "kubernetes/informer/informer.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum message_kind { MESSAGE_ADD, MESSAGE_REMOVE, MESSAGE_REFRESH };

struct queued_message {
    enum message_kind kind;
    char *key; /* who; with a NUL behind its bytes, which may have others */
    size_t key_length;
    void *content; /* of MESSAGE_ADD, or NULL; its receiver may take it */
    bool is_known; /* the receiver may have the key */
    UT_hash_handle hh;
};

struct message_queue {
    struct informer *informer;           /* borrowed */
    void (*free_content)(void *content); /* of what was not taken */
    pthread_mutex_t lock;
    /* Guarded; by key, in the order in which their first was sent. */
    struct queued_message *messages;
};

void message_queue_init(struct message_queue *queue, struct informer *informer,
                        void (*free_content)(void *content));
void message_queue_done(struct message_queue *queue); /* the informer has been stopped */

/* Any thread; it does not wait. `content` is taken. A key is added once before it is removed, and
 * may be added again then. */
void message_queue_send(struct message_queue *queue, enum message_kind kind, const char *key,
                        size_t key_length, void *content);

/* The informer's thread: receives what was sent by now. What is added may be known still: it takes
 * the place of the former one. */
void message_queue_receive(struct message_queue *queue,
                           void (*receive)(void *context, struct queued_message *message),
                           void *context);

#endif
