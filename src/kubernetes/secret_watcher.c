#include "kubernetes/secret_watcher.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "kubernetes/secret.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    LIST_TIMEOUT_MS = 10 * 1000,
    WATCH_TIMEOUT_S =
        240, /* then the server ends it; a connection that died unnoticed is noticed then, too */
    WATCH_GRACE_MS = 30 * 1000,
    MIN_WATCH_MS = 1000,
    FIRST_BACKOFF_MS = 1000,
    LONGEST_BACKOFF_MS = 30 * 1000,
    LARGEST_REPLY = 2 << 20, /* a Secret has 1 MiB at most, more in base64, and its annotations */
    MIN_NEWS_MS = 1000, /* the next change of one Secret waits, so that those of others do not */
    IDLE_MS = 60 * 1000,
};

/* One namespace. `is_wanted` is guarded by the lock, all else is the thread's. */
struct secret_watch {
    struct secret_watcher *watcher;
    char *namespace;
    bool is_wanted;
    CURL *curl; /* NULL: nothing is requested; due_ms says when */
    struct curl_slist *headers;
    bool is_list;
    char *version;        /* where the next watch begins; NULL: list first */
    struct text reply;    /* of a watch: the line that is not complete */
    struct error mistake; /* of a line */
    bool has_expired;
    bool is_paused; /* there is more, for which it is too early: */
    int64_t news_allowed_ms;
    int64_t begun_ms;
    int64_t due_ms;
    int64_t backoff_ms;
    struct error failure; /* as it was logged */
    struct secret_watch *next, *prev;
};

struct secret_watcher {
    struct secret_watcher_settings settings;
    pthread_t thread;
    pthread_mutex_t lock;
    CURLM *multi;
    struct secret_watch *watches; /* guarded; only the thread removes some */
    bool is_stopping;             /* guarded */
};

/* ---- news ---- */

static void log_failure(struct secret_watch *watch, const struct error *error)
{
    if (!text_equal(error_text(&watch->failure), error_text(error)))
        log_warning("Secret %s/%s cannot be read: %s; retrying", watch->namespace,
                    watch->watcher->settings.name, error_text(error));
    error_copy(&watch->failure, error);
}

/* Nothing new is known: what was read stays in use. */
static void fail(struct secret_watch *watch, const struct error *error)
{
    const struct secret_watcher_settings *settings = &watch->watcher->settings;
    log_failure(watch, error);
    settings->changed(settings->context, watch->namespace, NULL, error);
    free(TAKE(watch->version));
    watch->due_ms = clock_now_ms() + watch->backoff_ms + clock_jitter((uint32_t)watch->backoff_ms);
    watch->backoff_ms =
        watch->backoff_ms * 2 > LONGEST_BACKOFF_MS ? LONGEST_BACKOFF_MS : watch->backoff_ms * 2;
}

/* False: the news could not be delivered; list again. */
static bool deliver(struct secret_watch *watch, struct secret_news *news)
{
    const struct secret_watcher_settings *settings = &watch->watcher->settings;
    const struct error none = {0};
    if (news->event == SECRET_IS || news->event == SECRET_IS_GONE)
        if (!settings->changed(settings->context, watch->namespace, TAKE(news->connections), &none))
            return error_unavailable(&watch->mistake, "event loop not responding");
    if (news->version != NULL) {
        free(watch->version);
        watch->version = TAKE(news->version);
    }
    watch->has_expired = watch->has_expired || news->event == SECRET_EXPIRED;
    return true;
}

/* ---- replies ---- */

static bool read_line(struct secret_watch *watch, const char *line, size_t length)
{
    _cleanup_(secret_news_done) struct secret_news news = {0};
    if (length == 0)
        return true;
    watch->news_allowed_ms = clock_now_ms() + MIN_NEWS_MS;
    return secret_parse_event(line, length, watch->namespace, watch->watcher->settings.name, &news,
                              &watch->mistake) &&
           deliver(watch, &news);
}

/* The complete lines of what has arrived. */
static bool read_lines(struct secret_watch *watch)
{
    struct text *reply = &watch->reply;
    size_t begin = 0;
    for (char *end; reply->length > begin &&
                    (end = memchr(reply->bytes + begin, '\n', reply->length - begin)) != NULL;) {
        size_t length = (size_t)(end - reply->bytes) - begin;
        if (!read_line(watch, reply->bytes + begin, length))
            return false;
        begin += length + 1;
    }
    if (begin > 0) {
        struct text rest = {0};
        text_add_bytes(&rest, reply->bytes + begin, reply->length - begin);
        text_done(reply);
        *reply = rest;
    }
    return true;
}

static long status_of(CURL *curl)
{
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t receive(char *bytes, size_t size, size_t count, void *argument)
{
    struct secret_watch *watch = argument;
    watch->is_paused = clock_now_ms() < watch->news_allowed_ms;
    if (watch->is_paused)
        return CURL_WRITEFUNC_PAUSE;
    if (watch->reply.length + size * count > LARGEST_REPLY) {
        error_unavailable(&watch->mistake, "the reply is larger than %d bytes", LARGEST_REPLY);
        return CURL_WRITEFUNC_ERROR;
    }
    text_add_bytes(&watch->reply, bytes, size * count);
    bool is_good = watch->is_list || status_of(watch->curl) != 200 || read_lines(watch);
    return is_good ? size * count : CURL_WRITEFUNC_ERROR;
}

/* ---- requests ---- */

static char *path_of(const struct secret_watch *watch)
{
    const char *name = watch->watcher->settings.name;
    if (watch->version == NULL)
        return text_format("/api/v1/namespaces/%s/secrets?fieldSelector=metadata.name%%3D%s",
                           watch->namespace, name);
    return text_format("/api/v1/namespaces/%s/secrets?fieldSelector=metadata.name%%3D%s&watch=1"
                       "&allowWatchBookmarks=true&timeoutSeconds=%d&resourceVersion=%s",
                       watch->namespace, name, WATCH_TIMEOUT_S, watch->version);
}

static void begin(struct secret_watch *watch)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *path = path_of(watch);
    watch->is_list = watch->version == NULL;
    watch->has_expired = false;
    watch->is_paused = false;
    watch->news_allowed_ms = 0;
    watch->begun_ms = clock_now_ms();
    error_done(&watch->mistake);
    long timeout_ms = watch->is_list ? LIST_TIMEOUT_MS : WATCH_TIMEOUT_S * 1000L + WATCH_GRACE_MS;
    watch->curl = kubernetes_api_get(&watch->watcher->settings.api, path, timeout_ms,
                                     &watch->headers, &error);
    if (watch->curl == NULL) {
        fail(watch, &error);
        return;
    }
    curl_easy_setopt(watch->curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(watch->curl, CURLOPT_WRITEDATA, watch);
    curl_easy_setopt(watch->curl, CURLOPT_PRIVATE, watch);
    curl_multi_add_handle(watch->watcher->multi, watch->curl);
}

static void end_request(struct secret_watch *watch)
{
    if (watch->curl == NULL)
        return;
    curl_multi_remove_handle(watch->watcher->multi, watch->curl);
    curl_easy_cleanup(TAKE(watch->curl));
    curl_slist_free_all(TAKE(watch->headers));
    text_clear(&watch->reply);
}

/* It was as it should be; the next one follows `delay_ms` later. */
static void go_on(struct secret_watch *watch, int64_t delay_ms)
{
    if (error_is_set(&watch->failure))
        log_info("Secret %s/%s can be read again", watch->namespace, watch->watcher->settings.name);
    error_done(&watch->failure);
    watch->backoff_ms = FIRST_BACKOFF_MS;
    watch->due_ms = clock_now_ms() + delay_ms;
}

static void end_list(struct secret_watch *watch)
{
    _cleanup_(secret_news_done) struct secret_news news = {0};
    const char *text = watch->reply.bytes == NULL ? "" : watch->reply.bytes;
    if (secret_parse_list(text, watch->reply.length, watch->namespace,
                          watch->watcher->settings.name, &news, &watch->mistake) &&
        deliver(watch, &news))
        go_on(watch, 0);
    else
        fail(watch, &watch->mistake);
}

/* It ended by the server's time or with its connection: the next one begins where it was. */
static void end_watch(struct secret_watch *watch)
{
    if (watch->has_expired)
        free(TAKE(watch->version));
    if (error_is_set(&watch->mistake))
        fail(watch, &watch->mistake);
    else
        go_on(watch, clock_now_ms() - watch->begun_ms < MIN_WATCH_MS
                         ? MIN_WATCH_MS + clock_jitter(MIN_WATCH_MS)
                         : 0);
}

static void explain(struct secret_watch *watch, CURLcode code, long status, struct error *error)
{
    const struct secret_watcher_settings *settings = &watch->watcher->settings;
    const char *text = watch->reply.bytes == NULL ? "" : watch->reply.bytes;
    _cleanup_(memory_free) char *message =
        status == 0 ? NULL : secret_parse_status(text, watch->reply.length);
    if (error_is_set(&watch->mistake))
        error_copy(error, &watch->mistake);
    else if (status == 0)
        error_unavailable(error, "the Kubernetes API at %s: %s", settings->api.server,
                          curl_easy_strerror(code));
    else
        error_unavailable(error, "the Kubernetes API: %ld%s%s", status, message == NULL ? "" : " ",
                          message == NULL ? "" : message);
}

static void end(struct secret_watch *watch, CURLcode code)
{
    _cleanup_(error_done) struct error error = {0};
    long status = status_of(watch->curl);
    if (status == 410) { /* Gone: the version is too old */
        free(TAKE(watch->version));
        go_on(watch, clock_jitter(MIN_WATCH_MS));
    } else if (status == 200 && !watch->is_list)
        end_watch(watch);
    else if (status == 200 && code == CURLE_OK)
        end_list(watch);
    else {
        explain(watch, code, status == 200 ? 0 : status, &error);
        fail(watch, &error);
    }
    end_request(watch);
}

static void handle_ends(struct secret_watcher *watcher)
{
    const CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(watcher->multi, &left)) != NULL) {
        struct secret_watch *watch = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &watch);
        end(watch, message->data.result);
    }
}

/* ---- the thread ---- */

static void watch_free(struct secret_watch *watch)
{
    end_request(watch);
    text_done(&watch->reply);
    error_done(&watch->mistake);
    error_done(&watch->failure);
    free(watch->version);
    free(watch->namespace);
    free(watch);
}

/* When it has something to do besides what arrives. */
static int64_t due_ms(const struct secret_watch *watch)
{
    if (watch->curl == NULL)
        return watch->due_ms;
    return watch->is_paused ? watch->news_allowed_ms : CLOCK_NEVER;
}

/* Removes what is not wanted any more, begins what is due, and returns when to look again. */
static int64_t next_due_ms(struct secret_watcher *watcher, bool *ret_stopping)
{
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = now_ms + IDLE_MS;
    struct secret_watch *watch;
    struct secret_watch *next;
    pthread_mutex_lock(&watcher->lock);
    *ret_stopping = watcher->is_stopping;
    DL_FOREACH_SAFE(watcher->watches, watch, next)
    {
        if (!watch->is_wanted || watcher->is_stopping) {
            DL_DELETE(watcher->watches, watch);
            watch_free(watch);
        } else if (due_ms(watch) < next_ms)
            next_ms = due_ms(watch);
    }
    pthread_mutex_unlock(&watcher->lock);
    return next_ms;
}

/* One that is due, or NULL. Only this thread removes some, so that it stays. */
static struct secret_watch *find_due(struct secret_watcher *watcher, int64_t now_ms)
{
    struct secret_watch *watch;
    pthread_mutex_lock(&watcher->lock);
    for (watch = watcher->watches; watch != NULL; watch = watch->next)
        if (due_ms(watch) <= now_ms)
            break;
    pthread_mutex_unlock(&watcher->lock);
    return watch;
}

/* What was paused arrives at once, and may pause it again. */
static void act(struct secret_watch *watch)
{
    if (watch->curl == NULL) {
        begin(watch);
        return;
    }
    watch->is_paused = false;
    curl_easy_pause(watch->curl, CURLPAUSE_CONT);
}

static void *run(void *argument)
{
    struct secret_watcher *watcher = argument;
    bool is_stopping = false;
    for (;;) {
        int running;
        int64_t next_ms = next_due_ms(watcher, &is_stopping);
        if (is_stopping)
            return NULL;
        int64_t now_ms = clock_now_ms();
        for (struct secret_watch *watch;
             next_ms <= now_ms && (watch = find_due(watcher, now_ms)) != NULL;)
            act(watch);
        curl_multi_perform(watcher->multi, &running);
        handle_ends(watcher);
        next_ms = next_due_ms(watcher, &is_stopping);
        now_ms = clock_now_ms();
        if (next_ms > now_ms && !is_stopping)
            curl_multi_poll(watcher->multi, NULL, 0, (int)(next_ms - now_ms), NULL);
    }
}

struct secret_watcher *secret_watcher_start(const struct secret_watcher_settings *settings)
{
    struct secret_watcher *watcher = memory_new(sizeof(*watcher));
    watcher->settings = *settings;
    pthread_mutex_init(&watcher->lock, NULL);
    watcher->multi = curl_multi_init();
    curl_multi_setopt(watcher->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    if (pthread_create(&watcher->thread, NULL, run, watcher) != 0)
        abort();
    return watcher;
}

void secret_watcher_stop(struct secret_watcher *watcher)
{
    if (watcher == NULL)
        return;
    pthread_mutex_lock(&watcher->lock);
    watcher->is_stopping = true;
    pthread_mutex_unlock(&watcher->lock);
    curl_multi_wakeup(watcher->multi);
    pthread_join(watcher->thread, NULL);
    curl_multi_cleanup(watcher->multi);
    pthread_mutex_destroy(&watcher->lock);
    kubernetes_api_done(&watcher->settings.api);
    free(watcher);
}

/* With the lock. The thread frees it soon. */
static void unwant(struct secret_watcher *watcher, const char *namespace)
{
    struct secret_watch *watch;
    DL_FOREACH(watcher->watches, watch)
    if (text_equal(watch->namespace, namespace))
        watch->is_wanted = false;
}

/* The caller knows nothing of the Secret, even if the namespace was watched a moment before: it is listed again. */
void secret_watcher_add(struct secret_watcher *watcher, const char *namespace)
{
    struct secret_watch *watch = memory_new(sizeof(*watch));
    *watch = (struct secret_watch){.watcher = watcher,
                                   .namespace = text_copy(namespace),
                                   .is_wanted = true,
                                   .due_ms = clock_now_ms(),
                                   .backoff_ms = FIRST_BACKOFF_MS};
    pthread_mutex_lock(&watcher->lock);
    unwant(watcher, namespace);
    DL_APPEND(watcher->watches, watch);
    pthread_mutex_unlock(&watcher->lock);
    curl_multi_wakeup(watcher->multi);
}

void secret_watcher_remove(struct secret_watcher *watcher, const char *namespace)
{
    pthread_mutex_lock(&watcher->lock);
    unwant(watcher, namespace);
    pthread_mutex_unlock(&watcher->lock);
    curl_multi_wakeup(watcher->multi);
}
