#include "web/pages/assets.h"

#include "base/memory.h"
#include "web/http/page_answer.h"
#include "web/http/page_request.h"

static const struct {
    const char *ending;
    const char *type;
} types[] = {
    {".html", "text/html; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},   {".svg", "image/svg+xml"},
    {".txt", "text/plain; charset=utf-8"},
};

static bool write_asset(const char *name, struct web_answer *answer)
{
    for (const struct asset *asset = assets; asset->name != NULL; asset++) {
        if (!text_equal(asset->name, name))
            continue;
        for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
            if (text_ends_with(name, types[i].ending))
                answer->type = types[i].type;
        text_add_bytes(&answer->body, asset->bytes, asset->length);
        return true;
    }
    return false;
}

void assets_index(void *context, const struct web_request *request, struct web_answer *answer)
{
    (void)context;
    if (request->below_count > 0)
        web_refuse_path(answer);
    else if (!write_asset("index.html", answer))
        text_add(&answer->body, "This build of Backlog has no dashboard (BACKLOG_DASHBOARD=OFF).\n"
                                "See /metrics and /api/triggers.\n");
}

void assets_login(void *context, const struct web_request *request, struct web_answer *answer)
{
    (void)context;
    (void)request;
    if (!write_asset("login.html", answer))
        text_add(&answer->body, "This build of Backlog has no login page "
                                "(BACKLOG_DASHBOARD=OFF): use a bearer token.\n");
}

void assets_file(void *context, const struct web_request *request, struct web_answer *answer)
{
    (void)context;
    if (request->below_count != 1 || !write_asset(request->below[0], answer))
        web_refuse_path(answer);
}
