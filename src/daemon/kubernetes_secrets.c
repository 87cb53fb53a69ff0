#include "daemon/kubernetes_secrets.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/metric.h"
#include "daemon/invalid_connections.h"
#include "kubernetes/credentials/team_secrets.h"
#include "measure/scaler.h"
#include "scale/connections/named_connections.h"
#include "scale/connections/namespace_secrets.h"

#include <stdlib.h>

enum { MAX_LOGGED = 20 };

/* Of a page with the mistakes of all teams' Secrets. */
enum { MAX_LINES_BYTES = 64 << 10 };

struct kubernetes_secrets {
    struct team_secrets *teams;
    struct hand_over to;
};

/* A team's Secret may have ten thousand mistakes, and the log is everybody's. */
static void log_invalid(const char *namespace, const struct connections *connections)
{
    struct invalid_connection invalid;
    struct log_fields fields = {.namespace = namespace};
    size_t position = 0;
    size_t count = 0;
    while (connections_next_invalid(connections, &position, &invalid))
        if (++count <= MAX_LOGGED) {
            fields.connection = invalid.name;
            log_about(&fields, LOG_LEVEL_WARNING, "namespace %s, connection \"%s\": %s", namespace,
                      invalid.name == NULL ? "" : invalid.name, invalid.text);
        }
    fields.connection = NULL;
    if (count > MAX_LOGGED)
        log_about(&fields, LOG_LEVEL_WARNING,
                  "namespace %s: %zu further mistakes in its connections", namespace,
                  count - MAX_LOGGED);
}

static bool changed(void *context, const char *namespace, struct connections *connections,
                    const struct error *failure)
{
    const struct kubernetes_secrets *secrets = context;
    _cleanup_(error_done) struct error refused = {0};
    if (connections != NULL) {
        named_connections_check(connections, scaler_list);
        log_invalid(namespace, connections);
    }
    if (connections_check_bytes(connections, &refused))
        return hand_over_secret(&secrets->to, namespace, connections, failure);
    log_about(&(struct log_fields){.namespace = namespace}, LOG_LEVEL_WARNING,
              "Secret %s/" NAMESPACE_SECRET_NAME " cannot be used: %s", namespace,
              error_text(&refused));
    connections_free(connections);
    return hand_over_secret(&secrets->to, namespace, NULL, &refused);
}

struct kubernetes_secrets *kubernetes_secrets_new(struct informer *informer)
{
    struct kubernetes_secrets *secrets = memory_new(sizeof(*secrets));
    secrets->teams = team_secrets_new(&(struct team_secrets_settings){
        .informer = informer,
        .name = NAMESPACE_SECRET_NAME,
        .changed = changed,
        .context = secrets,
    });
    return secrets;
}

void kubernetes_secrets_hand_to(struct kubernetes_secrets *secrets, const struct hand_over *to)
{
    secrets->to = *to;
}

void kubernetes_secrets_set_wanted(void *context, const char *namespace, bool is_wanted)
{
    const struct kubernetes_secrets *secrets = context;
    if (is_wanted)
        team_secrets_add(secrets->teams, namespace);
    else
        team_secrets_remove(secrets->teams, namespace);
}

void kubernetes_secrets_free(struct kubernetes_secrets *secrets)
{
    if (secrets == NULL)
        return;
    team_secrets_free(secrets->teams);
    free(secrets);
}

/* ---- what is known ---- */

enum state { SECRET_READ, SECRET_ABSENT, SECRET_WAITING, SECRET_FAILING, SECRET_STATES };

static enum state state_of(const struct namespace_secret *secret)
{
    if (secret->is_failing)
        return SECRET_FAILING;
    if (!secret->is_read)
        return SECRET_WAITING;
    return secret->connections == NULL ? SECRET_ABSENT : SECRET_READ;
}

void kubernetes_secrets_write_metrics(const struct namespace_secrets *secrets, struct text *page)
{
    static const char family[] = "backlog_kubernetes_secrets";
    static const char *const states[SECRET_STATES] = {"read", "absent", "waiting", "failing"};
    size_t counts[SECRET_STATES] = {0};
    size_t invalid = 0;
    for (const struct namespace_secret *each = NULL;
         (each = namespace_secrets_next(secrets, each)) != NULL;) {
        counts[state_of(each)]++;
        invalid += connections_count_invalid(each->connections);
    }
    metric_family(page, family, METRIC_GAUGE,
                  "Namespaces whose Secret is followed (--kubernetes-secrets); failing: what was "
                  "read before stays in use.");
    for (size_t i = 0; i < SECRET_STATES; i++) {
        _cleanup_(memory_free) char *labels = text_format("state=\"%s\"", states[i]);
        metric_sample(page, family, labels, (double)counts[i]);
    }
    metric_single(page, "backlog_invalid_secret_connections", METRIC_GAUGE,
                  "Mistakes in those Secrets, each of one connection or of one key.",
                  (double)invalid);
}

void kubernetes_secrets_write_lines(const struct namespace_secrets *secrets, struct text *page)
{
    for (const struct namespace_secret *each = NULL;
         (each = namespace_secrets_next(secrets, each)) != NULL;) {
        if (page->length > MAX_LINES_BYTES) {
            text_add(page, "[-]and more Secrets\n");
            return;
        }
        if (each->is_failing)
            text_addf(page, "[-]Secret %s/" NAMESPACE_SECRET_NAME " cannot be read\n",
                      each->namespace);
        invalid_connections_write_lines(each->connections, page);
    }
}
