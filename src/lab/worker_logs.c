#include "lab/worker_logs.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

enum { LINE_BYTES = 256 }; /* of a line that may say how many messages are done */

static const char done_prefix[] = "backlog: done ";

/* The reading end of one worker's standard output. */
struct worker_pipe {
    int fd;
    uint64_t id;
    double done; /* that this process has said; NAN: nothing yet */
    struct worker_pipe *next, *prev;
};

struct worker_log {
    uint64_t id;
    size_t pipes; /* that are open: of this worker, and of the one that it replaces */
    char *bytes;
    size_t length;
    char line[LINE_BYTES]; /* the one that is being read */
    size_t line_length;
    double done;
    struct worker_log *next, *prev;
};

struct worker_logs {
    pthread_mutex_t lock; /* never held across I/O */
    pthread_t thread;
    int wake_fd;
    bool is_stopping;
    struct worker_log *list; /* utlist, the first worker first */
    size_t count;
    double done;                /* of all workers that there were; NAN: none has said anything */
    struct worker_pipe *opened; /* utlist: for the thread to take */

    struct worker_pipe *pipes; /* utlist; the thread's alone */
    size_t pipe_count;
};

static struct worker_log *find(const struct worker_logs *logs, uint64_t id)
{
    struct worker_log *log;
    DL_SEARCH_SCALAR(logs->list, log, id, id);
    return log;
}

static void log_free(struct worker_logs *logs, struct worker_log *log)
{
    DL_DELETE(logs->list, log);
    logs->count--;
    free(log->bytes);
    free(log);
}

/* ---- what a worker wrote ---- */

/* A process that says less than before counts from 0 again, and so does the next one. */
static void add_done(struct worker_logs *logs, struct worker_pipe *pipe, double done)
{
    double more = done >= pipe->done ? done - pipe->done : done; /* of NAN all */
    logs->done = isnan(logs->done) ? more : logs->done + more;
    pipe->done = done;
}

static void end_line(struct worker_logs *logs, struct worker_log *log, struct worker_pipe *pipe)
{
    char *end = NULL;
    log->line[log->line_length] = '\0';
    log->line_length = 0;
    if (!text_starts_with(log->line, done_prefix))
        return;
    double done = strtod(log->line + strlen(done_prefix), &end);
    if (end == log->line + strlen(done_prefix) || !isfinite(done) || done < 0)
        return;
    add_done(logs, pipe, done);
    log->done = done;
}

static void add_bytes(struct worker_logs *logs, struct worker_pipe *pipe, const char *bytes,
                      size_t length)
{
    struct worker_log *log = find(logs, pipe->id);
    for (size_t i = 0; i < length; i++)
        if (bytes[i] == '\n')
            end_line(logs, log, pipe);
        else if (log->line_length < LINE_BYTES - 1)
            log->line[log->line_length++] = bytes[i];
    if (log->bytes == NULL)
        log->bytes = memory_new(WORKER_LOG_BYTES);
    if (log->length + length > WORKER_LOG_BYTES) {
        size_t dropped = log->length + length - WORKER_LOG_BYTES;
        memmove(log->bytes, log->bytes + dropped, log->length - dropped);
        log->length -= dropped;
    }
    memcpy(log->bytes + log->length, bytes, length);
    log->length += length;
}

/* ---- the thread ---- */

static void end_pipe(struct worker_logs *logs, struct worker_pipe *pipe)
{
    pthread_mutex_lock(&logs->lock);
    find(logs, pipe->id)->pipes--;
    pthread_mutex_unlock(&logs->lock);
    DL_DELETE(logs->pipes, pipe);
    logs->pipe_count--;
    close(pipe->fd);
    free(pipe);
}

/* One read: others have their turn. */
static void read_pipe(struct worker_logs *logs, struct worker_pipe *pipe)
{
    char bytes[16 * 1024];
    ssize_t length = read(pipe->fd, bytes, sizeof(bytes));
    if (length > 0) {
        ssize_t written = write(STDERR_FILENO, bytes, (size_t)length);
        (void)written;
        pthread_mutex_lock(&logs->lock);
        add_bytes(logs, pipe, bytes, (size_t)length);
        pthread_mutex_unlock(&logs->lock);
    } else if (length == 0 || (errno != EAGAIN && errno != EINTR))
        end_pipe(logs, pipe);
}

/* Waits until a pipe has something, or another was opened. */
static void read_pipes(struct worker_logs *logs)
{
    size_t count = 0;
    eventfd_t woken;
    struct worker_pipe *pipe;
    struct worker_pipe *next;
    _cleanup_(memory_free) struct pollfd *fds = memory_array(logs->pipe_count + 1, sizeof(*fds));
    DL_FOREACH(logs->pipes, pipe)
        fds[count++] = (struct pollfd){.fd = pipe->fd, .events = POLLIN};
    fds[count] = (struct pollfd){.fd = logs->wake_fd, .events = POLLIN};
    poll(fds, count + 1, -1);
    eventfd_read(logs->wake_fd, &woken);
    count = 0;
    DL_FOREACH_SAFE(logs->pipes, pipe, next)
        if (fds[count++].revents != 0)
            read_pipe(logs, pipe);
}

/* False: the thread is to end. */
static bool take_opened(struct worker_logs *logs)
{
    pthread_mutex_lock(&logs->lock);
    bool goes_on = !logs->is_stopping;
    while (logs->opened != NULL) {
        struct worker_pipe *pipe = logs->opened;
        DL_DELETE(logs->opened, pipe);
        DL_APPEND(logs->pipes, pipe);
        logs->pipe_count++;
    }
    pthread_mutex_unlock(&logs->lock);
    return goes_on;
}

static void *read_logs(void *argument)
{
    struct worker_logs *logs = argument;
    while (take_opened(logs))
        read_pipes(logs);
    while (logs->pipes != NULL)
        end_pipe(logs, logs->pipes);
    return NULL;
}

/* ---- the interface ---- */

struct worker_logs *worker_logs_new(void)
{
    struct worker_logs *logs = memory_new(sizeof(*logs));
    pthread_mutex_init(&logs->lock, NULL);
    logs->done = NAN;
    logs->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (logs->wake_fd >= 0 && pthread_create(&logs->thread, NULL, read_logs, logs) == 0)
        return logs;
    if (logs->wake_fd >= 0)
        close(logs->wake_fd);
    pthread_mutex_destroy(&logs->lock);
    free(logs);
    return NULL;
}

void worker_logs_free(struct worker_logs *logs)
{
    if (logs == NULL)
        return;
    pthread_mutex_lock(&logs->lock);
    logs->is_stopping = true;
    eventfd_write(logs->wake_fd, 1);
    pthread_mutex_unlock(&logs->lock);
    pthread_join(logs->thread, NULL);
    while (logs->list != NULL)
        log_free(logs, logs->list);
    close(logs->wake_fd);
    pthread_mutex_destroy(&logs->lock);
    free(logs);
}

static void forget_oldest(struct worker_logs *logs)
{
    struct worker_log *log;
    struct worker_log *next;
    DL_FOREACH_SAFE(logs->list, log, next)
        if (logs->count >= WORKER_LOGS_MAX && log->pipes == 0)
            log_free(logs, log);
}

int worker_logs_open(struct worker_logs *logs, uint64_t id)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    pthread_mutex_lock(&logs->lock);
    struct worker_log *log = find(logs, id);
    if (log == NULL) {
        forget_oldest(logs);
        log = memory_new(sizeof(*log));
        log->id = id;
        log->done = NAN;
        DL_APPEND(logs->list, log);
        logs->count++;
    }
    struct worker_pipe *pipe = memory_new(sizeof(*pipe));
    *pipe = (struct worker_pipe){.fd = ends[0], .id = id, .done = NAN};
    log->pipes++;
    DL_APPEND(logs->opened, pipe);
    eventfd_write(logs->wake_fd, 1);
    pthread_mutex_unlock(&logs->lock);
    return ends[1];
}

bool worker_logs_read(struct worker_logs *logs, uint64_t id, struct text *ret_text)
{
    pthread_mutex_lock(&logs->lock);
    const struct worker_log *log = find(logs, id);
    const char *bytes = log == NULL ? NULL : log->bytes;
    size_t length = log == NULL ? 0 : log->length;
    text_whole_characters(&bytes, &length);
    if (length > 0)
        text_add_bytes(ret_text, bytes, length);
    pthread_mutex_unlock(&logs->lock);
    return log != NULL;
}

double worker_logs_done(struct worker_logs *logs, uint64_t id)
{
    pthread_mutex_lock(&logs->lock);
    const struct worker_log *log = find(logs, id);
    double done = log == NULL ? (double)NAN : log->done;
    pthread_mutex_unlock(&logs->lock);
    return done;
}

double worker_logs_done_by_all(struct worker_logs *logs)
{
    pthread_mutex_lock(&logs->lock);
    double done = logs->done;
    pthread_mutex_unlock(&logs->lock);
    return done;
}
