#include "measure/dialogue.h"

#include "agent.pb-c.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "measure/frame.h"

#include <stdlib.h>

/* How long after the deadline a child that keeps it may take to say so. */
enum { GRACE_MS = 250 };

/* Of what it says at a time: the end of one probe, with an error's text. */
enum { LARGEST_SAID = 1 << 20 };

/* The rows of the table that have a text. The strings are borrowed; the caller frees the array. */
static Agent__Option **options_of(const struct option_values *values, size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < values->options; i++)
        count += values->texts[i] != NULL;

    Agent__Option **options = memory_new(count * (sizeof(void *) + sizeof(Agent__Option)));
    Agent__Option *storage = (Agent__Option *)(options + count);
    *ret_count = 0;
    for (size_t i = 0; i < values->options; i++) {
        if (values->texts[i] == NULL)
            continue;
        Agent__Option *option = &storage[*ret_count];
        agent__option__init(option);
        option->row = (uint32_t)i;
        option->text = values->texts[i];
        options[(*ret_count)++] = option;
    }
    return options;
}

static bool send_connect(int socket, const struct scaler *scaler,
                         const struct option_values *values, int64_t deadline_ms,
                         struct error *error)
{
    Agent__Connect connect = AGENT__CONNECT__INIT;
    Agent__ToAgent message = AGENT__TO_AGENT__INIT;
    message.say_case = AGENT__TO_AGENT__SAY_CONNECT;
    message.connect = &connect;
    connect.scaler = (char *)scaler->name;
    connect.deadline_ms = deadline_ms;
    connect.log_level = log_level_now();
    connect.log_format = log_format_now();
    connect.options = options_of(values, &connect.n_options);
    bool good = frame_write(socket, &message.base, deadline_ms, error);
    free(connect.options);
    return good;
}

static bool send_measure(int socket, struct probe *const *probes, size_t count, int64_t deadline_ms,
                         struct error *error)
{
    Agent__Measure measure = AGENT__MEASURE__INIT;
    Agent__ToAgent message = AGENT__TO_AGENT__INIT;
    Agent__Measure__Probe *storage = memory_array(count, sizeof(*storage));
    measure.probes = memory_array(count, sizeof(*measure.probes));
    measure.n_probes = count;
    measure.deadline_ms = deadline_ms;
    message.say_case = AGENT__TO_AGENT__SAY_MEASURE;
    message.measure = &measure;

    for (size_t i = 0; i < count; i++) {
        agent__measure__probe__init(&storage[i]);
        storage[i].options = options_of(probes[i]->values, &storage[i].n_options);
        storage[i].waker = probes[i]->waker.id;
        measure.probes[i] = &storage[i];
    }
    bool good = frame_write(socket, &message.base, deadline_ms, error);
    for (size_t i = 0; i < count; i++)
        free(storage[i].options);
    free(storage);
    free(measure.probes);
    return good;
}

static struct reading reading_of(const Agent__Reading *message)
{
    return (struct reading){
        .waiting = message->waiting,
        .waiting_for_activation = message->waiting_for_activation,
        .in_flight = message->in_flight,
        .consumers = message->consumers,
        .partitions = message->partitions,
        .partitions_with_lag = message->partitions_with_lag,
        .arrival_rate = message->arrival_rate,
        .consumption_rate = message->consumption_rate,
        .value = message->value,
    };
}

/* Whatever it is that the child says, it is an error. */
static void take_error(const Agent__Error *message, struct error *error)
{
    bool known = message->code > ERROR_NONE && message->code < ERROR_INTERNAL;
    error_set(error, known ? (enum error_code)message->code : ERROR_INTERNAL, "%s", message->text);
}

static void take_arm(const Agent__FromAgent__Ended *ended, struct probe *probe)
{
    _cleanup_(error_done) struct error error = {0};
    if (ended->armed)
        probe_armed(probe);
    if (ended->arm_error == NULL)
        return;
    take_error(ended->arm_error, &error);
    probe_cannot_arm(probe, &error);
}

static void take_ended(const Agent__FromAgent__Ended *ended, struct probe *const *probes,
                       size_t count)
{
    if (ended->probe >= count)
        return;
    struct probe *probe = probes[ended->probe];
    take_arm(ended, probe);
    if (ended->reading != NULL) {
        struct reading reading = reading_of(ended->reading);
        probe_answer(probe, &reading);
    } else if (ended->error != NULL) {
        _cleanup_(error_done) struct error error = {0};
        take_error(ended->error, &error);
        probe_fail(probe, &error);
    }
}

/* What the child says until it is done; `told` is what it says went wrong. False: it is gone or hangs. */
static bool receive(int socket, struct probe *const *probes, size_t count, int64_t deadline_ms,
                    struct error *told, struct error *error)
{
    for (bool done = false; !done;) {
        ProtobufCMessage *raw = NULL;
        if (!frame_read(socket, &agent__from_agent__descriptor, LARGEST_SAID,
                        deadline_ms + GRACE_MS, &raw, error))
            return false;
        const Agent__FromAgent *message = (const Agent__FromAgent *)raw;
        if (message->say_case == AGENT__FROM_AGENT__SAY_ENDED)
            take_ended(message->ended, probes, count);
        done = message->say_case == AGENT__FROM_AGENT__SAY_DONE;
        if (done && message->done->error != NULL)
            take_error(message->done->error, told);
        protobuf_c_message_free_unpacked(raw, NULL);
    }
    return true;
}

bool dialogue_connect(int socket, const struct scaler *scaler,
                      const struct option_values *connection_values, int64_t deadline_ms,
                      struct error *told, struct error *error)
{
    return send_connect(socket, scaler, connection_values, deadline_ms, error) &&
           receive(socket, NULL, 0, deadline_ms, told, error);
}

bool dialogue_measure(int socket, struct probe *const *probes, size_t count, int64_t deadline_ms,
                      struct error *told, struct error *error)
{
    return send_measure(socket, probes, count, deadline_ms, error) &&
           receive(socket, probes, count, deadline_ms, told, error);
}

bool dialogue_disarm(int socket, const uint64_t *waker_ids, size_t count, int64_t deadline_ms,
                     struct error *error)
{
    Agent__Disarm disarm = AGENT__DISARM__INIT;
    Agent__ToAgent message = AGENT__TO_AGENT__INIT;
    message.say_case = AGENT__TO_AGENT__SAY_DISARM;
    message.disarm = &disarm;
    disarm.wakers = (uint64_t *)waker_ids;
    disarm.n_wakers = count;
    return frame_write(socket, &message.base, deadline_ms, error);
}
