/* What tests of migrations share: there and back again, and parts of manifests. */
#ifndef BACKLOG_TEST_MANIFEST_MIGRATION_FIXTURE_H
#define BACKLOG_TEST_MANIFEST_MIGRATION_FIXTURE_H

#include "manifest/migration/migration.h"

/* Of migrated(): all scalers, without TLS. Who changes them changes them back. */
extern struct migration_settings settings;

/* The text of the migrated file, NULL where nothing changes. The caller frees it. The findings are
 * added, without their paths. */
char *migrated(const char *text, struct findings *findings);

/* The same of the way back. */
char *migrated_back(const char *text, struct findings *findings);

void print_all(const struct findings *findings);

/* There, and back to the same bytes. `expected` may be NULL. */
void assert_migrates(const char *text, const char *expected);

/* Is there an error with this reason? */
void assert_error(const struct findings *findings, const char *reason);

/* Nothing of the text moves, with an error; of assert_stays_with_backlog() nothing moves back. */
void assert_stays(const char *text, const char *reason);
void assert_stays_with_backlog(const char *text, const char *reason);

#define HEAD                                                                                       \
    "# Orders   of the shop\n"                                                                     \
    "apiVersion: keda.sh/v1alpha1\n"                                                               \
    "kind: ScaledObject\n"                                                                         \
    "metadata: {name: orders, namespace: shop}\n"                                                  \
    "spec:\n"

#define AUTHENTICATION                                                                             \
    "---\n"                                                                                        \
    "kind: TriggerAuthentication\n"                                                                \
    "metadata: {name: rabbit, namespace: shop}\n"                                                  \
    "spec:\n"                                                                                      \
    "  secretTargetRef:\n"                                                                         \
    "    - {parameter: username, name: rabbitmq, key: user}\n"                                     \
    "    - {parameter: password, name: rabbitmq, key: pw}\n"

#endif
