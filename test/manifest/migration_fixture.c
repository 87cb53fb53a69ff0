#include "manifest/migration_fixture.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

struct migration_settings settings = {
    .scalers = scaler_list, .scaler_address = "backlog.keda.svc:9090", .type = "external-push"};

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

void print_all(const struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        print_message("%s\n", findings->items[i].text);
}

void assert_migrates(const char *text, const char *expected)
{
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *there = migrated(text, &findings);
    if (there == NULL)
        print_all(&findings);
    assert_non_null(there);
    if (expected != NULL)
        assert_string_equal(there, expected);
    _cleanup_(memory_free) char *back = migrated_back(there, &findings);
    assert_non_null(back);
    assert_string_equal(back, text);
    _cleanup_(memory_free) char *again = migrated(there, &findings);
    assert_null(again);
}

void assert_error(const struct findings *findings, const char *reason)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->items[i].level == FINDING_ERROR && strstr(findings->items[i].text, reason))
            return;
    print_all(findings);
    fail_msg("no error with: %s", reason);
}

void assert_stays(const char *text, const char *reason)
{
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *there = migrated(text, &findings);
    assert_null(there);
    assert_error(&findings, reason);
}

void assert_stays_with_backlog(const char *text, const char *reason)
{
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *back = migrated_back(text, &findings);
    assert_null(back);
    assert_error(&findings, reason);
}
