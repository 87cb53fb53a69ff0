#include "scalers/kafka/trigger.h"

#include "base/text.h"

static const struct option_entry usual[] = {
    {"bootstrapServers", "kafka:9092"},
    {"consumerGroup", "workers"},
    {"topic", "videoJob"},
};

struct trigger kafka_trigger_of(const struct scaler *scaler, const struct option_entry *entries,
                                size_t count)
{
    struct option_entry all[32];
    size_t filled = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(usual); i++) {
        bool replaced = false;
        for (size_t j = 0; j < count; j++)
            replaced = replaced || text_equal(entries[j].key, usual[i].key);
        if (!replaced)
            all[filled++] = usual[i];
    }
    for (size_t j = 0; j < count; j++)
        if (entries[j].value != NULL)
            all[filled++] = entries[j];
    return trigger_parse(scaler, all, filled);
}
