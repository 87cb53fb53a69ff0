/* Manifests out of texts, for the tests. */
#ifndef BACKLOG_TEST_MANIFEST_FIXTURE_H
#define BACKLOG_TEST_MANIFEST_FIXTURE_H

#include "manifest/manifest.h"

/* A file named f.yaml. The caller ends both. */
struct manifests manifests_of(const char *text, struct findings *findings);

/* Is there a finding of this level and line whose text has this in it? Fails with all findings
 * where there is none. */
void assert_finding(const struct findings *findings, enum finding_level level, size_t line,
                    const char *part);
void assert_no_finding(const struct findings *findings, const char *part);

#endif
