#include "measure/naming.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <utlist.h>

enum { SHOWN_USERS = 3, MAX_NAME_BYTES = 64 };

static void add_user_name(struct text *text, const struct query_user *user)
{
    text_addf(text, "%.*s/%.*s", (int)text_cut(user->namespace, MAX_NAME_BYTES), user->namespace,
              (int)text_cut(user->name, MAX_NAME_BYTES), user->name);
}

static char *make_label(const struct naming *naming)
{
    struct text label = {0};
    const struct query_user *user;
    size_t shown = 0;
    text_add(&label, naming->title);
    if (naming->name != NULL || naming->users == NULL)
        return text_take(&label);
    DL_FOREACH(naming->users, user) {
        if (shown++ == SHOWN_USERS)
            break;
        text_add(&label, shown == 1 ? " (used by " : ", ");
        add_user_name(&label, user);
    }
    if (naming->count > SHOWN_USERS)
        text_addf(&label, " and %zu more", naming->count - SHOWN_USERS);
    text_add(&label, ")");
    return text_take(&label);
}

static void naming_update(struct naming *naming)
{
    const struct query_user *first = naming->users;
    if (first != NULL && !text_equal(first->connection, naming->name)) {
        free(naming->name);
        naming->name = text_copy(first->connection);
    }
    free(naming->title);
    if (naming->name != NULL)
        naming->title = text_format("connection \"%s\"", naming->name);
    else if (naming->address != NULL)
        naming->title = text_format("%s at %s", naming->scaler->name, naming->address);
    else
        naming->title = text_copy(naming->scaler->name);
    free(naming->label);
    naming->label = make_label(naming);
}

void naming_init(struct naming *naming, const struct scaler *scaler, char *address)
{
    *naming = (struct naming){.scaler = scaler, .address = address};
    naming_update(naming);
}

void naming_done(struct naming *naming)
{
    free(naming->address);
    free(naming->name);
    free(naming->title);
    free(naming->label);
}

/* Users that name the connection come first in the list, so that the first user decides the name
 * without a search. Of a hundred thousand users nearly all change only the count. */
void naming_add(struct naming *naming, struct query_user *user)
{
    bool has_name = naming->users != NULL && naming->users->connection != NULL;
    if (user->connection == NULL)
        DL_APPEND(naming->users, user);
    else if (has_name)
        DL_APPEND_ELEM(naming->users, naming->users, user);
    else
        DL_PREPEND(naming->users, user);
    naming->count++;
    if (naming->users == user || naming->name == NULL)
        naming_update(naming);
}

void naming_remove(struct naming *naming, struct query_user *user)
{
    bool was_first = naming->users == user;
    DL_DELETE(naming->users, user);
    naming->count--;
    if (naming->users != NULL && (was_first || naming->name == NULL))
        naming_update(naming);
}

struct log_fields naming_fields(const struct naming *naming, const struct error *error)
{
    const struct query_user *user = naming->users;
    /* An inline connection has no name: its first user says which connection it is. */
    bool has_user_fields = user != NULL && (naming->name == NULL || naming->count == 1);
    return (struct log_fields){
        .connection = naming->name,
        .scaler = naming->scaler->name,
        .namespace = has_user_fields ? user->namespace : NULL,
        .name = has_user_fields ? user->name : NULL,
        .error = error == NULL || !error_is_set(error) ? NULL : error_text(error),
    };
}

void naming_warn(const struct naming *naming, const struct error *error, const char *what)
{
    struct log_fields fields = naming_fields(naming, error);
    log_about(&fields, LOG_LEVEL_WARNING, "%s: %s", naming->label, what);
}
