#include "prometheus/client.h"

#include "base/memory.h"
#include "base/text.h"
#include "prometheus/answer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

static void add_headers(struct prometheus_client *client,
                        const struct prometheus_connection_options *options)
{
    for (size_t i = 0; i < options->custom_headers.count; i++) {
        _cleanup_(prometheus_pair_done) struct prometheus_pair pair = {0};
        if (prometheus_pair_split(options->custom_headers.items[i], &pair))
            http_add_header(&client->headers, pair.name, pair.value);
    }
    if (prometheus_has_mode(options, "bearer")) {
        _cleanup_(memory_free) char *value = text_format("Bearer %s", options->bearer_token);
        http_add_header(&client->headers, "Authorization", value);
    }
    if (prometheus_has_mode(options, "custom"))
        http_add_header(&client->headers, options->custom_auth_header, options->custom_auth_value);
}

static void make_pool(struct prometheus_client *client,
                      const struct prometheus_connection_options *options)
{
    bool basic = prometheus_has_mode(options, "basic");
    const char *user = basic ? options->username : client->address.user;
    const char *password = basic ? options->password : client->address.password;
    const struct http_endpoint endpoint = {
        .name = "Prometheus",
        .tls = &options->tls,
        .user = user,
        .password = password == NULL ? "" : password,
        .headers = client->headers,
    };
    client->http = http_new(&endpoint, 1);
    prometheus_client_set_max_tasks(client, PROMETHEUS_DEFAULT_TASKS);
}

void prometheus_client_set_max_tasks(struct prometheus_client *client, size_t max_tasks)
{
    client->max_tasks = max_tasks;
    http_resize(client->http, max_tasks + 1);
}

void prometheus_client_ping(struct prometheus_client *client, int64_t deadline_ms)
{
    const struct prometheus_query one = {.query = "1"};
    _cleanup_(memory_free) char *url = prometheus_query_url(&client->address, &one);
    http_get(client->http, url, PROMETHEUS_MAX_BODY_BYTES, client, deadline_ms);
}

/* An API with tenants may refuse the query for lack of a parameter, and is there all the same. */
bool prometheus_client_take_ping(const struct prometheus_client *client, struct http_ended *ended,
                                 struct error *error)
{
    if (ended->outcome != HTTP_ANSWERED) {
        error_move(error, &ended->error);
        return false;
    }
    if (!http_answer_make_tree(&ended->answer, 0, PROMETHEUS_MAX_TREE_BYTES, error))
        return false;
    if (ended->answer.status == HTTP_UNAUTHORIZED || ended->answer.status >= HTTP_SERVER_ERROR)
        return prometheus_answer_refusal(client->name, &ended->answer, error);
    return true;
}

static bool ping_once(struct prometheus_client *client, int64_t deadline_ms, struct error *error)
{
    _cleanup_(http_ended_done) struct http_ended ended = {0};
    prometheus_client_ping(client, deadline_ms);
    return http_wait_one(client->http, &ended) &&
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
        client->timeout_ms = MIN(options->timeout_ms, HTTP_MAX_TIMEOUT_MS);
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
    http_free(client->http);
    curl_slist_free_all(client->headers);
    http_url_done(&client->address);
    free(client->name);
    free(client);
}
