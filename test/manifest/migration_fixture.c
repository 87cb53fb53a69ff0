#include "manifest/migration_fixture.h"

#include "manifest/fixture.h"

struct migration_settings settings = {.scalers = scaler_list,
                                      .scaler_address = "backlog.keda.svc:9090"};

/* Frees both, to which the paths of the findings belong. */
static char *result_of(struct migration *migration, struct manifests *manifests,
                       struct findings *findings)
{
    char *result = migration->count == 0 ? NULL : text_copy(migration->items[0].text.bytes);
    for (size_t i = 0; i < findings->count; i++)
        findings->items[i].path = "";
    migration_done(migration);
    manifests_done(manifests);
    return result;
}

char *migrated(const char *text, struct findings *findings, char **ret_connections)
{
    struct migration migration;
    struct manifests manifests = manifests_of(text, findings);
    migration_make(&settings, &manifests, &migration, findings);
    if (ret_connections != NULL) {
        struct text connections = {0};
        drafts_write(&migration.drafts, DRAFTS_FOR_CHART, &connections);
        *ret_connections = text_take(&connections);
    }
    return result_of(&migration, &manifests, findings);
}

char *undone(const char *text, struct findings *findings)
{
    struct migration migration;
    struct manifests manifests = manifests_of(text, findings);
    migration_undo(scaler_list, &manifests, &migration, findings);
    return result_of(&migration, &manifests, findings);
}
