#include "prometheus/url.h"

#include "base/memory.h"
#include "base/text.h"

bool prometheus_address_parse(const char *server_address, struct http_url *ret_address,
                              struct error *error)
{
    return http_url_parse(server_address, ret_address) ||
           error_invalid(error, "serverAddress must be a URL such as http://prometheus:9090/path "
                                "or http://[fd00::1]:9090, "
                                "without parameters, and with / ? # and @ of a password escaped");
}

static void add_parameter(struct text *url, const char *name, const char *value)
{
    text_add(url, "&");
    http_url_add_escaped(url, name);
    text_add(url, "=");
    http_url_add_escaped(url, value);
}

/* The name of the label that says which of the queries a series is of. */
#define PART_LABEL "backlog_part"

/* A line break before the parenthesis: the query may end with a comment. */
static void add_part(struct text *query, const char *part, const char *name)
{
    if (part != NULL)
        text_addf(query, "%slabel_replace((\n%s\n), \"" PART_LABEL "\", \"%s\", \"\", \"\")",
                  query->length == 0 ? "" : " or ", part, name);
}

bool prometheus_query_has_parts(const struct prometheus_query *query)
{
    return query->in_flight_query != NULL || query->arrival_query != NULL ||
           query->consumption_query != NULL;
}

static char *join_parts(const struct prometheus_query *query)
{
    struct text joined = {0};
    add_part(&joined, query->query, "query");
    add_part(&joined, query->in_flight_query, "inFlightQuery");
    add_part(&joined, query->arrival_query, "arrivalQuery");
    add_part(&joined, query->consumption_query, "consumptionQuery");
    return text_take(&joined);
}

char *prometheus_query_url(const struct http_url *address, const struct prometheus_query *query)
{
    struct text url = {0};
    text_addf(&url, "%s/api/v1/query?query=", address->base);
    _cleanup_(memory_free) char *joined =
        prometheus_query_has_parts(query) ? join_parts(query) : NULL;
    http_url_add_escaped(&url, joined == NULL ? query->query : joined);
    if (query->namespace != NULL)
        add_parameter(&url, "namespace", query->namespace);
    for (size_t i = 0; i < query->query_parameters.count; i++) {
        _cleanup_(prometheus_pair_done) struct prometheus_pair pair = {0};
        if (prometheus_pair_split(query->query_parameters.items[i], &pair))
            add_parameter(&url, pair.name, pair.value);
    }
    return text_take(&url);
}
