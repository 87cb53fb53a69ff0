/* Settings of a policy for tests that set some of them alone. */
#ifndef BACKLOG_TEST_POLICY_SETTINGS_H
#define BACKLOG_TEST_POLICY_SETTINGS_H

#include "base/error.h"
#include "scale/metadata/general.h"

/* What the table of keys makes of none. */
static inline struct policy_settings policy_no_settings(void)
{
    _cleanup_(error_done) struct error none = {0};
    struct policy_settings settings;
    general_parse_policy(NULL, 0, &settings, &none);
    return settings;
}

#endif
