#include "kit/auth_modes.h"

#include "base/text.h"

bool auth_is_mode(const struct auth_mode_key *keys, size_t count, const char *mode)
{
    for (size_t i = 0; i < count; i++)
        if (text_equal(keys[i].mode, mode))
            return true;
    return false;
}

bool auth_has_mode(const struct option_list *modes, const char *mode)
{
    for (size_t i = 0; i < modes->count; i++)
        if (text_equal(modes->items[i], mode))
            return true;
    return false;
}

void auth_check_modes(const char *name, const struct option_list *modes,
                      const struct auth_mode_key *keys, size_t count, struct error *mistakes)
{
    if (auth_has_mode(modes, "basic") && auth_has_mode(modes, "bearer"))
        error_add(mistakes, "%s basic excludes bearer: set one of them", name);
    for (size_t i = 0; i < count; i++) {
        bool has_mode = auth_has_mode(modes, keys[i].mode);
        if (has_mode && keys[i].is_required && keys[i].value == NULL)
            error_add(mistakes, "%s %s needs %s", name, keys[i].mode, keys[i].key);
        else if (!has_mode && keys[i].value != NULL)
            error_add(mistakes, "%s needs %s %s", keys[i].key, name, keys[i].mode);
    }
}
