#include "measure/naming.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>

enum { MAX_NAME_BYTES = 64 };

static char *make_title(const char *scaler, const char *address, const char *name)
{
    if (name != NULL)
        return text_format("connection \"%s\"", name);
    return address == NULL ? text_copy(scaler) : text_format("%s at %s", scaler, address);
}

static char *make_label(const struct naming *naming)
{
    const char *namespace = naming->first_namespace;
    const char *name = naming->first_name;
    if (namespace == NULL || name == NULL)
        return text_copy(naming->title);
    return text_format("%s (first used by %.*s/%.*s)", naming->title,
                       (int)text_cut(namespace, MAX_NAME_BYTES), namespace,
                       (int)text_cut(name, MAX_NAME_BYTES), name);
}

void naming_init(struct naming *naming, const struct scaler *scaler, char *address,
                 const struct connection_user *user)
{
    *naming = (struct naming){.scaler = scaler, .name = text_copy(user->connection)};
    naming->title = make_title(scaler->name, address, naming->name);
    if (naming->name == NULL) {
        naming->first_namespace = text_copy(user->namespace);
        naming->first_name = text_copy(user->name);
    }
    naming->label = make_label(naming);
    free(address);
}

void naming_done(struct naming *naming)
{
    free(naming->name);
    free(naming->title);
    free(naming->label);
    free(naming->first_namespace);
    free(naming->first_name);
}

struct log_fields naming_fields(const struct naming *naming, const struct error *error)
{
    return (struct log_fields){
        .connection = naming->name,
        .scaler = naming->scaler->name,
        .namespace = naming->first_namespace,
        .name = naming->first_name,
        .error = error == NULL || !error_is_set(error) ? NULL : error_text(error),
    };
}

void naming_warn(const struct naming *naming, const struct error *error, const char *what)
{
    struct log_fields fields = naming_fields(naming, error);
    log_about(&fields, LOG_LEVEL_WARNING, "%s: %s", naming->label, what);
}
