/*
 * Bytes into manifests: whatever they are, an item's bytes are within the text, findings are in
 * words, and what can be migrated can be taken back, byte by byte.
 */
#include "base/memory.h"
#include "manifest/checks/check.h"
#include "manifest/checks/connections_check.h"
#include "manifest/migration/migration.h"
#include "require.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_within(const struct yaml_tree *tree, size_t size)
{
    require(tree->start <= size && tree->end <= size);
    for (size_t i = 0; i < tree->count; i++) {
        if (tree->keys != NULL)
            require(tree->key_spans[i].start <= tree->key_spans[i].end &&
                    tree->key_spans[i].end <= size);
        require_within(tree->items[i], size);
    }
}

static void require_words(const struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        require(findings->items[i].text[0] != '\0');
}

static void check_manifests(const struct manifests *manifests)
{
    struct findings findings = {0};
    struct check_counts counts;
    struct connections *connections = connections_check(scaler_list, manifests, &findings);
    manifests_check(&(struct check_settings){.scalers = scaler_list}, manifests, connections,
                    &findings, &counts);
    require(counts.movable <= counts.triggers);
    require_words(&findings);
    connections_free(connections);
    findings_done(&findings);
}

/* The way back is the identity where nothing of the file was migrated before, and it reads what the
 * way there wrote. */
static void require_way_back(const struct migration_settings *there,
                             const struct migrated_file *file)
{
    struct findings findings = {0};
    struct manifests manifests = {.reads_templates = true};
    struct migration_settings settings = *there;
    struct migration back;
    settings.is_back = true;
    const struct text *before = &file->file->text;
    manifests_add_text(&manifests, "f.yaml", file->text.bytes, file->text.length, &findings);
    require(findings.count == 0);
    migration_make(&settings, &manifests, &back, &findings);
    require(back.count == 1);
    if (memmem(before->bytes, before->length, "external", strlen("external")) == NULL) {
        require(back.items[0].text.length == before->length);
        require(memcmp(back.items[0].text.bytes, before->bytes, before->length) == 0);
    }
    migration_done(&back);
    manifests_done(&manifests);
    findings_done(&findings);
}

/* Behind it nothing is left to move, to its server, by its certificates, or to another type. */
static void require_done(const struct migration_settings *settings,
                         const struct migrated_file *file)
{
    struct findings findings = {0};
    struct manifests manifests = {.reads_templates = true};
    struct migration again;
    manifests_add_text(&manifests, "f.yaml", file->text.bytes, file->text.length, &findings);
    require(findings.count == 0);
    migration_make(settings, &manifests, &again, &findings);
    require(again.count == 0);
    migration_done(&again);
    manifests_done(&manifests);
    findings_done(&findings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct migration_settings settings = {
        .scalers = scaler_list, .scaler_address = "backlog:9090", .type = "external-push"};
    struct findings findings = {0};
    struct manifests manifests = {0};
    manifests_add_text(&manifests, "f.yaml", (const char *)data, size, &findings);
    for (size_t i = 0; i < manifests.files[0]->forest.count; i++)
        require_within(manifests.files[0]->forest.trees[i], size);
    check_manifests(&manifests);
    manifests_done(&manifests);
    manifests = (struct manifests){.reads_templates = true};
    manifests_add_text(&manifests, "f.yaml", (const char *)data, size, &findings);
    struct migration migration;
    migration_make(&settings, &manifests, &migration, &findings);
    for (size_t i = 0; i < migration.count; i++)
        require_way_back(&settings, &migration.items[i]);
    migration_done(&migration);
    struct migration_settings on = settings;
    on.authentication = "keda";
    on.type = "external";
    on.is_cluster_wide = on.is_readdressed = on.is_retyped = true;
    migration_make(&on, &manifests, &migration, &findings);
    for (size_t i = 0; i < migration.count; i++)
        require_done(&on, &migration.items[i]);
    migration_done(&migration);
    struct migration_settings back = settings;
    back.is_back = true;
    migration_make(&back, &manifests, &migration, &findings);
    migration_done(&migration);
    require_words(&findings);
    manifests_done(&manifests);
    findings_done(&findings);
    return 0;
}
