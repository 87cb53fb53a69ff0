#include "lab/server_reader.h"

#include "base/system/thread.h"

static void free_all(struct server_reader *reader)
{
    http_client_free(reader->client);
    pthread_cond_destroy(&reader->wake);
    pthread_mutex_destroy(&reader->lock);
}

bool server_reader_begin(struct server_reader *reader, const struct http_server *server,
                         int64_t timeout_ms, void *(*run)(void *context), void *context,
                         struct error *error)
{
    pthread_condattr_t attributes;
    reader->client = http_client_new(server, timeout_ms);
    reader->is_stopping = false;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&reader->lock, NULL);
    pthread_cond_init(&reader->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (thread_begin_without_signals(&reader->thread, run, context))
        return true;
    free_all(reader);
    return error_set(error, ERROR_LIMIT, "the machine has no thread left for --server-http");
}

void server_reader_end(struct server_reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    reader->is_stopping = true;
    pthread_cond_signal(&reader->wake);
    pthread_mutex_unlock(&reader->lock);
    http_client_cancel(reader->client);
    pthread_join(reader->thread, NULL);
    free_all(reader);
}
