#include "prometheus/client.h"

#include "base/memory.h"
#include "base/text.h"
#include "prometheus/answer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

enum {
    MAX_BODY_BYTES = 1024 * 1024, /* a query returns one series */
    MAX_BODIES_BYTES = 8 * MAX_BODY_BYTES,
    MAX_TREE_BYTES = 8 * MAX_BODY_BYTES, /* one at a time */
};

static void add_header(struct prometheus_client *client, const char *name, const char *value)
{
    /* To libcurl "name:" takes a header away, and "name;" is one without a value. */
    _cleanup_(memory_free) char *header =
        value[0] == '\0' ? text_format("%s;", name) : text_format("%s: %s", name, value);
    client->headers = curl_slist_append(client->headers, header);
}

static void add_headers(struct prometheus_client *client,
                        const struct prometheus_connection_options *options)
{
    for (size_t i = 0; i < options->custom_headers.count; i++) {
        _cleanup_(prometheus_pair_done) struct prometheus_pair pair = {0};
        if (prometheus_pair_split(options->custom_headers.items[i], &pair))
            add_header(client, pair.name, pair.value);
    }
    if (prometheus_has_mode(options, "bearer")) {
        _cleanup_(memory_free) char *value = text_format("Bearer %s", options->bearer_token);
        add_header(client, "Authorization", value);
    }
    if (prometheus_has_mode(options, "custom"))
        add_header(client, options->custom_auth_header, options->custom_auth_value);
}

static void make_pool(struct prometheus_client *client,
                      const struct prometheus_connection_options *options)
{
    bool basic = prometheus_has_mode(options, "basic");
    const char *user = basic ? options->username : client->address.user;
    const char *password = basic ? options->password : client->address.password;
    const struct fetch_source source = {
        .name = client->name,
        .tls = &options->tls,
        .user = user,
        .password = password == NULL ? "" : password,
        .headers = client->headers,
        .max_body_bytes = MAX_BODY_BYTES,
        .max_bodies_bytes = MAX_BODIES_BYTES,
        .max_tree_bytes = MAX_TREE_BYTES,
    };
    client->pool = fetch_pool_new(&source, 1);
    prometheus_client_set_max_tasks(client, PROMETHEUS_DEFAULT_TASKS);
}

void prometheus_client_set_max_tasks(struct prometheus_client *client, size_t max_tasks)
{
    client->max_tasks = max_tasks;
    fetch_pool_resize(client->pool, max_tasks + 1);
}

void prometheus_client_ping(struct prometheus_client *client, int64_t deadline_ms)
{
    const struct prometheus_query one = {.query = "1"};
    _cleanup_(memory_free) char *url = prometheus_query_url(&client->address, &one);
    fetch_pool_get(client->pool, url, client, deadline_ms);
}

/* An API with tenants may refuse the query for lack of a parameter, and is there all the same. */
bool prometheus_client_take_ping(const struct prometheus_client *client, struct fetch_ended *ended,
                                 struct error *error)
{
    if (ended->outcome != FETCH_ANSWERED) {
        error_move(error, &ended->error);
        return false;
    }
    if (ended->answer.status == FETCH_STATUS_UNAUTHORIZED ||
        ended->answer.status >= FETCH_STATUS_SERVER_ERROR)
        return prometheus_answer_refusal(client->name, &ended->answer, error);
    return true;
}

static bool ping_once(struct prometheus_client *client, int64_t deadline_ms, struct error *error)
{
    _cleanup_(fetch_ended_done) struct fetch_ended ended = {0};
    prometheus_client_ping(client, deadline_ms);
    return fetch_pool_wait_one(client->pool, &ended) &&
           prometheus_client_take_ping(client, &ended, error);
}

bool prometheus_client_connect(const void *connection_options, int64_t deadline_ms,
                               void **ret_client, struct error *error)
{
    const struct prometheus_connection_options *options = connection_options;
    struct prometheus_client *client = memory_new(sizeof(*client));
    bool good = prometheus_address_parse(options->server_address, &client->address, error);
    if (good) {
        client->name = text_format("Prometheus at %s", client->address.host_port);
        add_headers(client, options);
        make_pool(client, options);
        client->timeout_ms = MIN(options->timeout_ms, FETCH_MAX_TIMEOUT_MS);
        good = ping_once(client, deadline_ms, error);
    }
    if (!good) {
        prometheus_client_disconnect(client);
        return false;
    }
    *ret_client = client;
    return true;
}

void prometheus_client_disconnect(void *opaque)
{
    struct prometheus_client *client = opaque;
    fetch_pool_free(client->pool);
    curl_slist_free_all(client->headers);
    http_address_done(&client->address);
    free(client->name);
    free(client);
}
