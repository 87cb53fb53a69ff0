#include "manifest/check_fixture.h"

#include "manifest/checks/connections_check.h"
#include "scale/connections/named_connections.h"

#include <string.h>

struct findings checked_in(const char *cluster_namespace, const struct check_settings *settings,
                           const char *text, struct check_counts *ret_counts)
{
    struct findings findings = {0};
    struct check_counts counts;
    struct manifests manifests = manifests_of(text, &findings);
    manifests.cluster_namespace = cluster_namespace;
    struct connections *connections = connections_check(scaler_list, &manifests, &findings);
    manifests_check(settings, &manifests, connections, &findings,
                    ret_counts == NULL ? &counts : ret_counts);
    connections_free(connections);
    findings_sort(&findings);
    for (size_t i = 0; i < findings.count; i++)
        findings.items[i].path = "";
    manifests_done(&manifests);
    return findings;
}

struct findings checked_with(const struct check_settings *settings, const char *text,
                             struct check_counts *ret_counts)
{
    return checked_in("keda", settings, text, ret_counts);
}

struct findings checked(const char *text, struct check_counts *ret_counts)
{
    return checked_with(&(struct check_settings){.scalers = scaler_list}, text, ret_counts);
}

size_t count_of(const struct findings *findings, const char *words)
{
    size_t count = 0;
    for (size_t i = 0; i < findings->count; i++)
        for (const char *at = findings->items[i].text; (at = strstr(at, words)) != NULL; at++)
            count++;
    return count;
}
