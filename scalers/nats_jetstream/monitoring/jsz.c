#include "nats_jetstream/monitoring/jsz.h"

#include "base/hash.h"
#include "base/json_cleanup.h"
#include "base/memory.h"
#include "base/text.h"
#include "nats_jetstream/consumer_info.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_ENTRIES = 100000,         /* streams and consumers; 16 MiB usually have 16,000 to 28,000 */
    MAX_CONSUMER_BYTES = 1 << 20, /* of a tree; usually 8 KB, but with its own metadata */
    MAX_NAME_BYTES = 4 << 10,     /* the same; a name has 255 characters at most */
};

struct nats_jsz_entry {
    uint64_t key;
    struct json_text text;
};

static const char *string_of(const json_t *object, const char *field)
{
    return json_string_value(json_object_get(object, field));
}

/* NULL: there is none. The caller frees it. */
static json_t *small_member(struct json_text object, const char *name)
{
    return json_text_tree(json_text_member(object, name), JSON_DECODE_ANY, MAX_NAME_BYTES);
}

static bool has_name(struct json_text object, const char *field, const char *wanted)
{
    _cleanup_(json_done) json_t *name = small_member(object, field);
    return wanted != NULL && json_is_string(name) && text_equal(json_string_value(name), wanted);
}

/* The last account that has it. */
static size_t find_by(struct json_text answer, const char *field, const char *wanted,
                      struct json_text *ret_account)
{
    struct json_walk walk;
    struct json_text unused;
    struct json_text one;
    size_t found = 0;
    json_walk_begin(&walk, json_text_member(answer, "account_details"));
    while (json_walk_next(&walk, &unused, &one))
        if (has_name(one, field, wanted)) {
            *ret_account = one;
            found++;
        }
    return found;
}

/* The server may report other accounts, too: where it does not know this one, it reports all. Only
 * ids are unique: with an operator, names are tags. Returns how many it may be. */
static size_t find_account(struct json_text answer, const struct nats_jsz_account *account,
                           struct json_text *ret_account)
{
    size_t found = find_by(answer, "id", account->id, ret_account);
    return found > 0 ? found : find_by(answer, "name", account->name, ret_account);
}

static uint64_t key_of(const char *stream, const char *consumer)
{
    struct hash hash;
    hash_begin(&hash);
    hash_add(&hash, stream, strlen(stream));
    if (consumer != NULL)
        hash_add(&hash, consumer, strlen(consumer));
    return hash_end(&hash);
}

static bool add(struct nats_jsz *jsz, uint64_t key, struct json_text text)
{
    if (jsz->count == MAX_ENTRIES)
        return false;
    jsz->entries = memory_grow(jsz->entries, &jsz->capacity, jsz->count + 1, sizeof(*jsz->entries));
    jsz->entries[jsz->count++] = (struct nats_jsz_entry){key, text};
    return true;
}

static bool add_consumers(struct nats_jsz *jsz, const char *stream, struct json_text consumers)
{
    struct json_walk walk;
    struct json_text unused;
    struct json_text consumer;
    json_walk_begin(&walk, consumers);
    while (json_walk_next(&walk, &unused, &consumer)) {
        _cleanup_(json_done) json_t *name = small_member(consumer, "name");
        if (json_is_string(name) && !add(jsz, key_of(stream, json_string_value(name)), consumer))
            return false;
    }
    return true;
}

static bool add_streams(struct nats_jsz *jsz, struct json_text streams)
{
    struct json_walk walk;
    struct json_text unused;
    struct json_text stream;
    json_walk_begin(&walk, streams);
    while (json_walk_next(&walk, &unused, &stream)) {
        _cleanup_(json_done) json_t *json = small_member(stream, "name");
        const char *name = json_string_value(json);
        if (name != NULL &&
            !(add(jsz, key_of(name, NULL), stream) &&
              add_consumers(jsz, name, json_text_member(stream, "consumer_detail"))))
            return false;
    }
    return true;
}

static int compare(const void *left, const void *right)
{
    const struct nats_jsz_entry *one = left;
    const struct nats_jsz_entry *other = right;
    return (one->key > other->key) - (one->key < other->key);
}

/* NULL: there is none. */
static const struct nats_jsz_entry *find(const struct nats_jsz *jsz, const char *stream,
                                         const char *consumer)
{
    const struct nats_jsz_entry wanted = {.key = key_of(stream, consumer)};
    return jsz->count == 0
               ? NULL
               : bsearch(&wanted, jsz->entries, jsz->count, sizeof(*jsz->entries), compare);
}

/* All of it is an object. */
static bool is_whole(struct json_text answer)
{
    struct json_walk walk;
    struct json_text key;
    struct json_text value;
    json_walk_begin(&walk, answer);
    while (json_walk_next(&walk, &key, &value))
        continue;
    return !walk.is_broken && json_text_begins_with(answer, '{');
}

bool nats_jsz_init(struct nats_jsz *jsz, struct json_text answer,
                   const struct nats_jsz_account *account, const char *server, struct error *error)
{
    *jsz = (struct nats_jsz){
        .server = server,
        .account = account->name == NULL ? account->id : account->name,
    };
    if (!is_whole(answer))
        return error_unavailable(
            error, "%s: unexpected reply, not JSON: is that a monitoring port?", server);
    if (json_text_begins_with(json_text_member(answer, "disabled"), 't'))
        return error_unavailable(error, "%s: JetStream is disabled on this server", server);
    struct json_text cluster = json_text_member(answer, "meta_cluster");
    _cleanup_(json_done) json_t *size = small_member(cluster, "cluster_size");
    _cleanup_(json_done) json_t *name = small_member(cluster, "name");
    struct json_text found;
    jsz->is_clustered = json_number_value(size) > 1;
    jsz->cluster = text_copy(json_string_value(name));
    size_t accounts = find_account(answer, account, &found);
    if (accounts > 1)
        return error_unavailable(error, "%s has %zu accounts of the name \"%s\": set accountID",
                                 server, accounts, jsz->account);
    jsz->is_known = accounts == 1;
    if (jsz->is_known && !add_streams(jsz, json_text_member(found, "stream_detail")))
        return error_unavailable(error, "%s: the account has more than %d streams and consumers",
                                 server, MAX_ENTRIES);
    if (jsz->count > 0)
        qsort(jsz->entries, jsz->count, sizeof(*jsz->entries), compare);
    return true;
}

void nats_jsz_done(struct nats_jsz *jsz)
{
    free(jsz->entries);
    free(jsz->cluster);
}

static const char advice[] = "set servers instead of natsServerMonitoringEndpoint, as "
                             "nats://host:4222, where any node forwards to the leader";

bool nats_jsz_explain_elsewhere(const char *server, const struct nats_query *query,
                                struct error *error)
{
    return error_unavailable(error,
                             "%s does not lead consumer \"%s\" of stream \"%s\", and reports no "
                             "other node of its cluster that can be asked: %s",
                             server, query->consumer, query->stream, advice);
}

static bool explain_absence(const struct nats_jsz *jsz, const struct nats_query *query,
                            struct error *error)
{
    if (jsz->is_clustered)
        return error_unavailable(
            error,
            "%s does not have consumer \"%s\" of stream \"%s\" in account \"%s\", and another "
            "node of its cluster may: %s",
            jsz->server, query->consumer, query->stream, jsz->account, advice);
    if (!jsz->is_known)
        return error_unavailable(error, "%s knows no streams of account \"%s\": check account",
                                 jsz->server, jsz->account);
    return find(jsz, query->stream, NULL) == NULL ? nats_consumer_info_no_stream(query, error)
                                                  : nats_consumer_info_no_consumer(query, error);
}

/* As the server itself counts those of a consumer. NAN: the reply has no configuration. */
static double configured_replicas(const struct nats_jsz *jsz, const struct nats_query *query,
                                  const json_t *consumer)
{
    const json_t *config = json_object_get(consumer, "config");
    const json_t *own = json_object_get(config, "num_replicas");
    const struct nats_jsz_entry *stream = find(jsz, query->stream, NULL);
    if (!json_is_number(own) || stream == NULL)
        return (double)NAN;
    struct json_text of_stream = json_text_member(stream->text, "config");
    _cleanup_(json_done) json_t *count = small_member(of_stream, "num_replicas");
    double stream_count = json_is_number(count) ? json_number_value(count) : (double)NAN;
    if (json_number_value(own) > 0)
        return fmin(json_number_value(own), stream_count);
    bool is_durable = json_string_length(json_object_get(config, "durable_name")) > 0;
    return is_durable || !has_name(of_stream, "retention", "limits") ? stream_count : 1;
}

/* A server that could not open its replica runs the consumer as if it were the only one, and lists
 * itself as its leader. */
static bool check_alone(const struct nats_jsz *jsz, const struct nats_query *query,
                        const json_t *consumer, struct error *error)
{
    double replicas = configured_replicas(jsz, query, consumer);
    if (isnan(replicas))
        return error_unavailable(error,
                                 "%s does not report how many replicas consumer \"%s\" of stream "
                                 "\"%s\" has: %s",
                                 jsz->server, query->consumer, query->stream, advice);
    return replicas == 1 || nats_consumer_info_not_opened(query, error);
}

/* Its cluster's other servers are listed, and itself is not: who leads is among them, or is itself.
 */
static bool check_leader(const struct nats_jsz *jsz, const struct nats_query *query,
                         const json_t *consumer, struct error *error)
{
    const json_t *cluster = json_object_get(consumer, "cluster");
    const char *leader = string_of(cluster, "leader");
    if (cluster == NULL && !jsz->is_clustered)
        return true;
    if (leader == NULL || leader[0] == '\0')
        return nats_consumer_info_no_leader(query, error);
    const json_t *others = json_object_get(cluster, "replicas");
    if (json_array_size(others) == 0) /* before 2.9.10 a server alone lists itself as well */
        return !jsz->is_clustered || check_alone(jsz, query, consumer, error);
    for (size_t i = 0; i < json_array_size(others); i++)
        if (text_equal(string_of(json_array_get(others, i), "name"), leader))
            return error_unavailable(error,
                                     "%s does not lead consumer \"%s\" of stream \"%s\", so it "
                                     "does not know its counts: %s",
                                     jsz->server, query->consumer, query->stream, advice);
    return true;
}

enum nats_jsz_found nats_jsz_find(const struct nats_jsz *jsz, const struct nats_query *query,
                                  struct reading *ret_reading,
                                  struct nats_consumer_origin *ret_origin, struct error *error)
{
    const struct nats_jsz_entry *entry = find(jsz, query->stream, query->consumer);
    enum nats_jsz_found not_here = jsz->is_clustered ? NATS_JSZ_ELSEWHERE : NATS_JSZ_FAILED;
    if (entry == NULL) {
        explain_absence(jsz, query, error);
        return not_here;
    }
    _cleanup_(json_done) json_t *consumer =
        json_text_tree(entry->text, JSON_DECODE_INT_AS_REAL, MAX_CONSUMER_BYTES);
    if (consumer == NULL) {
        error_unavailable(error,
                          "%s: unexpected reply: consumer \"%s\" of stream \"%s\" is no JSON, or "
                          "has too many values in it",
                          jsz->server, query->consumer, query->stream);
        return NATS_JSZ_FAILED;
    }
    if (!check_leader(jsz, query, consumer, error))
        return not_here;
    *ret_origin = nats_consumer_info_origin(consumer);
    return nats_consumer_info_counts(consumer, query, ret_reading, error) ? NATS_JSZ_COUNTED
                                                                          : NATS_JSZ_FAILED;
}
