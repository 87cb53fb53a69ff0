#include "config/source_address.h"

#include "base/memory.h"
#include "base/text.h"
#include "base/url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char hidden[] = "(hidden)";

enum { MAX_ADDRESS_BYTES = 160 };

/* A part of one URL, or of host:port. */
struct address_part {
    const char *bytes;
    size_t length;
};

static bool has(struct address_part part, char c)
{
    return memchr(part.bytes, c, part.length) != NULL;
}

static bool consists_of(struct address_part part, const char *others)
{
    for (size_t i = 0; i < part.length; i++)
        if (!isalnum((unsigned char)part.bytes[i]) && strchr(others, part.bytes[i]) == NULL)
            return false;
    return true;
}

/* A URL is shown only where its user information is certain, and the rest looks like hosts. */
static bool split(struct address_part url, struct address_part *ret_scheme,
                  struct address_part *ret_host)
{
    struct url_places places = url_find(url.bytes, url.length);
    *ret_scheme = (struct address_part){url.bytes, places.user};
    *ret_host = (struct address_part){url.bytes + places.host, places.path - places.host};
    struct address_part name = {url.bytes, places.user == 0 ? 0 : places.user - strlen("://")};
    return !places.is_ambiguous && consists_of(name, "+-.") && consists_of(*ret_host, "-._:[]%,");
}

/* With a @ in one element, an element without one may be a piece of a password with a comma. */
static bool is_ambiguous(const struct option *row, const char *text)
{
    struct address_part part;
    if (strchr(text, '@') == NULL)
        return false;
    while ((part.bytes = text_next_piece(&text, option_separators(row), &part.length)) != NULL)
        if (!has(part, '@'))
            return true;
    return false;
}

static bool add_url(struct text *shown, struct address_part url, bool only_host)
{
    struct address_part scheme;
    struct address_part host;
    if (!split(url, &scheme, &host))
        return false;
    if (!only_host)
        text_add_bytes(shown, scheme.bytes, scheme.length);
    text_add_bytes(shown, host.bytes, host.length);
    return true;
}

/* NULL: nothing of it is to be shown. */
static char *show(const struct option *row, const char *text, bool only_host)
{
    _cleanup_(text_done) struct text shown = {0};
    struct address_part part;
    if (is_ambiguous(row, text))
        return NULL;
    while ((part.bytes = text_next_piece(&text, option_separators(row), &part.length)) != NULL) {
        text_add(&shown, shown.length == 0 ? "" : ",");
        if (!add_url(&shown, part, only_host))
            return NULL;
    }
    return text_take(&shown);
}

/* Of several hosts, or of several ports, none is shown. */
static void add_port(struct text *address, const struct option_values *values, size_t host)
{
    const struct option *row = option_port_of(&values->table[host]);
    const char *port = row == NULL ? NULL : values->texts[row - values->table];
    if (port == NULL || strchr(address->bytes, ',') != NULL || strchr(port, ',') != NULL)
        return;
    _cleanup_(memory_free) char *shown = text_take(address);
    bool is_v6 = shown[0] != '[' && strchr(shown, ':') != NULL;
    text_addf(address, is_v6 ? "[%s]:%s" : "%s:%s", shown, port);
}

char *source_address(const struct option_values *values)
{
    for (size_t row = 0; row < values->options; row++) {
        const struct option *option = &values->table[row];
        const char *text = values->texts[row];
        bool has_host = option->flags & (OPTION_HOST | OPTION_HOSTS) && text != NULL;
        if (!has_host || (option->flags & OPTION_SECRET && strstr(text, "://") == NULL))
            continue;
        _cleanup_(memory_free) char *hosts = show(option, text, true);
        if (hosts == NULL || hosts[0] == '\0')
            continue;
        _cleanup_(text_done) struct text address = {0};
        size_t length = text_cut(hosts, MAX_ADDRESS_BYTES);
        text_add_bytes(&address, hosts, length);
        if (hosts[length] != '\0')
            text_add(&address, "...");
        add_port(&address, values, row);
        return text_take(&address);
    }
    return NULL;
}

char *source_address_shown(const struct option_values *values, size_t row)
{
    const struct option *option = &values->table[row];
    char *shown = NULL;
    bool is_shown = option_shows(values, row);
    /* It is refused there, and was written all the same. */
    bool has_user = option->flags & OPTION_HOSTS && strchr(values->texts[row], '@') != NULL;
    if (is_shown && !has_user)
        shown = text_copy(values->texts[row]);
    else if (is_shown || (option->flags & OPTION_URL && !(option->flags & OPTION_SECRET)))
        shown = show(option, values->texts[row], false);
    return shown == NULL ? text_copy(hidden) : shown;
}
