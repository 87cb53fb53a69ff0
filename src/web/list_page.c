#include "web/list_page.h"

#include "web/http/page_request.h"
#include "web/json.h"
#include "web/json_response.h"

bool list_page_begin(struct list_page *page, const char *name, const struct web_request *request,
                     size_t usual_limit, size_t max_limit, struct web_response *response)
{
    const char *after = web_parameter(request, "after");
    const char *limit = web_parameter(request, "limit");
    uint64_t count = usual_limit;
    *page = (struct list_page){.response = response};
    if ((after != NULL && !web_parse_number(after, &page->after)) ||
        (limit != NULL && (!web_parse_number(limit, &count) || count == 0))) {
        web_refuse(response, 400,
                   "after must be the id of the last row before, and limit a number from 1 on, "
                   "such as ?after=7&limit=100");
        return false;
    }
    page->limit = count < max_limit ? (size_t)count : max_limit;
    response->type = web_type_json;
    text_addf(&response->body, "{\"%s\": [", name);
    return true;
}

bool list_page_next(struct list_page *page, uint64_t id)
{
    page->count++;
    if (id <= page->after)
        return false;
    bool has_room = !page->has_more && page->rows < page->limit &&
                    page->response->body.length < LIST_PAGE_BYTES;
    page->has_more = !has_room;
    return has_room;
}

void list_page_add(struct list_page *page, json_t *row)
{
    text_add(&page->response->body, page->rows++ > 0 ? ",\n" : "\n");
    web_json_add(&page->response->body, row, JSON_REAL_PRECISION(15));
}

void list_page_end(struct list_page *page)
{
    text_addf(&page->response->body, "], \"count\": %zu, \"hasMore\": %s}\n", page->count,
              page->has_more ? "true" : "false");
}
