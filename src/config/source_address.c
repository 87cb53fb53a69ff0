#include "config/source_address.h"

#include "base/memory.h"
#include "base/text.h"

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

/* Whoever writes a password without escaping it puts any character anywhere. So a URL is shown only
 * where its user information must be what stands before the last @ of its authority, and the rest
 * looks like hosts. */
static bool split(struct address_part url, struct address_part *ret_scheme,
                  struct address_part *ret_host)
{
    _cleanup_(memory_free) char *text = text_copy_bytes(url.bytes, url.length);
    const char *start = strstr(text, "://");
    size_t scheme = start == NULL ? 0 : (size_t)(start - text) + strlen("://");
    size_t authority = strcspn(text + scheme, "/?#");
    size_t end = scheme + authority;
    if (strchr(text + end, '@') != NULL)
        return false;
    size_t host = end;
    while (host > scheme && text[host - 1] != '@')
        host--;
    *ret_scheme = (struct address_part){url.bytes, scheme};
    *ret_host = (struct address_part){url.bytes + host, end - host};
    struct address_part name = {url.bytes, scheme == 0 ? 0 : scheme - strlen("://")};
    return consists_of(name, "+-.") && consists_of(*ret_host, "-._:[]%,");
}

/* The elements of a list; what is no list is one element. */
static struct address_part next_part(const char **rest, bool is_list)
{
    const char *begin = *rest;
    size_t length = is_list ? strcspn(begin, ",") : strlen(begin);
    *rest = begin[length] == '\0' ? NULL : begin + length + 1;
    while (length > 0 && *begin == ' ') {
        begin++;
        length--;
    }
    return (struct address_part){begin, length};
}

/* With a @ in one element, an element without one may be a piece of a password with a comma. */
static bool is_ambiguous(const char *text, bool is_list)
{
    const char *rest = text;
    if (strchr(text, '@') == NULL)
        return false;
    while (rest != NULL)
        if (!has(next_part(&rest, is_list), '@'))
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
static char *show(const char *text, bool is_list, bool only_host)
{
    _cleanup_(text_done) struct text shown = {0};
    if (is_ambiguous(text, is_list))
        return NULL;
    for (const char *rest = text; rest != NULL;) {
        struct address_part part = next_part(&rest, is_list);
        text_add(&shown, shown.length == 0 ? "" : ",");
        if (!add_url(&shown, part, only_host))
            return NULL;
    }
    return text_take(&shown);
}

static bool is_list(const struct option *row)
{
    return row->type == OPTION_LIST || row->flags & OPTION_HOSTS;
}

/* A port has a row of its own where a host has, behind it. */
static void add_port(struct text *address, const struct option_values *values, size_t row)
{
    bool has_port = strchr(address->bytes, ',') == NULL && row + 1 < values->options &&
                    text_equal(values->table[row + 1].key, "port") &&
                    values->texts[row + 1] != NULL && strchr(values->texts[row + 1], ',') == NULL;
    if (has_port)
        text_addf(address, ":%s", values->texts[row + 1]);
}

char *source_address(const struct option_values *values)
{
    for (size_t row = 0; row < values->options; row++) {
        const struct option *option = &values->table[row];
        const char *text = values->texts[row];
        bool has_host = option->flags & (OPTION_HOST | OPTION_HOSTS) && text != NULL;
        if (!has_host || (option->flags & OPTION_SECRET && strstr(text, "://") == NULL))
            continue;
        _cleanup_(memory_free) char *hosts = show(text, is_list(option), true);
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
    if (option_shows(values, row))
        shown = text_copy(values->texts[row]);
    else if (option->flags & OPTION_URL && !(option->flags & OPTION_SECRET))
        shown = show(values->texts[row], is_list(option), false);
    return shown == NULL ? text_copy(hidden) : shown;
}
