#include "source.h"

#include "base/clock.h"
#include "base/memory.h"
#include "require.h"

#include <math.h>

enum { ROUNDS = 3, DEADLINE_MS = 10000 };

struct trigger {
    struct option_values *values[OPTION_SCOPES];
    struct options options;
};

static bool is_count(double number)
{
    return isnan(number) || (isfinite(number) && number >= 0);
}

/* NAN is unknown, and whoever judges says so. */
void require_counts(const struct reading *reading)
{
    require(is_count(reading->waiting) && is_count(reading->in_flight));
    require(!isinf(reading->value));
}

static void parse(const struct scaler *scaler, const struct option_entry *entries,
                  struct trigger *ret_trigger)
{
    _cleanup_(error_done) struct error error = {0};
    struct option_values **values = ret_trigger->values;
    size_t count = 0;
    while (count < SOURCE_KEYS && entries[count].key != NULL)
        count++;
    require(option_parse(scaler->options, scaler->sizes, entries, count, OPTION_FROM_TRIGGER, NULL,
                         values, &error));
    ret_trigger->options = (struct options){
        values[OPTION_CONNECTION]->data, values[OPTION_QUERY]->data, values[OPTION_TARGET]->data};
    scaler_check(scaler, &ret_trigger->options, &error);
    require(!error_is_set(&error));
}

static void release(struct trigger *trigger)
{
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        option_values_free(trigger->values[scope]);
}

static void ended(struct probe *probe, const struct reading *reading, const struct error *error)
{
    bool *over = probe->owner;
    require(!*over);
    *over = true;
    require((reading == NULL) != (error == NULL));
    if (reading != NULL)
        require_counts(reading);
    else
        require_error(false, error);
}

static void woken(void *context, uint64_t id)
{
    require(id > 0 && id <= *(const uint64_t *)context);
}

static bool measure_once(const struct source *source, void *client, const struct trigger *triggers,
                         size_t count, uint64_t *last_id)
{
    _cleanup_(error_done) struct error error = {0};
    struct probe probes[SOURCE_TRIGGERS];
    struct probe *pointers[SOURCE_TRIGGERS];
    bool over[SOURCE_TRIGGERS] = {0};
    for (size_t i = 0; i < count; i++) {
        bool arms = source->scaler->disarm != NULL;
        pointers[i] = &probes[i];
        probes[i] = (struct probe){
            .query = triggers[i].options.query,
            .waker = {.wake = woken, .context = last_id, .id = arms ? ++*last_id : 0},
            .values = triggers[i].values[OPTION_QUERY],
            .owner = &over[i],
            .end = ended,
        };
    }
    int64_t deadline_ms = clock_now_ms() + DEADLINE_MS;
    bool good = source->scaler->measure(client, pointers, count, deadline_ms, &error);
    require_error(good, &error);
    for (size_t i = 0; i < count; i++) {
        require_error(!error_is_set(&probes[i].arm_error), &probes[i].arm_error);
        error_done(&probes[i].arm_error);
    }
    return good;
}

static void hear(const struct scaler *scaler, void *client, void (*tell)(void))
{
    if (tell == NULL || scaler->hear == NULL || scaler->descriptor(client) < 0)
        return;
    tell();
    scaler->hear(client);
}

void source_measure(const struct source *source, void (*tell)(void))
{
    const struct scaler *scaler = source->scaler;
    _cleanup_(error_done) struct error error = {0};
    struct trigger triggers[SOURCE_TRIGGERS] = {0};
    uint64_t last_id = 0;
    size_t count = 0;
    void *client = NULL;
    for (; count < SOURCE_TRIGGERS && source->triggers[count][0].key != NULL; count++)
        parse(scaler, source->triggers[count], &triggers[count]);

    int64_t deadline_ms = clock_now_ms() + DEADLINE_MS;
    bool good = scaler->connect(triggers[0].options.connection, deadline_ms, &client, &error);
    require_error(good, &error);
    for (int i = 0; good && i < ROUNDS; i++) {
        good = measure_once(source, client, triggers, count, &last_id);
        if (good)
            hear(scaler, client, tell);
    }
    if (client != NULL && scaler->disarm != NULL)
        scaler->disarm(client, last_id);
    if (client != NULL)
        scaler->disconnect(client);
    for (size_t i = 0; i < count; i++)
        release(&triggers[i]);
}
