#include "config/hide.h"

#include "base/memory.h"
#include "base/text.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_SECRET_BYTES = 4, MIN_CUT_BYTES = 8 };

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

static void hide(char **text, struct span secret)
{
    static const char hidden[] = "(hidden)";
    struct text shown = {0};
    struct span rest = all_of(*text);
    const char *found;
    if (secret.length < MIN_SECRET_BYTES)
        return;
    while ((found = memmem(rest.bytes, rest.length, secret.bytes, secret.length)) != NULL) {
        size_t before = (size_t)(found - rest.bytes);
        text_add_bytes(&shown, rest.bytes, before);
        text_add(&shown, hidden);
        rest = (struct span){found + secret.length, rest.length - before - secret.length};
    }
    size_t cut = cut_at_end(rest, secret);
    text_add_bytes(&shown, rest.bytes, rest.length - cut);
    text_add(&shown, cut > 0 ? hidden : "");
    free(*text);
    *text = text_take(&shown);
}

/* ---- the secrets of a row ---- */

/* "user:password" of a URL, as it stands there; of other texts nothing. */
static struct span user_information(const char *text)
{
    const char *start = text == NULL ? NULL : strstr(text, "://");
    if (start == NULL)
        return (struct span){0};
    start += strlen("://");
    const char *end = memrchr(start, '@', strcspn(start, "/?#"));
    return (struct span){start, end == NULL ? 0 : (size_t)(end - start)};
}

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

static void hide_basic(char **text, struct span user, struct span password)
{
    _cleanup_(text_done) struct text pair = {0};
    if (password.length < MIN_SECRET_BYTES)
        return;
    text_add_bytes(&pair, user.bytes, user.length);
    text_add(&pair, ":");
    text_add_bytes(&pair, password.bytes, password.length);
    _cleanup_(memory_free) char *encoded = memory_array(pair.length / 3 + 2, 4);
    EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)pair.bytes, (int)pair.length);
    hide(text, all_of(encoded));
}

static void hide_of_url(char **text, const char *url)
{
    struct span pair = user_information(url);
    const char *colon = pair.length == 0 ? NULL : memchr(pair.bytes, ':', pair.length);
    if (colon == NULL)
        return;
    struct span user = {pair.bytes, (size_t)(colon - pair.bytes)};
    struct span password = {colon + 1, pair.length - user.length - 1};
    _cleanup_(memory_free) char *plain_user = percent_decoded(user);
    _cleanup_(memory_free) char *plain = percent_decoded(password);
    hide_basic(text, all_of(plain_user), all_of(plain));
    hide(text, password);
    hide(text, all_of(plain));
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

/* Of libpq's strings: `host=... password='a b'`, and URLs that end with `?password=...&...`. */
static void hide_passwords(char **text, const char *string)
{
    static const char key[] = "password";
    bool is_url = strncmp(string + strcspn(string, ":= "), "://", 3) == 0;
    while ((string = strstr(string, key)) != NULL) {
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
        hide(text, written);
        hide(text, is_url ? all_of(decoded) : (struct span){plain.bytes, plain.length});
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
static void hide_pairs(const struct option_values *values, char **text, const char *password)
{
    for (size_t row = 0; row < values->options; row++)
        if (values->texts[row] != NULL && (text_ends_with(values->table[row].key, "sername") ||
                                           text_ends_with(values->table[row].key, "serName")))
            hide_basic(text, all_of(values->texts[row]), all_of(password));
}

/* Of lists as "X-Key=secret,X-Other=..." the values. */
static void hide_pieces(char **text, const char *list)
{
    while (*list != '\0') {
        size_t length = strcspn(list, ",");
        const char *value = memchr(list, '=', length);
        value = value == NULL ? list : value + 1;
        while (value < list + length && *value == ' ')
            value++;
        hide(text, (struct span){value, (size_t)(list + length - value)});
        list += length + (list[length] == ',');
    }
}

static void hide_row(const struct option_values *values, size_t row, char **text)
{
    const struct option *option = &values->table[row];
    const char *secret = values->texts[row];
    if (secret == NULL)
        return;
    hide_of_url(text, secret);
    if (option->flags & OPTION_SECRET)
        hide_passwords(text, secret);
    if (!(option->flags & (OPTION_SECRET | OPTION_HIDDEN)) ||
        option->flags & (OPTION_HOST | OPTION_HOSTS) || is_shown_elsewhere(values, secret))
        return;
    hide_pairs(values, text, secret);
    hide(text, all_of(secret));
    if (option->type == OPTION_LIST)
        hide_pieces(text, secret);
}

void hide_secrets(const struct option_values *values, struct error *error)
{
    for (size_t row = 0; values != NULL && error_is_set(error) && row < values->options; row++)
        hide_row(values, row, &error->text);
}
