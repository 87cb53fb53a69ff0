/* Messages to a thread that is busy: no more of them than there are triggers. */
#include "kubernetes/informer/message_queue.h"

#include "base/memory.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

void informer_wake(struct informer *informer)
{
    (void)informer;
}

static void post(struct message_queue *queue, enum message_kind kind, const char *key,
                 const char *content)
{
    message_queue_send(queue, kind, key, strlen(key), content == NULL ? NULL : text_copy(content));
}

static void note(void *context, struct queued_message *message)
{
    static const char *const signs[] = {"+", "-", "?"};
    text_addf(context, "%s%s%s ", signs[message->kind], message->key,
              message->content == NULL ? "" : (const char *)message->content);
}

static void assert_received(struct message_queue *queue, const char *expected)
{
    _cleanup_(text_done) struct text seen = {0};
    message_queue_receive(queue, note, &seen);
    assert_string_equal(seen.bytes == NULL ? "" : seen.bytes, expected);
}

static void there_is_one_message_about_a_key(void **state)
{
    (void)state;
    struct message_queue queue = {0};
    message_queue_init(&queue, NULL, free);
    post(&queue, MESSAGE_ADD, "a", "1");
    post(&queue, MESSAGE_ADD, "b", "1");
    post(&queue, MESSAGE_REFRESH, "a", NULL);
    assert_received(&queue, "+a1 +b1 ");
    assert_received(&queue, "");

    post(&queue, MESSAGE_REFRESH, "a", NULL);
    post(&queue, MESSAGE_REFRESH, "a", NULL);
    assert_received(&queue, "?a ");
    post(&queue, MESSAGE_REFRESH, "a", NULL);
    post(&queue, MESSAGE_REMOVE, "a", NULL);
    assert_received(&queue, "-a ");

    for (int i = 0; i < 1000; i++) { /* nobody ever knew of it */
        post(&queue, MESSAGE_ADD, "c", "1");
        post(&queue, MESSAGE_REMOVE, "c", NULL);
    }
    assert_received(&queue, "");
    for (int i = 0; i < 1000; i++) { /* known, and another one in its place in the end */
        post(&queue, MESSAGE_REMOVE, "b", NULL);
        post(&queue, MESSAGE_ADD, "b", i == 999 ? "2" : "3");
    }
    assert_received(&queue, "+b2 ");
    post(&queue, MESSAGE_REMOVE, "b", NULL);
    post(&queue, MESSAGE_ADD, "b", "4");
    post(&queue, MESSAGE_REMOVE, "b", NULL);
    post(&queue, MESSAGE_ADD, "d", "5");
    assert_received(&queue, "-b +d5 ");
    post(&queue, MESSAGE_ADD, "e", "6"); /* freed */
    message_queue_done(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_one_message_about_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
