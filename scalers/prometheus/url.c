#include "prometheus/url.h"

#include "base/memory.h"
#include "base/text.h"

bool prometheus_address_parse(const char *server_address, struct http_address *ret_address,
                              struct error *error)
{
    return http_address_parse(server_address, ret_address) ||
           error_invalid(error, "serverAddress must be a URL such as http://prometheus:9090/path, "
                                "without parameters, and with / ? # and @ of a password escaped");
}

static void add_parameter(struct text *url, const char *name, const char *value)
{
    text_add(url, "&");
    http_add_escaped(url, name);
    text_add(url, "=");
    http_add_escaped(url, value);
}

char *prometheus_query_url(const struct http_address *address, const struct prometheus_query *query)
{
    struct text url = {0};
    text_addf(&url, "%s/api/v1/query?query=", address->base);
    http_add_escaped(&url, query->query);
    if (query->namespace != NULL)
        add_parameter(&url, "namespace", query->namespace);
    for (size_t i = 0; i < query->query_parameters.count; i++) {
        _cleanup_(prometheus_pair_done) struct prometheus_pair pair = {0};
        if (prometheus_pair_split(query->query_parameters.items[i], &pair))
            add_parameter(&url, pair.name, pair.value);
    }
    return text_take(&url);
}
