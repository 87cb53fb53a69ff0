#include "daemon/hand_over.h"

#include "base/clock.h"
#include "base/memory.h"

/* A turn of the server is over in milliseconds. One that has ended takes none. What is not taken is
 * handed over again: the main thread has the watchdog and the agents' memory to look after
 * meanwhile, and the thread of the informer has more to do than to wait. */
enum { FILE_MS = 1000, INFORMER_MS = 2 * 1000 };

struct handed_connections {
    struct triggers *triggers;
    struct connections *connections;
};

static void set_connections(void *context)
{
    struct handed_connections *it = context;
    triggers_set_connections(it->triggers, TAKE(it->connections));
}

bool hand_over_connections(const struct hand_over *to, struct connections *connections)
{
    struct handed_connections it = {to->triggers, connections};
    bool is_done = loop_calls_run(to->loop_calls, set_connections, &it, FILE_MS);
    connections_free(it.connections);
    return is_done;
}

struct handed_credentials {
    struct triggers *triggers;
    const char *identity;
    size_t length;
    struct credentials *credentials;
    const struct hpa_facts *hpa;
};

static void set_credentials(void *context)
{
    struct handed_credentials *it = context;
    triggers_set_credentials(it->triggers, it->identity, it->length, TAKE(it->credentials),
                             it->hpa);
}

bool hand_over_credentials(const struct hand_over *to, const char *identity, size_t length,
                           struct credentials *credentials, const struct hpa_facts *hpa)
{
    struct handed_credentials it = {to->triggers, identity, length, credentials, hpa};
    bool is_done = loop_calls_run(to->loop_calls, set_credentials, &it, INFORMER_MS);
    credentials_free(it.credentials);
    return is_done;
}
