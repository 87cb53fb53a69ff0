/* The child's side of remote.h. */
#include "measure/remote.h"

#include "agent.pb-c.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/frame.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

struct agent {
    const struct scaler *const *scalers;
    const struct scaler *scaler;             /* chosen by Connect */
    struct option_values *connection_values; /* a client may refer to them as long as it lives */
    void *client;
    uint64_t *disarms; /* wakers that wait until the parent wants nothing else */
    size_t disarms_count;
    size_t disarms_capacity;
};

static void say(const Agent__FromAgent *message)
{
    _cleanup_(error_done) struct error error = {0};
    if (!frame_write(AGENT_SOCKET, &message->base, CLOCK_NEVER, &error))
        exit(0); /* the parent is gone: nobody is left to serve */
}

/* NULL where there is none. The text is borrowed. */
static Agent__Error *error_of(const struct error *error, Agent__Error *storage)
{
    if (!error_is_set(error))
        return NULL;
    agent__error__init(storage);
    storage->code = error->code;
    storage->text = error->text;
    return storage;
}

static void say_done(const struct error *error)
{
    Agent__Error failure;
    Agent__FromAgent__Done done = AGENT__FROM_AGENT__DONE__INIT;
    Agent__FromAgent message = AGENT__FROM_AGENT__INIT;
    message.say_case = AGENT__FROM_AGENT__SAY_DONE;
    message.done = &done;
    done.error = error_of(error, &failure);
    say(&message);
}

/* A probe's owner is its place in the batch. */
static void say_ended(struct probe *probe, const struct reading *reading, const struct error *error)
{
    const uint32_t *place = probe->owner;
    Agent__Error failure;
    Agent__Error refusal;
    Agent__Reading found = AGENT__READING__INIT;
    Agent__FromAgent__Ended ended = AGENT__FROM_AGENT__ENDED__INIT;
    Agent__FromAgent message = AGENT__FROM_AGENT__INIT;
    message.say_case = AGENT__FROM_AGENT__SAY_ENDED;
    message.ended = &ended;
    ended.probe = *place;
    ended.armed = probe->armed;
    ended.arm_error = error_of(&probe->arm_error, &refusal);
    if (reading != NULL) {
        found.waiting = reading->waiting;
        found.waiting_for_activation = reading->waiting_for_activation;
        found.in_flight = reading->in_flight;
        found.consumers = reading->consumers;
        found.partitions = reading->partitions;
        found.partitions_with_lag = reading->partitions_with_lag;
        found.arrival_rate = reading->arrival_rate;
        found.consumption_rate = reading->consumption_rate;
        found.value = reading->value;
        ended.reading = &found;
    } else
        ended.error = error_of(error, &failure);
    say(&message);
}

static struct option_values *values_of(const struct scaler *scaler, enum option_scope scope,
                                       Agent__Option *const *options, size_t count)
{
    size_t rows = option_count(scaler->options);
    _cleanup_(memory_free) const char **texts = memory_array(rows, sizeof(*texts));
    for (size_t i = 0; i < count; i++)
        if (options[i]->row < rows)
            texts[options[i]->row] = options[i]->text;
    return option_values_new(scaler->options, scaler->sizes[scope], scope, texts);
}

static void serve_connect(struct agent *agent, const Agent__Connect *connect)
{
    _cleanup_(error_done) struct error error = {0};
    log_init((enum log_level)connect->log_level, (enum log_format)connect->log_format);
    for (size_t i = 0; agent->scalers[i] != NULL; i++)
        if (text_equal(agent->scalers[i]->name, connect->scaler))
            agent->scaler = agent->scalers[i];
    if (agent->scaler == NULL || agent->connection_values != NULL)
        error_set(&error, ERROR_INTERNAL, "no scaler %s, or connected already", connect->scaler);
    else {
        agent->connection_values =
            values_of(agent->scaler, OPTION_CONNECTION, connect->options, connect->n_options);
        agent->scaler->connect(agent->connection_values->data, connect->deadline_ms, &agent->client,
                               &error);
    }
    say_done(&error);
}

/* On any thread. */
static void say_wake(void *context, uint64_t id)
{
    (void)context;
    ssize_t written = write(AGENT_WAKES, &id, sizeof(id));
    (void)written; /* see remote.h */
}

static void serve_measure(struct agent *agent, const Agent__Measure *measure)
{
    _cleanup_(error_done) struct error error = {0};
    size_t count = measure->n_probes;
    uint32_t *places = memory_array(count, sizeof(*places));
    struct probe *probes = memory_array(count, sizeof(*probes));
    struct probe **pointers = memory_array(count, sizeof(*pointers));
    struct option_values **values = memory_array(count, sizeof(*values));

    for (size_t i = 0; i < count; i++) {
        values[i] = values_of(agent->scaler, OPTION_QUERY, measure->probes[i]->options,
                              measure->probes[i]->n_options);
        places[i] = (uint32_t)i;
        probes[i] = (struct probe){
            .query = values[i]->data,
            .waker = {.wake = say_wake, .id = measure->probes[i]->waker},
            .values = values[i],
            .owner = &places[i],
            .end = say_ended,
        };
        pointers[i] = &probes[i];
    }
    agent->scaler->measure(agent->client, pointers, count, measure->deadline_ms, &error);
    say_done(&error);

    for (size_t i = 0; i < count; i++) {
        error_done(&probes[i].arm_error);
        option_values_free(values[i]);
    }
    free(values);
    free(pointers);
    free(probes);
    free(places);
}

static void serve_disarm(struct agent *agent, const Agent__Disarm *disarm)
{
    agent->disarms = memory_grow(agent->disarms, &agent->disarms_capacity,
                                 agent->disarms_count + disarm->n_wakers, sizeof(*agent->disarms));
    for (size_t i = 0; i < disarm->n_wakers; i++)
        agent->disarms[agent->disarms_count++] = disarm->wakers[i];
}

static bool serve_one(struct agent *agent)
{
    _cleanup_(error_done) struct error error = {0};
    ProtobufCMessage *raw = NULL;
    if (!frame_read(AGENT_SOCKET, &agent__to_agent__descriptor, FRAME_LARGEST, CLOCK_NEVER, &raw,
                    &error))
        return false;

    const Agent__ToAgent *message = (const Agent__ToAgent *)raw;
    if (message->say_case == AGENT__TO_AGENT__SAY_CONNECT)
        serve_connect(agent, message->connect);
    else if (message->say_case == AGENT__TO_AGENT__SAY_MEASURE && agent->client != NULL)
        serve_measure(agent, message->measure);
    else if (message->say_case == AGENT__TO_AGENT__SAY_DISARM && agent->client != NULL)
        serve_disarm(agent, message->disarm);
    protobuf_c_message_free_unpacked(raw, NULL);
    return true;
}

/* Until the parent says something; hears what the source tells meanwhile. A source may take its time to
 * disarm, and thousands may be disarmed at once, but a measurement has a deadline: so it is one at a time. */
static bool wait_for_parent(struct agent *agent)
{
    bool listens = agent->client != NULL && agent->scaler->descriptor != NULL;
    struct pollfd waits[] = {
        {.fd = AGENT_SOCKET, .events = POLLIN},
        {.fd = listens ? agent->scaler->descriptor(agent->client) : -1, .events = POLLIN},
    };
    poll(waits, ARRAY_LENGTH(waits), agent->disarms_count > 0 ? 0 : -1);
    bool is_spoken_to = waits[0].revents != 0;
    if (listens && waits[1].revents != 0)
        agent->scaler->hear(agent->client);
    if (!is_spoken_to && agent->disarms_count > 0)
        agent->scaler->disarm(agent->client, agent->disarms[--agent->disarms_count]);
    return is_spoken_to;
}

/* The parent alone says when to end, whatever a terminal tells the whole group; and an abort leaves
 * no file with secrets in it. */
static void settle(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

int agent_run(const struct scaler *const *scalers)
{
    struct agent agent = {.scalers = scalers};
    settle();
    while (!wait_for_parent(&agent) || serve_one(&agent))
        ;
    if (agent.client != NULL)
        agent.scaler->disconnect(agent.client);
    option_values_free(agent.connection_values);
    free(agent.disarms);
    return 0;
}
