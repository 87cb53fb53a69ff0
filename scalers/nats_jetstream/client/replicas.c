#include "nats_jetstream/client/replicas.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/json_cleanup.h"
#include "base/json_text.h"
#include "base/memory.h"
#include "base/text.h"
#include "nats_jetstream/consumer_info.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_TREE_BYTES = 4 << 20, /* of a reply */
    MAX_KNOWN = 16384,        /* 4 MiB: beyond them all are dropped, and requested again */
    FRESH_MS = 60 * 1000,     /* then it is requested again */
    DENIED_MS = 10 * 1000,    /* the same, after a reply that we cannot use */
    REPLY_MS = 5000,          /* there will be no reply after it */
};

struct stream_replicas {
    UT_hash_handle hh;        /* by name */
    UT_hash_handle hh_number; /* while a reply is awaited */
    uint64_t number;          /* 0: none is */
    int64_t requested_ms;
    enum nats_replicas_count count;
    bool is_denied; /* the user has no right to know */
    char name[];    /* the subject of the request */
};

struct nats_replicas {
    struct nats_client_connection *connection;
    struct stream_replicas *by_name;
    struct stream_replicas *by_number;
};

struct nats_replicas *nats_replicas_new(struct nats_client_connection *connection)
{
    struct nats_replicas *replicas = memory_new(sizeof(*replicas));
    replicas->connection = connection;
    return replicas;
}

static void await_no_reply(struct nats_replicas *replicas, struct stream_replicas *known)
{
    if (known->number != 0)
        HASH_DELETE(hh_number, replicas->by_number, known);
    known->number = 0;
}

static void forget_all(struct nats_replicas *replicas)
{
    while (replicas->by_name != NULL) {
        struct stream_replicas *known = replicas->by_name;
        await_no_reply(replicas, known);
        HASH_DELETE(hh, replicas->by_name, known);
        free(known);
    }
}

void nats_replicas_free(struct nats_replicas *replicas)
{
    forget_all(replicas);
    free(replicas);
}

static char *name_of(const struct nats_query *query)
{
    struct text name = {0};
    nats_add_api(&name, query);
    text_addf(&name, ".STREAM.INFO.%s", query->stream);
    return text_take(&name);
}

static void request(struct nats_replicas *replicas, struct stream_replicas *known)
{
    await_no_reply(replicas, known);
    known->requested_ms = clock_now_ms();
    known->count = NATS_REPLICAS_UNKNOWN;
    known->is_denied = false;
    nats_client_connection_send(replicas->connection, known->name, &known->number);
    HASH_ADD(hh_number, replicas->by_number, number, sizeof(known->number), known);
}

static struct stream_replicas *find_or_request(struct nats_replicas *replicas,
                                               const struct nats_query *query)
{
    _cleanup_(memory_free) char *name = name_of(query);
    struct stream_replicas *known = NULL;
    HASH_FIND_STR(replicas->by_name, name, known);
    if (known == NULL) {
        if (HASH_COUNT(replicas->by_name) >= MAX_KNOWN)
            forget_all(replicas);
        size_t length = strlen(name);
        known = memory_new(sizeof(*known) + length + 1);
        memcpy(known->name, name, length);
        HASH_ADD_STR(replicas->by_name, name, known);
        request(replicas, known);
    }
    int64_t fresh_ms = FRESH_MS;
    if (known->count == NATS_REPLICAS_UNKNOWN)
        fresh_ms = known->number != 0 ? REPLY_MS : DENIED_MS;
    if (clock_now_ms() > known->requested_ms + fresh_ms)
        request(replicas, known);
    return known;
}

static void explain_unknown(const struct nats_query *query, bool is_denied, struct error *error)
{
    _cleanup_(memory_free) char *name = name_of(query);
    error_unavailable(
        error,
        "NATS answered for consumer \"%s\" of stream \"%s\" with 0 only, which counts "
        "if the stream has one replica, and did not answer how many it has: %s %s",
        query->consumer, query->stream,
        is_denied ? "the user must be allowed to publish to" : "no usable reply to", name);
}

void nats_replicas_explain_silence(const struct nats_query *query, struct error *error)
{
    explain_unknown(query, false, error);
}

enum nats_replicas_state nats_replicas_find(struct nats_replicas *replicas,
                                            const struct nats_query *query, struct error *error)
{
    const struct stream_replicas *known = find_or_request(replicas, query);
    if (known->count == NATS_REPLICAS_ONE)
        return NATS_REPLICAS_SINGLE;
    if (known->number != 0)
        return NATS_REPLICAS_REQUESTED;
    if (known->count == NATS_REPLICAS_UNKNOWN)
        explain_unknown(query, known->is_denied, error);
    else
        nats_consumer_info_not_opened(query, error);
    return NATS_REPLICAS_NOT_SINGLE;
}

/* While the number of replicas is reduced, the configuration already has the new one, and the
 * cluster still has the others. */
enum nats_replicas_count nats_replicas_parse(const char *bytes, size_t length)
{
    _cleanup_(json_done) json_t *info =
        json_text_tree((struct json_text){bytes, length}, JSON_DECODE_INT_AS_REAL, MAX_TREE_BYTES);
    double count =
        json_number_value(json_object_get(json_object_get(info, "config"), "num_replicas"));
    const json_t *others = json_object_get(json_object_get(info, "cluster"), "replicas");
    if (count < 1)
        return NATS_REPLICAS_UNKNOWN;
    bool is_one = count == 1 && json_array_size(others) == 0;
    return is_one ? NATS_REPLICAS_ONE : NATS_REPLICAS_SEVERAL;
}

bool nats_replicas_take(struct nats_replicas *replicas, uint64_t number, natsMsg *message)
{
    struct stream_replicas *known = NULL;
    HASH_FIND(hh_number, replicas->by_number, &number, sizeof(number), known);
    if (known == NULL)
        return false;
    await_no_reply(replicas, known);
    known->is_denied = natsMsg_IsNoResponders(message);
    if (!known->is_denied)
        known->count =
            nats_replicas_parse(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message));
    return true;
}

bool nats_replicas_deny(struct nats_replicas *replicas, const struct nats_refusal *refusal)
{
    struct stream_replicas *known;
    struct stream_replicas *next;
    HASH_ITER(hh_number, replicas->by_number, known, next) {
        if (!nats_refusal_is_of(refusal, known->name))
            continue;
        await_no_reply(replicas, known);
        known->is_denied = true;
        return true;
    }
    return false;
}
