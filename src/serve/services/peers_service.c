#include "serve/services/peers_service.h"

#include "base/clock.h"
#include "base/memory.h"
#include "peers.pb-c.h"
#include "scale/trigger/trigger_peers.h"
#include "serve/services/message.h"

#include <stdlib.h>

/* A page: other calls wait meanwhile. A page ends where it is nearly full, since the triggers of
 * one bucket of their table, a few, are in one. */
enum { PAGE_US = 500, PAGE_VALUES = PEER_VALUES_LISTED, NEARLY_FULL = PAGE_VALUES * 3 / 4 };

/* In the cursor, which is a bucket of the triggers: all of these were looked at, and the rest is
 * one of the values that nobody took. */
static const uint64_t of_others = (uint64_t)1 << 63;

struct peers_service {
    struct rpc_service service;
    struct triggers *triggers;
    struct peer_values *values;
};

typedef Backlog__Peers__HeldValue held_value;
typedef Backlog__Peers__Peak peak_message;

struct held_page {
    struct peer_value values[PAGE_VALUES];
    size_t count;
    uint64_t next; /* 0: it is the last one */
};

/* What the message of one value points to. */
struct held_parts {
    peak_message peaks[PEAKS_MAX + POLICY_MAX_PEAKS];
    peak_message *places[PEAKS_MAX + POLICY_MAX_PEAKS];
};

static void fill_from_triggers(const struct triggers *triggers, uint64_t bucket, int64_t now_ms,
                               struct held_page *page)
{
    int64_t end_us = clock_now_us() + PAGE_US;
    uint64_t buckets = triggers_buckets(triggers);
    bool has_space = true;
    for (; has_space && bucket < buckets; bucket++) {
        struct trigger *trigger = NULL;
        while (page->count < PAGE_VALUES &&
               (trigger = triggers_at(triggers, bucket, trigger)) != NULL)
            page->count += trigger_peers_give(trigger, now_ms, &page->values[page->count]);
        has_space = page->count < NEARLY_FULL && clock_now_us() < end_us;
    }
    page->next = bucket < buckets ? bucket : of_others;
}

static void fill(const struct peers_service *service, uint64_t after, int64_t now_ms,
                 struct held_page *page)
{
    if ((after & of_others) == 0) {
        fill_from_triggers(service->triggers, after, now_ms, page);
        return;
    }
    uint64_t bucket = after & ~of_others;
    page->count = peer_values_list(service->values, &bucket, now_ms, page->values);
    page->next = bucket == 0 ? 0 : of_others | bucket;
}

static void encode_peaks(const struct peak *peaks, size_t count, int64_t now_ms,
                         peak_message *messages, peak_message **places)
{
    for (size_t i = 0; i < count; i++) {
        messages[i] = (peak_message)BACKLOG__PEERS__PEAK__INIT;
        messages[i].value = peaks[i].value;
        messages[i].age_ms = now_ms - peaks[i].at_ms;
        places[i] = &messages[i];
    }
}

static void encode(const struct peer_value *value, int64_t now_ms, held_value *message,
                   struct held_parts *parts)
{
    const struct held *held = &value->held;
    const struct policy_peaks *wanted = &value->policy_peaks;
    *message = (held_value)BACKLOG__PEERS__HELD_VALUE__INIT;
    message->trigger = (ProtobufCBinaryData){PEER_DIGEST_BYTES, (uint8_t *)value->digest};
    message->value = held->value;
    message->age_ms = now_ms - held->since_ms;
    message->n_earlier = held->peaks_count;
    message->earlier = parts->places;
    encode_peaks(held->peaks, held->peaks_count, now_ms, parts->peaks, parts->places);
    message->n_wanted = wanted->count;
    message->wanted = parts->places + PEAKS_MAX;
    encode_peaks(wanted->items, wanted->count, now_ms, parts->peaks + PEAKS_MAX,
                 parts->places + PEAKS_MAX);
}

static void handle_held(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms)
{
    const struct peers_service *service = rpc->service->context;
    _cleanup_(memory_free) struct held_page *page = memory_new(sizeof(*page));
    fill(service, ((const Backlog__Peers__HeldRequest *)request)->after, now_ms, page);

    size_t count = page->count + 1;
    _cleanup_(memory_free) held_value *messages = memory_array(count, sizeof(*messages));
    _cleanup_(memory_free) held_value **places = memory_array(count, sizeof(*places));
    _cleanup_(memory_free) struct held_parts *parts = memory_array(count, sizeof(*parts));
    for (size_t i = 0; i < page->count; i++) {
        encode(&page->values[i], now_ms, &messages[i], &parts[i]);
        places[i] = &messages[i];
    }
    Backlog__Peers__HeldReply reply = BACKLOG__PEERS__HELD_REPLY__INIT;
    reply.n_values = page->count;
    reply.values = places;
    reply.next = page->next;
    message_send(rpc->call, &reply.base);
    rpc_finish(rpc, STATUS_OK, NULL);
}

static const struct method methods[] = {
    {PEERS_HELD_PATH, &backlog__peers__held_request__descriptor, handle_held, METHOD_UNARY},
};

struct peers_service *peers_service_new(struct triggers *triggers, struct peer_values *values)
{
    struct peers_service *service = memory_new(sizeof(*service));
    service->triggers = triggers;
    service->values = values;
    service->service = (struct rpc_service){
        .name = "backlog.peers.Peers",
        .methods = methods,
        .method_count = ARRAY_LENGTH(methods),
        .rpc_bytes = sizeof(struct rpc),
        .context = service,
    };
    return service;
}

void peers_service_free(struct peers_service *service)
{
    free(service);
}

const struct rpc_service *peers_service_rpcs(const struct peers_service *service)
{
    return &service->service;
}
