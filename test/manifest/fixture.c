#include "manifest/fixture.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

struct manifests manifests_of(const char *text, struct findings *findings)
{
    struct manifests manifests = {0};
    manifests_add_text(&manifests, "f.yaml", text, strlen(text), findings);
    return manifests;
}

static void print_all(const struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        print_message("%zu: %s: %s\n", findings->items[i].line,
                      finding_level_names[findings->items[i].level], findings->items[i].text);
}

void assert_finding(const struct findings *findings, enum finding_level level, size_t line,
                    const char *part)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        if (finding->level == level && finding->line == line && strstr(finding->text, part) != NULL)
            return;
    }
    print_all(findings);
    fail_msg("no %s in line %zu with: %s", finding_level_names[level], line, part);
}

void assert_no_finding(const struct findings *findings, const char *part)
{
    for (size_t i = 0; i < findings->count; i++)
        if (strstr(findings->items[i].text, part) != NULL) {
            print_all(findings);
            fail_msg("there is a finding with: %s", part);
        }
}
