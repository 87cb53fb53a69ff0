#include "monitoring.h"

#include "base/memory.h"
#include "base/text.h"
#include "jsz.h"
#include "shared/fetch.h"
#include "shared/http_address.h"

#include <stdlib.h>

enum {
    BODY_BYTES_MOST = 16 << 20, /* 1,000 consumers are 1 MB */
    OK = 200,
};

struct nats_monitoring {
    struct http_address address;
    struct jsz_account account;
    struct fetcher *fetcher;
    char *name; /* for errors */
    char *question;
};

void nats_monitoring_disconnect(struct nats_monitoring *monitoring)
{
    fetch_free(monitoring->fetcher);
    http_address_done(&monitoring->address);
    free(monitoring->name);
    free(monitoring->question);
    free(monitoring);
}

static struct nats_monitoring *monitoring_new(const struct nats_connection_options *options)
{
    struct nats_monitoring *monitoring = memory_new(sizeof(*monitoring));
    _cleanup_(memory_free) char *url = nats_monitoring_url(options);
    http_address_parse(url, &monitoring->address); /* nats_options_check() has seen it */
    monitoring->name = text_format("NATS monitoring at %s", monitoring->address.host_port);
    monitoring->account = (struct jsz_account){
        .name = options->account,
        .id = options->account_id == NULL ? options->account : options->account_id};

    struct text question = {0};
    text_addf(&question, "%s/jsz?acc=", monitoring->address.base);
    http_add_escaped(&question, monitoring->account.id);
    text_add(&question, "&consumers=true");
    monitoring->question = text_take(&question);

    const char *password = options->user == NULL ? monitoring->address.password : options->password;
    const struct fetch_source source = {
        .name = monitoring->name,
        .tls = &options->tls,
        .user = options->user == NULL ? monitoring->address.user : options->user,
        .password = password == NULL ? "" : password,
        .body_bytes_most = BODY_BYTES_MOST,
        /* An account without a limit reserves 18446744073709551615 bytes: no integer of jansson's. */
        .json_flags = JSON_DECODE_INT_AS_REAL,
    };
    monitoring->fetcher = fetch_new(&source);
    return monitoring;
}

/* Asks, and takes no answer but that of a server with JetStream. The caller releases it. */
static enum fetch_outcome ask(const struct nats_monitoring *monitoring, const char *question,
                              int64_t deadline_ms, struct fetch_answer *ret_answer,
                              struct error *error)
{
    enum fetch_outcome outcome =
        fetch_json(monitoring->fetcher, question, deadline_ms, ret_answer, error);
    if (outcome != FETCH_ANSWERED)
        return outcome;
    if (ret_answer->status != OK)
        error_unavailable(error, "%s answered with status %ld: is that a monitoring port?",
                          monitoring->name, ret_answer->status);
    else if (!json_is_object(ret_answer->json))
        error_unavailable(error, "%s answered something else than JSON: is that a monitoring port?",
                          monitoring->name);
    else if (json_is_true(json_object_get(ret_answer->json, "disabled")))
        error_unavailable(error, "%s: JetStream is disabled on this server", monitoring->name);
    return error_is_set(error) ? FETCH_FAILED : FETCH_ANSWERED;
}

bool nats_monitoring_connect(const struct nats_connection_options *options, int64_t deadline_ms,
                             struct nats_monitoring **ret_monitoring, struct error *error)
{
    struct nats_monitoring *monitoring = monitoring_new(options);
    _cleanup_(fetch_answer_done) struct fetch_answer answer = {0};
    _cleanup_(memory_free) char *question = text_format("%s/jsz", monitoring->address.base);
    if (ask(monitoring, question, deadline_ms, &answer, error) != FETCH_ANSWERED) {
        nats_monitoring_disconnect(monitoring);
        return false;
    }
    *ret_monitoring = monitoring;
    return true;
}

static void cannot_arm(struct probe *probe)
{
    _cleanup_(error_done) struct error why = {0};
    error_unavailable(
        &why, "a monitoring port of NATS does not tell of messages: set servers, which does");
    probe_cannot_arm(probe, &why);
}

bool nats_monitoring_measure(struct nats_monitoring *monitoring, struct probe *const *probes,
                             size_t count, int64_t deadline_ms, struct error *error)
{
    _cleanup_(fetch_answer_done) struct fetch_answer answer = {0};
    enum fetch_outcome outcome = ask(monitoring, monitoring->question, deadline_ms, &answer, error);
    if (outcome != FETCH_ANSWERED)
        return false;

    _cleanup_(jsz_done) struct jsz jsz;
    jsz_init(&jsz, answer.json, &monitoring->account, monitoring->name);
    for (size_t i = 0; i < count; i++) {
        _cleanup_(error_done) struct error why = {0};
        struct reading reading;
        if (probe_wants_arm(probes[i]))
            cannot_arm(probes[i]);
        if (jsz_find(&jsz, probes[i]->query, &reading, &why))
            probe_answer(probes[i], &reading);
        else
            probe_fail(probes[i], &why);
    }
    return true;
}
