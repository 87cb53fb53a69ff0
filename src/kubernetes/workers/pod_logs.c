#include "kubernetes/workers/pod_logs.h"

#include "base/memory.h"

#include <stdlib.h>
#include <sys/param.h>
#include <utlist.h>

enum { AGAIN_MS = 1000, LOG_LINES = 400, FEWER = 8 };

struct pod_log *pod_logs_find(const struct pod_logs *logs, const char *namespace, const char *pod)
{
    struct pod_log *log;
    DL_FOREACH(logs->all, log)
        if (text_equal(log->pod, pod) && text_equal(log->namespace, namespace))
            return log;
    return NULL;
}

struct pod_log *pod_logs_add(struct pod_logs *logs, const char *namespace, const char *pod,
                             const char *container, struct error *error)
{
    if (logs->count >= POD_LOGS_MAX_READ) {
        error_set(error, ERROR_LIMIT, "%d other logs are being read: try again in a minute",
                  POD_LOGS_MAX_READ);
        return NULL;
    }
    struct pod_log *log = memory_new(sizeof(*log));
    log->namespace = text_copy(namespace);
    log->pod = text_copy(pod);
    log->container = text_copy(container);
    log->lines = LOG_LINES;
    DL_APPEND(logs->all, log);
    logs->count++;
    return log;
}

void pod_logs_forget(struct pod_logs *logs, int64_t before_ms)
{
    struct pod_log *log, *next;
    DL_FOREACH_SAFE(logs->all, log, next) {
        if (log->viewed_ms >= before_ms)
            continue;
        DL_DELETE(logs->all, log);
        logs->count--;
        text_done(&log->text);
        error_done(&log->error);
        free(log->namespace);
        free(log->pod);
        free(log->container);
        free(log);
    }
}

char *pod_log_path(const struct pod_log *log)
{
    return text_format("/api/v1/namespaces/%s/pods/%s/log?container=%s&tailLines=%d&limitBytes=%d",
                       log->namespace, log->pod, log->container, log->lines, POD_LOG_MAX_REPLY);
}

/* Of long lines fewer are requested: the kubelet begins with the oldest, and where they have more
 * bytes than the limit leaves the newest out. Returns whether this reply lacks them. */
static bool adapt_lines(struct pod_log *log, size_t length)
{
    bool lacks_end = length >= POD_LOG_MAX_REPLY && log->lines > 1;
    if (lacks_end)
        log->lines = MAX(log->lines / FEWER, 1);
    else if (length < POD_LOG_MAX_BYTES)
        log->lines = MIN(log->lines * FEWER, LOG_LINES);
    return lacks_end;
}

void pod_log_set(struct pod_log *log, const struct text *reply, struct error *error, int64_t now_ms)
{
    size_t length = MIN(reply->length, (size_t)POD_LOG_MAX_BYTES);
    if (adapt_lines(log, reply->length)) {
        log->due_ms = now_ms;
        return;
    }
    const char *end = length == 0 ? NULL : reply->bytes + reply->length - length;
    text_whole_characters(&end, &length);
    text_done(&log->text);
    if (length > 0) {
        text_add_bytes(&log->text, end, length);
        text_make_utf8(log->text.bytes);
    }
    error_move(&log->error, error);
    log->is_read = true;
    log->due_ms = now_ms + AGAIN_MS;
}
