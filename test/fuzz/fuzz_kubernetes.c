/* Replies of the Kubernetes API, one per line: the first line is a Secret of a namespace's
 * connections, or an event of a watch, the others are a ScaledObject, a ScaledJob, a
 * TriggerAuthentication, a ClusterTriggerAuthentication, a Secret and a ConfigMap, of which the
 * credentials of a call follow. A call is verified only where a trigger has its metadata, and has
 * values only where an authentication names them. */
#include "base/memory.h"
#include "base/text.h"
#include "config/kubernetes_name.h"
#include "kubernetes/api/api_object.h"
#include "kubernetes/api/api_watch.h"
#include "kubernetes/credentials/resolve.h"
#include "require.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct option table[] = {
    {.key = "host", .scope = OPTION_CONNECTION, .type = OPTION_STRING, .flags = OPTION_HOST},
    {.key = "password", .scope = OPTION_CONNECTION, .type = OPTION_STRING, .flags = OPTION_SECRET},
    {.key = "queue", .scope = OPTION_QUERY, .type = OPTION_STRING},
    {0},
};

static const struct option_entry entries[] = {{"host", "h"}, {"queue", "q"}};

struct replies {
    struct api_object *objects[OBJECT_KINDS];
    bool is_requested[OBJECT_KINDS];
};

static struct informer_view find(void *context, enum api_object_kind kind, const char *namespace,
                                 const char *name)
{
    struct replies *replies = context;
    require(kubernetes_name_is_valid(name));
    require((namespace == NULL) == (kind == OBJECT_CLUSTER_TRIGGER_AUTHENTICATION));
    replies->is_requested[kind] = true;
    return (struct informer_view){.is_read = true, .object = replies->objects[kind]};
}

static void read_event(const char *text, size_t length)
{
    struct api_watch_event event;
    _cleanup_(error_done) struct error error = {0};
    bool is_event = api_watch_event_parse(OBJECT_SCALED_OBJECT, text, length, &event, &error);
    require(is_event != error_is_set(&error));
    api_watch_event_done(&event);
    _cleanup_(memory_free) char *message = api_request_status_message(text, length);
}

static void read_object(struct replies *replies, enum api_object_kind kind, const char *text,
                        size_t length)
{
    _cleanup_(error_done) struct error error = {0};
    api_object_is_absent("n", text, length);
    replies->objects[kind] = api_object_parse(kind, "ns", "n", text, length, &error);
    require((replies->objects[kind] == NULL) == error_is_set(&error));
}

static bool has_trigger(const struct api_object *object)
{
    for (size_t i = 0; object != NULL && i < object->triggers_count; i++) {
        const struct api_object_trigger *trigger = &object->triggers[i];
        const char *host = api_object_value(trigger->metadata, trigger->metadata_count, "host");
        const char *queue = api_object_value(trigger->metadata, trigger->metadata_count, "queue");
        if (text_equal(host, "h") && text_equal(queue, "q"))
            return true;
    }
    return false;
}

static void resolve(struct replies *replies)
{
    const struct resolve_call call = {"ns", "n", entries, ARRAY_LENGTH(entries), table, "ns"};
    struct resolved resolved = resolve_trigger(&call, find, replies);
    struct credentials *credentials = resolved.credentials;
    bool is_there = has_trigger(replies->objects[OBJECT_SCALED_OBJECT]) ||
                    has_trigger(replies->objects[OBJECT_SCALED_JOB]);
    require(credentials->state != CREDENTIALS_WAITING);
    if (credentials->state == CREDENTIALS_VERIFIED) {
        require(is_there && !resolved.is_mismatch);
        require(credentials->count == 0 || credentials->authentication != NULL);
    } else
        require(error_is_set(&credentials->failure) && credentials->count == 0);
    require(is_there || !replies->is_requested[OBJECT_SECRET]);
    credentials_free(credentials);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct replies replies = {0};
    const char *text = (const char *)data;
    const char *end = text + size;
    for (int line = 0; line <= OBJECT_KINDS && text < end; line++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((newline == NULL ? end : newline) - text);
        if (line == 0)
            read_event(text, length);
        else
            read_object(&replies, (enum api_object_kind)(line - 1), text, length);
        text += length + (newline != NULL);
    }
    resolve(&replies);
    for (int kind = 0; kind < OBJECT_KINDS; kind++)
        api_object_free(replies.objects[kind]);
    return 0;
}
