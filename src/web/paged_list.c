#include "web/paged_list.h"

#include "web/http/page.h"
#include "web/web_json.h"

bool paged_list_begin(struct paged_list *list, const char *name, const struct page_request *request,
                      size_t usual_limit, size_t max_limit, struct page_response *response)
{
    const char *after = page_request_parameter(request, "after");
    const char *limit = page_request_parameter(request, "limit");
    uint64_t count = usual_limit;
    *list = (struct paged_list){.response = response};
    if ((after != NULL && !page_request_parse_number(after, &list->after)) ||
        (limit != NULL && (!page_request_parse_number(limit, &count) || count == 0))) {
        web_json_refuse(
            response, 400,
            "after must be the id of the last row before, and limit a number from 1 on, "
            "such as ?after=7&limit=100");
        return false;
    }
    list->limit = count < max_limit ? (size_t)count : max_limit;
    response->type = page_response_type_json;
    text_addf(&response->body, "{\"%s\": [", name);
    return true;
}

bool paged_list_next(struct paged_list *list, uint64_t id)
{
    list->count++;
    if (id <= list->after)
        return false;
    bool is_of_part = !list->has_more && list->rows < list->limit &&
                      list->response->body.length < PAGED_LIST_BYTES;
    list->has_more = !is_of_part;
    return is_of_part;
}

void paged_list_add(struct paged_list *list, json_t *row)
{
    text_add(&list->response->body, list->rows++ > 0 ? ",\n" : "\n");
    web_json_add(&list->response->body, row, JSON_REAL_PRECISION(WEB_JSON_DIGITS));
}

void paged_list_end(struct paged_list *list)
{
    text_addf(&list->response->body, "], \"count\": %zu, \"hasMore\": %s}\n", list->count,
              list->has_more ? "true" : "false");
}
