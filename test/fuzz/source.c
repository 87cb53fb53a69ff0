#include "source.h"

#include "base/clock.h"
#include "base/memory.h"
#include "require.h"

enum { ROUNDS = 3, CONNECT_MS = 10 * 1000, RUN_MS = 4000 };

struct trigger {
    struct option_values *values[OPTION_SCOPES];
    struct options options;
};

static void parse(const struct scaler *scaler, const struct option_entry *entries,
                  struct trigger *ret_trigger)
{
    _cleanup_(error_done) struct error error = {0};
    struct option_values **values = ret_trigger->values;
    size_t count = 0;
    while (count < SOURCE_KEYS && entries[count].key != NULL)
        count++;
    require(option_parse(scaler->options, scaler->sizes,
                         &(struct option_input){entries, count, OPTION_FROM_TRIGGER}, values,
                         &error));
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

void source_measure_queries(const struct scaler *scaler, const void *connection,
                            const struct fuzz_query *queries, size_t count, int rounds,
                            struct error *error)
{
    void *client = NULL;
    struct fuzz_feed *feed = fuzz_feed_new(scaler, queries, count);
    int64_t deadline_ms = clock_now_ms() + CONNECT_MS;
    bool good = scaler->connect(connection, deadline_ms, &client, error);
    require_error(good, error);
    require(good == (client != NULL));
    for (int i = 0; good && i < rounds; i++)
        good = fuzz_feed_run(feed, scaler->measure, client, RUN_MS);
    if (client != NULL)
        scaler->disconnect(client);
    fuzz_feed_free(feed);
}

void source_measure(const struct source *source)
{
    const struct scaler *scaler = source->scaler;
    _cleanup_(error_done) struct error error = {0};
    struct trigger triggers[SOURCE_TRIGGERS] = {0};
    struct fuzz_query queries[SOURCE_TRIGGERS];
    size_t count = 0;
    for (; count < SOURCE_TRIGGERS && source->triggers[count][0].key != NULL; count++) {
        parse(scaler, source->triggers[count], &triggers[count]);
        queries[count] = (struct fuzz_query){triggers[count].options.query,
                                             triggers[count].values[OPTION_QUERY]};
    }
    source_measure_queries(scaler, triggers[0].options.connection, queries, count, ROUNDS, &error);
    for (size_t i = 0; i < count; i++)
        release(&triggers[i]);
}
