#include "rabbitmq/management/pattern.h"

#include "base/memory.h"
#include "base/text.h"
#include "shared/regex.h"

#include <ctype.h>
#include <string.h>

enum { MAX_NAME = 255 }; /* bytes, of AMQP */

struct translation {
    const char *at; /* what is left of the pattern */
    size_t depth;   /* of ( */
    bool has_atom;  /* what is before may be repeated */
    struct text text;
};

static bool is_plain(char byte)
{
    return isalnum((unsigned char)byte) ||
           (byte != '\0' && strchr(" _-/:,;=!@#%&~\"'<>", byte) != NULL);
}

static void add_lower(struct translation *to, char byte)
{
    text_addf(&to->text, "%c", tolower((unsigned char)byte));
}

/* Behind the backslash. The GNU escapes \< \> \` and \' are literals in PCRE. */
static bool add_escaped(struct translation *to)
{
    char byte = *to->at;
    if (byte == '\0')
        return false;
    to->at++;
    to->has_atom = true;
    if (byte == 'd' || byte == 'D')
        text_add(&to->text, byte == 'd' ? "[0-9]" : "[^0-9]");
    else if (strchr("wWsS", byte) != NULL ||
             (ispunct((unsigned char)byte) && strchr("<>`'", byte) == NULL))
        text_addf(&to->text, "\\%c", byte);
    else
        return false;
    return true;
}

/* Both ends are of one kind, or upper and lower case would not be the same. */
static bool is_range(const char *at)
{
    int (*const kinds[])(int) = {isdigit, islower, isupper};
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
        if (kinds[i]((unsigned char)at[0]) != 0 && at[1] == '-' &&
            kinds[i]((unsigned char)at[2]) != 0)
            return at[0] <= at[2];
    return false;
}

/* What a bracket has at this place, but a -. */
static bool add_element(struct translation *to)
{
    const char *at = to->at;
    if (at[0] == '\\' && (at[1] == 'd' || at[1] == 'w')) {
        text_add(&to->text, at[1] == 'd' ? "0-9" : "a-z0-9_");
        to->at += 2;
    } else if (at[0] == '\\' && at[1] != '\0' && strchr("./+*?$|(){}", at[1]) != NULL) {
        text_addf(&to->text, "%c", at[1]);
        to->at += 2;
    } else if (is_range(at)) {
        add_lower(to, at[0]);
        text_add(&to->text, "-");
        add_lower(to, at[2]);
        to->at += 3;
    } else if (is_plain(at[0]) || (at[0] != '\0' && strchr(".+*?$|(){}", at[0]) != NULL)) {
        add_lower(to, at[0]);
        to->at++;
    } else
        return false;
    return *to->at != '-' || to->at[1] == ']'; /* no other range */
}

/* Behind the [. A - is put last, where it stands for itself in both languages. */
static bool add_bracket(struct translation *to)
{
    bool has_dash = false;
    bool is_negated = *to->at == '^';
    to->at += is_negated;
    text_add(&to->text, is_negated ? "[^" : "[");
    for (const char *first = to->at; *to->at != ']' || to->at == first;) {
        size_t dash = text_starts_with(to->at, "\\-")
                          ? 2
                          : *to->at == '-' && (to->at == first || to->at[1] == ']');
        has_dash |= dash > 0;
        to->at += dash;
        if ((dash > 0 && *to->at == '-') || (dash == 0 && !add_element(to)))
            return false;
    }
    to->at++;
    to->has_atom = true;
    text_add(&to->text, has_dash ? "-]" : "]");
    return true;
}

/* {2}, {2,} or {2,5}: any other is a literal in PCRE. */
static bool add_interval(struct translation *to)
{
    size_t length = strspn(to->at, "0123456789");
    if (length == 0)
        return false;
    if (to->at[length] == ',')
        length += 1 + strspn(to->at + length + 1, "0123456789");
    if (to->at[length] != '}')
        return false;
    text_addf(&to->text, "{%.*s}", (int)length, to->at);
    to->at += length + 1;
    return true;
}

/* One that follows another makes it lazy or possessive. */
static bool add_repetition(struct translation *to, char byte)
{
    if (!to->has_atom)
        return false;
    to->has_atom = false;
    if (byte == '{')
        return add_interval(to);
    text_addf(&to->text, "%c", byte);
    return true;
}

static bool add_group(struct translation *to)
{
    if (text_starts_with(to->at, "?:"))
        to->at += strlen("?:");
    to->depth++;
    to->has_atom = false;
    text_add(&to->text, "(");
    return true;
}

static bool add_next(struct translation *to)
{
    char byte = *to->at++;
    switch (byte) {
    case '\\':
        return add_escaped(to);
    case '[':
        return add_bracket(to);
    case '(':
        return add_group(to);
    case '*':
    case '+':
    case '?':
    case '{':
        return add_repetition(to, byte);
    case ')':
        if (to->depth == 0)
            return false;
        to->depth--;
        break;
    case '^':
    case '$':
    case '|':
        text_addf(&to->text, "%c", byte);
        to->has_atom = false;
        return true;
    case '.':
        break;
    default:
        if (!is_plain(byte))
            return false;
    }
    add_lower(to, byte);
    to->has_atom = true;
    return true;
}

char *rabbitmq_pattern_translate(const char *pattern)
{
    static const char caseless[] = "(?i)";
    struct translation to = {.at = pattern};
    if (text_starts_with(pattern, caseless))
        to.at += strlen(caseless);
    bool good = true;
    while (good && *to.at != '\0')
        good = add_next(&to);
    if (good && to.depth == 0 && to.text.length > 0 && to.text.length <= REGEX_MAX_LENGTH)
        return text_take(&to.text);
    text_done(&to.text);
    return NULL;
}

enum rabbitmq_match rabbitmq_pattern_match(struct regex *regex, const json_t *name)
{
    char lower[MAX_NAME + 1];
    const char *text = json_string_value(name);
    size_t length = json_string_length(name);
    if (text == NULL || length > MAX_NAME)
        return RABBITMQ_MATCH_UNKNOWN;
    for (size_t i = 0; i <= length; i++) {
        if (i < length && !isprint((unsigned char)text[i]))
            return RABBITMQ_MATCH_UNKNOWN;
        lower[i] = (char)tolower((unsigned char)text[i]);
    }
    return regex_matches(regex, lower) ? RABBITMQ_MATCH : RABBITMQ_NO_MATCH;
}
