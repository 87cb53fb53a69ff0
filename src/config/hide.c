#include "config/hide.h"

#include "base/memory.h"
#include "base/text.h"
#include "base/url.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum {
    MIN_SECRET_BYTES = 4,
    MIN_CUT_BYTES = 8,
    MAX_TEXT_BYTES = 16 << 10, /* searching takes 30 times its memory */
};

struct span {
    const char *bytes;
    size_t length;
};

static struct span all_of(const char *text)
{
    return (struct span){text, text == NULL ? 0 : strlen(text)};
}

/* The length of the secret's beginning that the text ends with, as where an error was cut. */
static size_t cut_at_end(struct span text, struct span secret)
{
    size_t length = secret.length < text.length ? secret.length : text.length;
    while (length >= MIN_CUT_BYTES &&
           memcmp(text.bytes + text.length - length, secret.bytes, length) != 0)
        length--;
    return length >= MIN_CUT_BYTES ? length : 0;
}

/* The text as it is, or as it was before it was encoded for a URL, or for a form in one. */
enum form { FORM_PLAIN, FORM_URL, FORM_QUERY, FORMS };

struct searched {
    struct span text;
    size_t *begins; /* where each of its bytes was in the text as it is, and the end */
};

/* A text, and which of its bytes are of a secret. They are found before any is replaced: what takes
 * their place is searched for no other secret, which could be a piece of it and so make the text
 * longer each time. */
struct masked {
    struct searched searched[FORMS];
    size_t forms;
    bool *is_secret;
};

static void mark(struct masked *masked, const struct searched *searched, size_t from, size_t to)
{
    size_t begin = searched->begins[from];
    memset(masked->is_secret + begin, true, searched->begins[to] - begin);
}

static void hide(struct masked *masked, struct span secret)
{
    if (secret.length < MIN_SECRET_BYTES)
        return;
    for (size_t form = 0; form < masked->forms; form++) {
        const struct searched *searched = &masked->searched[form];
        struct span rest = searched->text;
        const char *found;
        while ((found = memmem(rest.bytes, rest.length, secret.bytes, secret.length)) != NULL) {
            size_t from = (size_t)(found - searched->text.bytes);
            mark(masked, searched, from, from + secret.length);
            rest.length -= (size_t)(found - rest.bytes) + secret.length;
            rest.bytes = found + secret.length;
        }
        size_t end = searched->text.length;
        mark(masked, searched, end - cut_at_end(rest, secret), end);
    }
}

/* An escape that the end of the text cuts is left out: so the cut is found. */
static struct searched search_in(struct span text, enum form form)
{
    char *bytes = memory_array(text.length + 1, 1);
    size_t *begins = memory_array(text.length + 1, sizeof(*begins));
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        int encoded = form == FORM_PLAIN ? -1 : text_percent_byte(text.bytes + i, text.length - i);
        if (form != FORM_PLAIN && text.bytes[i] == '%' && text.length - i < strlen("%41"))
            break;
        begins[length] = i;
        int plain = form == FORM_QUERY && text.bytes[i] == '+' ? ' ' : (unsigned char)text.bytes[i];
        ((unsigned char *)bytes)[length++] = (unsigned char)(encoded >= 0 ? encoded : plain);
        i += encoded >= 0 ? 2 : 0;
    }
    begins[length] = text.length;
    return (struct searched){{bytes, length}, begins};
}

static struct masked masked_new(struct span text)
{
    bool is_encoded = memchr(text.bytes, '%', text.length) != NULL ||
                      memchr(text.bytes, '+', text.length) != NULL;
    struct masked masked = {.forms = is_encoded ? FORMS : 1};
    masked.is_secret = memory_array(text.length + 1, sizeof(*masked.is_secret));
    for (size_t form = 0; form < masked.forms; form++)
        masked.searched[form] = search_in(text, form);
    return masked;
}

static void masked_done(struct masked *masked)
{
    for (size_t form = 0; form < masked->forms; form++) {
        free((char *)masked->searched[form].text.bytes);
        free(masked->searched[form].begins);
    }
    free(masked->is_secret);
}

/* With "(hidden)" in the place of secrets; those that touch become one. The caller frees it. */
static char *shown(const struct masked *masked)
{
    struct text text = {0};
    const struct span plain = masked->searched[FORM_PLAIN].text;
    for (size_t at = 0; at < plain.length;) {
        size_t end = at;
        while (end < plain.length && masked->is_secret[end] == masked->is_secret[at])
            end++;
        if (masked->is_secret[at])
            text_add(&text, "(hidden)");
        else
            text_add_bytes(&text, plain.bytes + at, end - at);
        at = end;
    }
    return text_take(&text);
}

/* ---- the secrets of a row ---- */

/* The caller frees it. */
static char *percent_decoded(struct span part)
{
    struct text decoded = {0};
    for (size_t i = 0; i < part.length; i++) {
        int encoded = text_percent_byte(part.bytes + i, part.length - i);
        char byte = part.bytes[i];
        if (encoded >= 0) {
            byte = (char)encoded;
            i += 2;
        }
        text_add_bytes(&decoded, &byte, 1);
    }
    return text_take(&decoded);
}

static void hide_basic(struct masked *masked, struct span user, struct span password)
{
    _cleanup_(text_done) struct text pair = {0};
    size_t secret_bytes = password.length == 0 ? user.length : password.length;
    if (secret_bytes < MIN_SECRET_BYTES)
        return;
    text_add_bytes(&pair, user.bytes, user.length);
    text_add(&pair, ":");
    text_add_bytes(&pair, password.bytes, password.length);
    _cleanup_(memory_free) char *encoded = memory_array(pair.length / 3 + 2, 4);
    EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)pair.bytes, (int)pair.length);
    hide(masked, all_of(encoded));
}

/* Of texts that are no URLs, nothing; the scheme may be missing where there must be an address. A
 * user alone may be a token. */
static void hide_of_url(struct masked *masked, const struct option *row, const char *url,
                        size_t length)
{
    struct url_places places = url_find(url, length);
    bool is_address =
        row->flags & (OPTION_URL | OPTION_HOST | OPTION_HOSTS) && !(row->flags & OPTION_SECRET);
    if ((places.user == 0 && !is_address) || places.host == places.user)
        return;
    struct span user = {url + places.user, places.host - 1 - places.user}; /* up to the @ */
    struct span password = {0};
    const char *colon = memchr(user.bytes, ':', user.length);
    if (colon != NULL) {
        password = (struct span){colon + 1, user.length - (size_t)(colon + 1 - user.bytes)};
        user.length = (size_t)(colon - user.bytes);
    }
    _cleanup_(memory_free) char *plain_user = percent_decoded(user);
    _cleanup_(memory_free) char *plain = percent_decoded(password);
    hide_basic(masked, all_of(plain_user), all_of(plain));
    hide(masked, password);
    hide(masked, all_of(plain));
    if (password.length == 0 && is_address) {
        hide(masked, user);
        hide(masked, all_of(plain_user));
    }
}

static const char blanks[] = " \t\r\n\f\v";

/* The value of a libpq parameter that begins there, without its quotes and backslashes. Returns
 * where it ends. */
static const char *libpq_value(const char *from, struct text *ret_plain)
{
    const char quote = *from == '\'' ? '\'' : '\0';
    from += quote != '\0';
    while (*from != '\0' && (quote != '\0' ? *from != quote : strchr(blanks, *from) == NULL)) {
        from += *from == '\\' && from[1] != '\0';
        text_add_bytes(ret_plain, from++, 1);
    }
    return from;
}

/* Of libpq's strings: `host=... password='a b'`, and URLs that end with `?password=...&...`. Each
 * is searched for in all of the text, so that there must not be thousands. */
static void hide_passwords(struct masked *masked, const char *string)
{
    enum { MAX_PASSWORDS = 16 };
    static const char key[] = "password";
    bool is_url = strncmp(string + strcspn(string, ":= "), "://", 3) == 0;
    for (int i = 0; i < MAX_PASSWORDS && (string = strstr(string, key)) != NULL; i++) {
        string += strlen(key);
        string += is_url ? 0 : strspn(string, blanks);
        if (*string != '=')
            continue;
        string++;
        string += is_url ? 0 : strspn(string, blanks);
        _cleanup_(text_done) struct text plain = {0};
        const char *end = is_url ? string + strcspn(string, "&#") : libpq_value(string, &plain);
        string += !is_url && *string == '\'';
        struct span written = {string, (size_t)(end - string)};
        _cleanup_(memory_free) char *decoded = is_url ? percent_decoded(written) : NULL;
        hide(masked, written);
        hide(masked, is_url ? all_of(decoded) : (struct span){plain.bytes, plain.length});
        string = end;
    }
}

/* A user and a password may be the same, and people need the user's name. */
static bool is_shown_elsewhere(const struct option_values *values, const char *secret)
{
    for (size_t row = 0; row < values->options; row++)
        if (values->texts[row] != NULL && option_shows(values, row) &&
            text_equal(values->texts[row], secret))
            return true;
    return false;
}

/* With each name of a user that there is: a table has one or two. */
static void hide_pairs(const struct option_values *values, struct masked *masked,
                       const char *password)
{
    for (size_t row = 0; row < values->options; row++)
        if (values->texts[row] != NULL && values->table[row].flags & OPTION_USER)
            hide_basic(masked, all_of(values->texts[row]), all_of(password));
}

/* Of lists as "X-Key=secret,X-Other=..." the values. */
static void hide_pieces(struct masked *masked, const char *list)
{
    size_t length = 0;
    for (const char *piece; (piece = text_next_piece(&list, ",", &length)) != NULL;) {
        const char *end = piece + length;
        const char *value = memchr(piece, '=', length);
        value = value == NULL ? piece : value + 1;
        while (value < end && *value == ' ')
            value++;
        hide(masked, (struct span){value, (size_t)(end - value)});
    }
}

static void hide_row(const struct option_values *values, size_t row, struct masked *masked)
{
    const struct option *option = &values->table[row];
    const char *secret = values->texts[row];
    if (secret == NULL)
        return;
    const char *rest = secret;
    size_t length = 0;
    for (const char *url;
         (url = text_next_piece(&rest, option_separators(option), &length)) != NULL;)
        hide_of_url(masked, option, url, length);
    if (option->flags & OPTION_SECRET && option->flags & OPTION_HOST)
        hide_passwords(masked, secret);
    bool is_user = option_is_user_alone(values, row);
    if ((!is_user && !(option->flags & (OPTION_SECRET | OPTION_HIDDEN))) ||
        option->flags & (OPTION_HOST | OPTION_HOSTS) || is_shown_elsewhere(values, secret))
        return;
    if (is_user)
        hide_basic(masked, all_of(secret), all_of(""));
    else
        hide_pairs(values, masked, secret);
    hide(masked, all_of(secret));
    if (option->type == OPTION_LIST)
        hide_pieces(masked, secret);
}

void hide_secrets(const struct option_values *values, struct error *error)
{
    if (values == NULL || !error_is_set(error))
        return;
    error->text[text_cut(error->text, MAX_TEXT_BYTES)] = '\0';
    struct masked masked = masked_new(all_of(error->text));
    for (size_t row = 0; row < values->options; row++)
        hide_row(values, row, &masked);
    char *text = shown(&masked);
    masked_done(&masked);
    free(error->text);
    error->text = text;
    text_make_utf8(text); /* a secret may have been the rest of a letter */
}
