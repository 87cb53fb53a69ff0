#include "web/content/list_part.h"

#include "web/content/web_json.h"
#include "web/http/page.h"

bool list_part_begin(struct list_part *list, const char *name, const struct page_request *request,
                     size_t usual_limit, size_t max_limit, struct page_response *response)
{
    const char *after = page_request_parameter(request, "after");
    const char *limit = page_request_parameter(request, "limit");
    uint64_t count = usual_limit;
    *list = (struct list_part){.response = response};
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

bool list_part_next(struct list_part *list, uint64_t id)
{
    list->count++;
    if (id <= list->after)
        return false;
    bool is_of_part = !list->has_more && list->rows < list->limit &&
                      list->response->body.length < LIST_PART_BYTES;
    list->has_more = !is_of_part;
    return is_of_part;
}

void list_part_add(struct list_part *list, json_t *row)
{
    text_add(&list->response->body, list->rows++ > 0 ? ",\n" : "\n");
    web_json_add(&list->response->body, row, JSON_REAL_PRECISION(WEB_JSON_DIGITS));
}

void list_part_end(struct list_part *list)
{
    text_addf(&list->response->body, "], \"count\": %zu, \"hasMore\": %s}\n", list->count,
              list->has_more ? "true" : "false");
}
