#include "jsz.h"

#include "base/text.h"
#include "consumer_info.h"

static const char *string_of(const json_t *object, const char *field)
{
    return json_string_value(json_object_get(object, field));
}

/* The server may report other accounts, too: where it does not know this one, it reports all. */
static const json_t *find_account(const json_t *answer, const struct jsz_account *account)
{
    const json_t *details = json_object_get(answer, "account_details");
    for (size_t i = 0; i < json_array_size(details); i++) {
        const json_t *one = json_array_get(details, i);
        const char *id = string_of(one, "id");
        const char *name = string_of(one, "name");
        if ((id != NULL && text_equal(id, account->id)) ||
            (name != NULL && account->name != NULL && text_equal(name, account->name)))
            return one;
    }
    return NULL;
}

static json_t *consumers_by_name(const json_t *stream)
{
    json_t *by_name = json_object();
    const json_t *details = json_object_get(stream, "consumer_detail");
    for (size_t i = 0; i < json_array_size(details); i++) {
        json_t *consumer = json_array_get(details, i);
        const char *name = string_of(consumer, "name");
        if (name != NULL)
            json_object_set(by_name, name, consumer);
    }
    return by_name;
}

void jsz_init(struct jsz *jsz, const json_t *answer, const struct jsz_account *account,
              const char *server)
{
    const json_t *found = find_account(answer, account);
    const json_t *cluster = json_object_get(answer, "meta_cluster");
    *jsz = (struct jsz){
        .server = server,
        .account = account->name == NULL ? account->id : account->name,
        .clustered = json_number_value(json_object_get(cluster, "cluster_size")) > 1,
        .known = found != NULL,
        .streams = json_object(),
    };
    const json_t *details = json_object_get(found, "stream_detail");
    for (size_t i = 0; i < json_array_size(details); i++) {
        const json_t *stream = json_array_get(details, i);
        const char *name = string_of(stream, "name");
        if (name != NULL)
            json_object_set_new(jsz->streams, name, consumers_by_name(stream));
    }
}

void jsz_done(struct jsz *jsz)
{
    json_decref(jsz->streams);
}

static const char advice[] = "set servers instead of natsServerMonitoringEndpoint, as "
                             "nats://host:4222, where any node forwards to the leader";

static bool explain_absence(const struct jsz *jsz, const struct nats_query_options *query,
                            const json_t *stream, struct error *error)
{
    if (jsz->clustered)
        return error_unavailable(
            error,
            "%s does not have consumer \"%s\" of stream \"%s\" in account \"%s\", and another "
            "node of its cluster may: %s",
            jsz->server, query->consumer, query->stream, jsz->account, advice);
    if (!jsz->known)
        return error_unavailable(error, "%s knows no streams of account \"%s\": check account",
                                 jsz->server, jsz->account);
    return stream == NULL ? nats_no_stream(query, error) : nats_no_consumer(query, error);
}

/* Its cluster's other servers are listed, and itself is not: who leads is among them, or is itself. */
static bool check_leader(const struct jsz *jsz, const struct nats_query_options *query,
                         const json_t *consumer, struct error *error)
{
    const json_t *cluster = json_object_get(consumer, "cluster");
    const char *leader = string_of(cluster, "leader");
    if (cluster == NULL && !jsz->clustered)
        return true;
    if (leader == NULL || leader[0] == '\0')
        return error_unavailable(error, "NATS consumer \"%s\" of stream \"%s\" has no leader now",
                                 query->consumer, query->stream);
    const json_t *others = json_object_get(cluster, "replicas");
    for (size_t i = 0; i < json_array_size(others); i++)
        if (text_equal(string_of(json_array_get(others, i), "name"), leader))
            return error_unavailable(error,
                                     "%s does not lead consumer \"%s\" of stream \"%s\", so it "
                                     "does not know its counts: %s",
                                     jsz->server, query->consumer, query->stream, advice);
    return true;
}

bool jsz_find(const struct jsz *jsz, const struct nats_query_options *query,
              struct reading *ret_reading, struct error *error)
{
    const json_t *stream = json_object_get(jsz->streams, query->stream);
    const json_t *consumer = json_object_get(stream, query->consumer);
    if (consumer == NULL)
        return explain_absence(jsz, query, stream, error);
    return check_leader(jsz, query, consumer, error) &&
           nats_consumer_counts(consumer, query, ret_reading, error);
}
