#include "web/pages/assets.h"

#include "base/memory.h"
#include "web/http/page.h"

static const struct {
    const char *ending;
    const char *type;
} types[] = {
    {".html", "text/html; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},   {".svg", "image/svg+xml"},
    {".txt", page_response_type_text},
};

static bool write_asset(const char *name, struct page_response *response)
{
    for (const struct asset *asset = assets; asset->name != NULL; asset++) {
        if (!text_equal(asset->name, name))
            continue;
        for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
            if (text_ends_with(name, types[i].ending))
                response->type = types[i].type;
        text_add_bytes(&response->body, asset->bytes, asset->length);
        return true;
    }
    return false;
}

void assets_index(void *context, const struct page_request *request, struct page_response *response)
{
    (void)context;
    if (request->below_count > 0)
        page_response_refuse_path(response);
    else if (!write_asset("index.html", response))
        text_add(&response->body,
                 "This build of Backlog has no dashboard (BACKLOG_DASHBOARD=OFF).\n"
                 "See /metrics and /api/triggers.\n");
}

void assets_login(void *context, const struct page_request *request, struct page_response *response)
{
    (void)context;
    (void)request;
    if (!write_asset("login.html", response))
        text_add(&response->body, "This build of Backlog has no login page "
                                  "(BACKLOG_DASHBOARD=OFF): use a bearer token.\n");
}

void assets_file(void *context, const struct page_request *request, struct page_response *response)
{
    (void)context;
    _cleanup_(text_done) struct text name = {0};
    for (size_t i = 1; i < request->below_count; i++)
        text_addf(&name, "%s%s", i > 1 ? "/" : "", request->below[i]);
    if (name.length == 0 || !text_equal(request->below[0], assets_version) ||
        !write_asset(name.bytes, response))
        page_response_refuse_path(response);
    else
        response->is_immutable = true;
}
