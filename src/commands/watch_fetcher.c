#include "commands/watch_fetcher.h"

#include "base/memory.h"
#include "base/system/thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct watch_fetcher {
    struct http_client *client; /* the thread's, but for its cancellation */
    const struct watch_form *form;
    int64_t interval_ms;
    int news_fd, stop_fd;
    pthread_t thread;

    pthread_mutex_t lock; /* guards what follows */
    void *content;        /* NULL: none, or it was taken */
    struct error error;
    bool is_fresh;
};

/* Takes both; without a content there is an error. */
static void hand_over(struct watch_fetcher *fetcher, void *content, struct error *error)
{
    pthread_mutex_lock(&fetcher->lock);
    if (content != NULL) {
        fetcher->form->free(fetcher->content);
        fetcher->content = content;
    }
    error_done(&fetcher->error);
    error_move(&fetcher->error, error);
    fetcher->is_fresh = true;
    pthread_mutex_unlock(&fetcher->lock);
    eventfd_write(fetcher->news_fd, 1);
}

static void *fetch(void *context)
{
    struct watch_fetcher *fetcher = context;
    struct pollfd stop = {.fd = fetcher->stop_fd, .events = POLLIN};
    do {
        struct error error = {0};
        void *content = fetcher->form->fetch(fetcher->client, &error);
        hand_over(fetcher, content, &error);
    } while (poll(&stop, 1, (int)fetcher->interval_ms) == 0);
    return NULL;
}

struct watch_fetcher *watch_fetcher_start(struct http_client *client, const struct watch_form *form,
                                          int64_t interval_ms)
{
    struct watch_fetcher *fetcher = memory_new(sizeof(*fetcher));
    fetcher->client = client;
    fetcher->form = form;
    fetcher->interval_ms = interval_ms;
    fetcher->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fetcher->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&fetcher->lock, NULL);
    if (!thread_begin_without_signals(&fetcher->thread, fetch, fetcher))
        abort();
    return fetcher;
}

void watch_fetcher_stop(struct watch_fetcher *fetcher)
{
    http_client_cancel(fetcher->client);
    eventfd_write(fetcher->stop_fd, 1);
    pthread_join(fetcher->thread, NULL);
    pthread_mutex_destroy(&fetcher->lock);
    fetcher->form->free(fetcher->content);
    error_done(&fetcher->error);
    http_client_free(fetcher->client);
    close(fetcher->news_fd);
    close(fetcher->stop_fd);
    free(fetcher);
}

int watch_fetcher_descriptor(const struct watch_fetcher *fetcher)
{
    return fetcher->news_fd;
}

bool watch_fetcher_take(struct watch_fetcher *fetcher, void **ret_content, struct error *error)
{
    eventfd_t count;
    eventfd_read(fetcher->news_fd, &count);
    pthread_mutex_lock(&fetcher->lock);
    bool is_fresh = fetcher->is_fresh;
    fetcher->is_fresh = false;
    if (is_fresh && error_is_set(&fetcher->error))
        error_copy(error, &fetcher->error);
    else if (is_fresh)
        *ret_content = TAKE(fetcher->content);
    pthread_mutex_unlock(&fetcher->lock);
    return is_fresh;
}
