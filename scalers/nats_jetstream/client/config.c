#include "nats_jetstream/client/config.h"

#include "base/json_cleanup.h"
#include "base/json_text.h"
#include "base/memory.h"
#include "base/text.h"
#include "nats_jetstream/consumer_info.h"
#include "nats_jetstream/limits.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_SUBJECTS = 64, /* of one stream or consumer */
    MAX_SUBJECT_LENGTH = 1024,
};

static void free_subjects(struct nats_subject_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct nats_subject_list){0};
}

void nats_config_done(struct nats_config *config)
{
    free_subjects(&config->subjects);
    *config = (struct nats_config){0};
}

static bool add_subject(struct nats_subject_list *list, const json_t *subject)
{
    const char *text = json_string_value(subject);
    if (text == NULL || text[0] == '\0' || strlen(text) > MAX_SUBJECT_LENGTH ||
        list->count == MAX_SUBJECTS)
        return false;
    list->items = memory_resize(list->items, (list->count + 1) * sizeof(*list->items));
    list->items[list->count++] = text_copy(text);
    return true;
}

/* Absent is none. */
static bool add_subjects(struct nats_subject_list *list, const json_t *subjects)
{
    for (size_t i = 0; i < json_array_size(subjects); i++)
        if (!add_subject(list, json_array_get(subjects, i)))
            return false;
    return true;
}

static bool read_subjects(const json_t *config, struct nats_subject_list *list)
{
    const json_t *filter = json_object_get(config, "filter_subject");
    if (add_subjects(list, json_object_get(config, "subjects")) &&
        add_subjects(list, json_object_get(config, "filter_subjects")) &&
        (json_string_length(filter) == 0 || add_subject(list, filter)))
        return true;
    free_subjects(list);
    return false;
}

/* While the number of replicas is reduced, the configuration already has the new one, and the
 * cluster still has the others. */
static enum nats_replicas read_replicas(const json_t *reply, const json_t *config)
{
    double count = json_number_value(json_object_get(config, "num_replicas"));
    const json_t *others = json_object_get(json_object_get(reply, "cluster"), "replicas");
    if (count < 1)
        return NATS_REPLICAS_UNKNOWN;
    bool is_one = count == 1 && json_array_size(others) == 0;
    return is_one ? NATS_REPLICAS_ONE : NATS_REPLICAS_SEVERAL;
}

enum nats_config_reply nats_config_parse(const char *bytes, size_t length,
                                         struct nats_config *ret_config)
{
    _cleanup_(json_done) json_t *reply = json_text_tree(
        (struct json_text){bytes, length}, JSON_DECODE_INT_AS_REAL, NATS_REPLY_TREE_BYTES);
    const json_t *api_error = json_object_get(reply, "error");
    if (json_is_object(api_error))
        return nats_consumer_info_is_absent(api_error) ? NATS_CONFIG_ABSENT : NATS_CONFIG_LATER;
    const json_t *config = json_object_get(reply, "config");
    if (!json_is_object(config))
        return NATS_CONFIG_UNUSABLE;

    *ret_config = (struct nats_config){
        .is_transformed = json_is_object(json_object_get(config, "subject_transform")),
        .is_remote = json_is_object(json_object_get(config, "mirror")) ||
                     json_array_size(json_object_get(config, "sources")) > 0,
        .replicas = read_replicas(reply, config),
    };
    ret_config->has_subjects = read_subjects(config, &ret_config->subjects);
    return NATS_CONFIG_LEARNED;
}
