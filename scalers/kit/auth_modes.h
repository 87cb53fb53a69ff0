/*
 * authMode (authModes): how triggers of KEDA's scalers over HTTP log in, and with which keys.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_KIT_AUTH_MODES_H
#define BACKLOG_SCALERS_KIT_AUTH_MODES_H

#include "base/error.h"
#include "config/option.h"

#include <stdbool.h>
#include <stddef.h>

/* A key of a mode, and its value; NULL: it is not set. */
struct auth_mode_key {
    const char *mode;
    const char *key;
    const char *value;
    bool is_required;
};

/* Is it one of those that have keys? */
bool auth_is_mode(const struct auth_mode_key *keys, size_t count, const char *mode);

bool auth_has_mode(const struct option_list *modes, const char *mode);

/* A mode needs its keys, and a key that no mode uses would silently be ignored. `name` is that of
 * the key that has the modes. */
void auth_check_modes(const char *name, const struct option_list *modes,
                      const struct auth_mode_key *keys, size_t count, struct error *mistakes);

#endif
