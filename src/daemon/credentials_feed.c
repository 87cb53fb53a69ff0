#include "daemon/credentials_feed.h"

#include "base/memory.h"
#include "base/metric.h"
#include "kubernetes/credentials/trigger_credentials.h"

#include <stdlib.h>

struct credentials_feed {
    struct trigger_credentials *all;
    bool reads_hpas;
    struct hand_over to;
};

static bool changed(void *context, const char *key, size_t length, struct credentials *credentials,
                    const struct hpa_facts *hpa)
{
    const struct credentials_feed *it = context;
    return hand_over_credentials(&it->to, key, length, credentials, hpa);
}

struct credentials_feed *credentials_feed_new(struct informer *informer,
                                              const char *cluster_namespace, bool reads_hpas)
{
    struct credentials_feed *credentials = memory_new(sizeof(*credentials));
    credentials->reads_hpas = reads_hpas;
    credentials->all = trigger_credentials_new(&(struct trigger_credentials_settings){
        .informer = informer,
        .cluster_namespace = cluster_namespace,
        .reads_hpas = reads_hpas,
        .changed = changed,
        .context = credentials,
    });
    return credentials;
}

void credentials_feed_hand_to(struct credentials_feed *credentials, const struct hand_over *to)
{
    credentials->to = *to;
}

/* ---- for the triggers ---- */

static void add(void *context, const struct identity *identity, const struct trigger_ref *ref,
                const struct option *table)
{
    const struct credentials_feed *credentials = context;
    const struct trigger_need need = {
        .key = identity->bytes,
        .key_length = identity->length,
        .namespace = ref->namespace,
        .name = ref->name,
        .entries = ref->entries,
        .count = ref->count,
        .table = table,
    };
    trigger_credentials_add(credentials->all, &need);
}

static void forget(void *context, const struct identity *identity)
{
    const struct credentials_feed *credentials = context;
    trigger_credentials_remove(credentials->all, identity->bytes, identity->length);
}

static void refresh(void *context, const struct identity *identity)
{
    const struct credentials_feed *credentials = context;
    trigger_credentials_refresh(credentials->all, identity->bytes, identity->length);
}

struct own_credentials_settings credentials_feed_hooks(struct credentials_feed *it)
{
    if (it == NULL)
        return (struct own_credentials_settings){0};
    return (struct own_credentials_settings){
        .add = add,
        .remove = forget,
        .refresh = refresh,
        .context = it,
        .reads_hpas = it->reads_hpas,
    };
}

void credentials_feed_free(struct credentials_feed *credentials)
{
    if (credentials == NULL)
        return;
    trigger_credentials_free(credentials->all);
    free(credentials);
}

/* ---- what is known ---- */

void credentials_feed_write_metrics(const struct credentials_feed *credentials, struct text *page)
{
    static const char family[] = "backlog_trigger_credentials";
    static const char *const states[] = {
        [CREDENTIALS_WAITING] = "waiting",
        [CREDENTIALS_VERIFIED] = "verified",
        [CREDENTIALS_REFUSED] = "refused",
    };
    struct trigger_credentials_stats known;
    if (credentials == NULL)
        return;
    trigger_credentials_stats(credentials->all, &known);
    metric_family(page, family, METRIC_GAUGE,
                  "Triggers without a connectionName, by what the Kubernetes API says of them "
                  "(--kubernetes).");
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        _cleanup_(memory_free) char *labels = text_format("state=\"%s\"", states[i]);
        metric_sample(page, family, labels, (double)known.triggers[i]);
    }
}
