/*
 * What tests of `check` share: the findings of a text.
 */
#ifndef BACKLOG_TEST_MANIFEST_CHECK_FIXTURE_H
#define BACKLOG_TEST_MANIFEST_CHECK_FIXTURE_H

#include "manifest/checks/check.h"
#include "manifest/fixture.h"

#define HEAD                                                                                       \
    "apiVersion: keda.sh/v1alpha1\n"                                                               \
    "kind: ScaledObject\n"                                                                         \
    "metadata: {name: orders, namespace: shop}\n"

/* The caller ends them; the counts may be NULL. */
struct findings checked_in(const char *cluster_namespace, const struct check_settings *settings,
                           const char *text, struct check_counts *ret_counts);
/* In "keda", as the command does by default. */
struct findings checked_with(const struct check_settings *settings, const char *text,
                             struct check_counts *ret_counts);
struct findings checked(const char *text, struct check_counts *ret_counts);

/* How often the words are in their texts. */
size_t count_of(const struct findings *findings, const char *words);

#endif
