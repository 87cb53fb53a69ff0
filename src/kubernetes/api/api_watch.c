#include "kubernetes/api/api_watch.h"

#include "base/clock.h"
#include "base/json_cleanup.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <utlist.h>

enum {
    WATCH_S = 600, /* then the server ends it, or up to half as long later: not all at once */
    WATCH_GRACE_MS = 30 * 1000,
    AGAIN_MS = 1000,
    /* As if it had timed out. libcurl would look at each watch every second, and with it at all. */
    ANSWER_MS = 10 * 1000,  /* longer than a connection may take */
    SILENT_MS = 130 * 1000, /* bookmarks come each minute: it has died unnoticed */
    MAX_UNANSWERED = 16,
    LONGEST_BACKOFF_MS = 60 * 1000,
    LONGEST_BACKOFF_OF_KIND_MS = 5 * 1000, /* there are few, and all triggers need them */
    LARGEST_LINE = 2 << 20,
    LARGEST_REFUSAL = 64 << 10,
    MAX_TREE_BYTES = 8 << 20,
};

#define METADATA ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
#define METADATA_LIST ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

/* ---- what a server says ---- */

/* Of a small value. NULL: it is not JSON. */
static json_t *load(struct json_text text)
{
    return text.bytes == NULL ? NULL : json_text_tree(text, JSON_DECODE_ANY, MAX_TREE_BYTES);
}

/* What counts of it: whoever may write an object may give it a hundred thousand annotations. */
static json_t *load_metadata(struct json_text object)
{
    static const char *const keys[] = {"name", "namespace", "resourceVersion", "generation", "uid"};
    json_t *found = json_object();
    struct json_walk walk;
    struct json_text key;
    struct json_text value;
    json_walk_begin(&walk, json_text_member(object, "metadata"));
    while (json_walk_next(&walk, &key, &value))
        for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
            if (key.length == strlen(keys[i]) && memcmp(key.bytes, keys[i], key.length) == 0)
                json_object_set_new(found, keys[i], load(value));
    return found;
}

static bool read_refusal(const json_t *status, struct api_watch_event *ret_event,
                         struct error *error)
{
    const char *message = json_member_string(status, "message");
    ret_event->kind = API_WATCH_EXPIRED;
    return json_integer_value(json_object_get(status, "code")) == 410 || /* Gone */
           error_unavailable(error, "%.*s", message == NULL ? 0 : (int)text_cut(message, 300),
                             message == NULL ? "" : message);
}

bool api_watch_event_parse(enum api_object_kind kind, const char *text, size_t length,
                           struct api_watch_event *ret_event, struct error *error)
{
    const struct json_text event = {text, length};
    const struct json_text object = json_text_member(event, "object");
    _cleanup_(json_done) json_t *type_text = load(json_text_member(event, "type"));
    _cleanup_(json_done) json_t *metadata = load_metadata(object);
    const char *type = json_string_value(type_text);
    *ret_event = (struct api_watch_event){0};
    if (text_equal(type, "ERROR")) {
        _cleanup_(json_done) json_t *status = load(object);
        return read_refusal(status, ret_event, error);
    }
    bool is_deletion = text_equal(type, "DELETED");
    bool is_change = text_equal(type, "ADDED") || text_equal(type, "MODIFIED");
    const char *name = json_member_string(metadata, "name");
    if (!is_change && !is_deletion && !text_equal(type, "BOOKMARK"))
        return error_unavailable(error, "unexpected reply: no event of a watch");
    if ((is_change || is_deletion) && name == NULL)
        return error_unavailable(error, "unexpected reply: an object without a name");
    ret_event->version = text_copy(json_member_string(metadata, "resourceVersion"));
    if (!is_change && !is_deletion)
        return true;
    ret_event->kind = is_change ? API_WATCH_CHANGE : API_WATCH_DELETION;
    ret_event->namespace = text_copy(json_member_string(metadata, "namespace"));
    ret_event->name = text_copy(name);
    ret_event->revision = api_object_revision(kind, metadata);
    return true;
}

void api_watch_event_done(struct api_watch_event *event)
{
    free(event->namespace);
    free(event->name);
    free(event->revision);
    free(event->version);
    *event = (struct api_watch_event){0};
}

/* ---- life ---- */

static void add_to_line(struct api_watch *watch, const char *bytes, size_t length)
{
    text_add_bytes(&watch->line, bytes, length);
    watch->all->replies->bytes += length;
}

static void drop_line(struct api_watch *watch)
{
    watch->all->replies->bytes -= watch->line.length;
    text_done(&watch->line);
}

static bool is_of_kind(const struct api_watch *watch)
{
    return watch->query[0] == '\0';
}

static CURLM *multi_of(const struct api_watch *watch)
{
    return is_of_kind(watch) ? watch->all->multi : watch->all->multi_of_single;
}

static void set_version(struct api_watch *watch, const char *version)
{
    free(watch->version);
    watch->version = text_copy(version);
}

static void set_live(struct api_watch *watch, bool is_live)
{
    struct api_watches *all = watch->all;
    bool was_live = watch->is_live;
    watch->is_live = is_live;
    all->live_count += (size_t)is_live - (size_t)was_live;
    all->live_changed(all->context, watch, was_live);
}

static void set_due(struct api_watch *watch, int64_t due_ms)
{
    heap_set(&watch->all->due, &watch->due, due_ms);
}

static void set_answered(struct api_watch *watch)
{
    DL_DELETE(watch->all->unanswered, watch);
    watch->all->unanswered_count--;
}

/* ---- lines ---- */

static bool read_line(struct api_watch *watch, const char *line, size_t length)
{
    struct api_watch_event event = {0};
    if (length == 0)
        return true;
    bool is_good = api_watch_event_parse(watch->kind, line, length, &event, &watch->mistake);
    watch->has_expired = is_good && event.kind == API_WATCH_EXPIRED;
    if (is_good && event.version != NULL)
        set_version(watch, event.version);
    if (is_good && (event.kind == API_WATCH_CHANGE || event.kind == API_WATCH_DELETION))
        watch->all->changed(watch->all->context, watch, &event);
    api_watch_event_done(&event);
    return is_good;
}

/* The complete lines of what has arrived; the rest is kept. */
static bool read_lines(struct api_watch *watch, const char *bytes, size_t length)
{
    const char *end;
    while ((end = memchr(bytes, '\n', length)) != NULL) {
        size_t part = (size_t)(end - bytes);
        const char *line = bytes;
        size_t line_length = part;
        if (watch->line.length > 0) {
            add_to_line(watch, bytes, part);
            line = watch->line.bytes;
            line_length = watch->line.length;
        }
        if (!read_line(watch, line, line_length))
            return false;
        drop_line(watch);
        bytes += part + 1;
        length -= part + 1;
    }
    const struct api_request_budget *budget = watch->all->replies;
    if (watch->line.length + length > LARGEST_LINE)
        return error_unavailable(&watch->mistake, "an event is larger than %d bytes", LARGEST_LINE);
    if (budget->bytes + length > budget->max)
        return error_unavailable(&watch->mistake,
                                 "other replies of the Kubernetes API use the memory for it");
    add_to_line(watch, bytes, length);
    return true;
}

static size_t receive(char *bytes, size_t size, size_t count, void *argument)
{
    struct api_watch *watch = argument;
    long status = 0;
    curl_easy_getinfo(watch->request.curl, CURLINFO_RESPONSE_CODE, &status);
    watch->received_ms = clock_now_ms();
    bool is_good = true;
    if (status == 200)
        is_good = read_lines(watch, bytes, size * count);
    else if (watch->request.body.length + size * count <= LARGEST_REFUSAL)
        text_add_bytes(&watch->request.body, bytes, size * count);
    return is_good ? size * count : CURL_WRITEFUNC_ERROR;
}

/* The head of a watch's reply comes at once, its first line perhaps in a minute. */
static size_t receive_head(char *bytes, size_t size, size_t count, void *argument)
{
    struct api_watch *watch = argument;
    long status = 0;
    if (http_head_take(bytes, size, count, &watch->request.head) == 0)
        return 0;
    curl_easy_getinfo(watch->request.curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200 && size * count == 2 && bytes[0] == '\r' && !watch->is_connected) {
        watch->is_connected = true;
        watch->received_ms = clock_now_ms();
        /* It begins with what there is now: what was read while it was on its way may be older, and
         * of an object that is gone since nothing is said. */
        if (watch->version == NULL) {
            watch->since_ms = clock_now_ms() + 1;
            watch->has_named_all = true;
        }
        if (error_is_set(&watch->failure))
            log_info("%s can be watched again", watch->path);
        error_done(&watch->failure);
        set_answered(watch);
        set_due(watch, watch->received_ms + SILENT_MS);
        set_live(watch, true);
    }
    return size * count;
}

/* ---- requests ---- */

void api_watch_retry(struct api_watch *watch)
{
    if (watch->request.curl != NULL)
        return;
    watch->backoff = (struct api_backoff){0};
    watch->due_ms = MIN(watch->due_ms, MAX(clock_now_ms(), watch->not_before_ms));
    set_due(watch, watch->due_ms);
}

static bool begin_list(struct api_watch *watch, struct error *error)
{
    _cleanup_(memory_free) char *path = text_format("%s?limit=1", watch->path);
    const struct api_request_settings get = {path, METADATA_LIST, ANSWER_MS, LARGEST_LINE};
    return api_request_begin(&watch->request, multi_of(watch), watch->all->api, &get, error);
}

static bool begin_watch(struct api_watch *watch, struct error *error)
{
    unsigned seconds = WATCH_S + (unsigned)clock_jitter(WATCH_S / 2);
    const char *version = watch->version == NULL ? "" : watch->version;
    _cleanup_(memory_free) char *path =
        text_format("%s?%swatch=1&allowWatchBookmarks=true&timeoutSeconds=%u%s%s", watch->path,
                    watch->query, seconds, version[0] == '\0' ? "" : "&resourceVersion=", version);
    const struct api_request_settings get = {path, METADATA, seconds * 1000L + WATCH_GRACE_MS,
                                             LARGEST_LINE};
    if (!api_request_begin(&watch->request, multi_of(watch), watch->all->api, &get, error))
        return false;
    CURL *curl = watch->request.curl;
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, watch);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, receive_head);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, watch);
    return true;
}

/* Until the next one is connected nothing is seen, by this watch. */
static void fail(struct api_watch *watch, const struct error *error)
{
    if (!text_equal(error_text(&watch->failure), error_text(error)))
        log_warning("%s cannot be watched: %s; its objects are read in turn, retrying", watch->path,
                    error_text(error));
    error_copy(&watch->failure, error);
    watch->due_ms = api_backoff_fail(
        &watch->backoff, is_of_kind(watch) ? LONGEST_BACKOFF_OF_KIND_MS : LONGEST_BACKOFF_MS,
        watch->request.retry_after_ms, clock_now_ms());
    set_live(watch, false);
}

static bool read_list(struct api_watch *watch, struct error *error)
{
    const struct text *body = &watch->request.body;
    _cleanup_(json_done) json_t *metadata = load_metadata(json_text_of(*body));
    const char *version = json_member_string(metadata, "resourceVersion");
    if (version == NULL)
        error_unavailable(error, "unexpected reply: a list without resourceVersion");
    set_version(watch, version);
    /* What was read while it was on its way may be older than the version. */
    watch->since_ms = clock_now_ms();
    return version != NULL;
}

static void end(struct api_request *ended)
{
    struct api_watch *watch = (struct api_watch *)ended;
    _cleanup_(error_done) struct error error = {0};
    struct api_watches *all = watch->all;
    const struct api_request *request = &watch->request;
    bool is_old = watch->has_expired || request->status == 410;
    if (!watch->is_connected)
        set_answered(watch);
    watch->due_ms = clock_now_ms();
    if (is_old) { /* what happened since is lost */
        set_version(watch, NULL);
        watch->due_ms += clock_jitter(AGAIN_MS);
        set_live(watch, false);
    } else if (error_is_set(&watch->mistake)) { /* goes on behind the event that it cannot read */
        set_version(watch, NULL);
        fail(watch, &watch->mistake);
    } else if (watch->is_list && request->status == 200) {
        if (!read_list(watch, &error))
            fail(watch, &error);
    } else if (watch->is_connected) { /* by the server's time, or with its connection: goes on */
        watch->backoff = (struct api_backoff){0};
        watch->due_ms += clock_jitter(AGAIN_MS);
    } else {
        api_request_explain(request, all->api, &error);
        fail(watch, &error);
    }
    watch->not_before_ms = clock_now_ms() + request->retry_after_ms;
    watch->due_ms = MAX(watch->due_ms, watch->not_before_ms);
    set_due(watch, watch->due_ms);
    all->perform_single_ms = 0;
    all->ended(all->context, watch, &error);
    api_request_end(&watch->request, multi_of(watch));
    drop_line(watch);
}

static void begin(struct api_watch *watch)
{
    _cleanup_(error_done) struct error error = {0};
    struct api_watches *all = watch->all;
    watch->is_list = watch->version == NULL && is_of_kind(watch) && watch->since_ms == 0;
    watch->is_connected = false;
    watch->has_expired = false;
    watch->sent_ms = clock_now_ms();
    error_done(&watch->mistake);
    if (watch->is_list ? begin_list(watch, &error) : begin_watch(watch, &error)) {
        watch->request.ended = end;
        all->perform_single_ms = 0;
        heap_remove(&watch->due);
        DL_APPEND(all->unanswered, watch);
        all->unanswered_count++;
    } else {
        fail(watch, &error);
        set_due(watch, watch->due_ms);
        all->ended(all->context, watch, &error);
    }
}

static void give_up(struct api_watch *watch)
{
    watch->request.is_over = true;
    watch->request.code = CURLE_OPERATION_TIMEDOUT;
    watch->request.status = 0;
    end(&watch->request);
}

/* ---- all of them ---- */

struct api_watch *api_watches_add(struct api_watches *watches, enum api_object_kind kind,
                                  const char *namespace, const char *name, void *user)
{
    struct api_watch *watch = memory_new(sizeof(*watch));
    *watch = (struct api_watch){
        .all = watches,
        .kind = kind,
        .user = user,
        .path = api_object_collection_path(kind, namespace),
        .query =
            name == NULL ? text_copy("") : text_format("fieldSelector=metadata.name%%3D%s&", name),
        .due_ms = clock_now_ms(),
    };
    set_due(watch, watch->due_ms);
    watches->count++;
    return watch;
}

void api_watch_drop(struct api_watch *watch)
{
    if (watch == NULL)
        return;
    struct api_watches *all = watch->all;
    if (watch->request.curl != NULL && !watch->is_connected)
        set_answered(watch);
    heap_remove(&watch->due);
    all->perform_single_ms = 0;
    all->live_count -= watch->is_live;
    all->count--;
    api_request_end(&watch->request, multi_of(watch));
    drop_line(watch);
    error_done(&watch->mistake);
    error_done(&watch->failure);
    free(watch->path);
    free(watch->query);
    free(watch->version);
    free(watch);
}

void api_watches_init(struct api_watches *watches)
{
    watches->multi_of_single = curl_multi_init();
    curl_multi_setopt(watches->multi_of_single, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
}

void api_watches_done(struct api_watches *watches)
{
    curl_multi_cleanup(watches->multi_of_single);
    free(watches->single_fds);
    free(watches->due.entries);
}

void api_watches_perform(struct api_watches *watches)
{
    CURLM *multi = watches->multi_of_single;
    long next_ms = -1;
    unsigned count = 0;
    bool is_ready = clock_now_ms() >= watches->perform_single_ms;
    for (unsigned i = 0; i < watches->single_fds_count; i++)
        is_ready |= watches->single_fds[i].revents != 0;
    if (!is_ready)
        return;
    api_requests_perform(multi);
    curl_multi_timeout(multi, &next_ms);
    watches->perform_single_ms = next_ms < 0 ? CLOCK_NEVER : clock_now_ms() + next_ms;
    curl_multi_waitfds(multi, NULL, 0, &count);
    watches->single_fds = memory_grow(watches->single_fds, &watches->single_fds_capacity, count + 1,
                                      sizeof(*watches->single_fds));
    curl_multi_waitfds(multi, watches->single_fds, count + 1, &watches->single_fds_count);
}

int64_t api_watches_late_ms(const struct api_watches *watches)
{
    const struct api_watch *oldest = watches->unanswered;
    return oldest == NULL ? CLOCK_NEVER : oldest->sent_ms + ANSWER_MS;
}

/* One whose answer does not begin must not keep the place of others. Where those were answered
 * since, it is not the API that fails. */
void api_watches_end_late(struct api_watches *watches, int64_t now_ms)
{
    while (api_watches_late_ms(watches) <= now_ms) {
        struct api_watch *watch = watches->unanswered;
        if (watch->refused_ms == 0)
            watch->refused_ms = watch->sent_ms;
        give_up(watch);
    }
}

int64_t api_watches_begin_due(struct api_watches *watches, int64_t now_ms)
{
    while (watches->unanswered_count < MAX_UNANSWERED) {
        if (heap_first_key(&watches->due) > now_ms)
            return heap_first_key(&watches->due);
        struct api_watch *watch = HEAP_OWNER(heap_first(&watches->due), struct api_watch, due);
        int64_t silent_ms = watch->received_ms + SILENT_MS;
        if (watch->request.curl == NULL)
            begin(watch);
        else if (silent_ms > now_ms)
            set_due(watch, silent_ms);
        else
            give_up(watch);
    }
    return CLOCK_NEVER;
}
