#include "manifest/migration_fixture.h"

#include <string.h>

struct migration_settings settings = {.scalers = scaler_list,
                                      .scaler_address = "backlog.keda.svc:9090"};

static char *result_of(const struct migration_settings *chosen, const char *text,
                       struct findings *findings)
{
    struct migration migration;
    struct manifests manifests = {.reads_templates = true};
    manifests_add_text(&manifests, "f.yaml", text, strlen(text), findings);
    migration_make(chosen, &manifests, &migration, findings);
    char *result = migration.count == 0 ? NULL : text_copy(migration.items[0].text.bytes);
    for (size_t i = 0; i < findings->count; i++)
        findings->items[i].path = "";
    migration_done(&migration);
    manifests_done(&manifests);
    return result;
}

char *migrated(const char *text, struct findings *findings)
{
    return result_of(&settings, text, findings);
}

char *migrated_back(const char *text, struct findings *findings)
{
    struct migration_settings back = settings;
    back.is_back = true;
    return result_of(&back, text, findings);
}
