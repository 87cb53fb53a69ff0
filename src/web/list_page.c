#include "web/list_page.h"

#include "web/json.h"

#include <stdint.h>
#include <stdlib.h>

/* False: it is no count. */
static bool parse_count(const char *text, size_t usual, size_t max, size_t *ret_count)
{
    char *end = NULL;
    *ret_count = usual;
    if (text == NULL)
        return true;
    if (text[0] < '0' || text[0] > '9')
        return false;
    unsigned long long count = strtoull(text, &end, 10);
    *ret_count = count < max ? (size_t)count : max;
    return *end == '\0';
}

bool list_page_begin(struct list_page *page, const char *name, const struct web_request *request,
                     size_t usual_limit, size_t max_limit, struct web_answer *answer)
{
    *page = (struct list_page){.answer = answer};
    if (!parse_count(web_parameter(request, "offset"), 0, SIZE_MAX, &page->offset) ||
        !parse_count(web_parameter(request, "limit"), usual_limit, max_limit, &page->limit)) {
        web_refuse(answer, 400, "offset and limit must be numbers, such as ?offset=0&limit=100");
        return false;
    }
    answer->type = "application/json";
    text_addf(&answer->body, "{\"%s\": [", name);
    return true;
}

bool list_page_next(struct list_page *page)
{
    return page->count++ >= page->offset && page->rows < page->limit &&
           page->answer->body.length < LIST_PAGE_BYTES;
}

void list_page_add(struct list_page *page, json_t *row)
{
    text_add(&page->answer->body, page->rows++ > 0 ? ",\n" : "\n");
    json_add(&page->answer->body, row, JSON_REAL_PRECISION(15));
}

void list_page_end(struct list_page *page)
{
    bool has_more = page->count > page->offset && page->count - page->offset > page->rows;
    text_addf(&page->answer->body, "], \"count\": %zu, \"hasMore\": %s}\n", page->count,
              has_more ? "true" : "false");
}
