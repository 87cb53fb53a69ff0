#include "manifest/yaml_text.h"

#include "base/memory.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

bool yaml_is_plain(const char *value)
{
    static const char *const words[] = {"true", "false", "yes", "no",  "on", "off",
                                        "null", "y",     "n",   "nan", "inf"};
    size_t length = strlen(value);
    if (length == 0 || !isalpha((unsigned char)value[0]) || value[length - 1] == ':')
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (strcasecmp(value, words[i]) == 0)
            return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)value[i]) && strchr("-_./:", value[i]) == NULL)
            return false;
    return true;
}

void yaml_add_quoted(struct text *text, const char *value)
{
    text_add(text, "\"");
    for (const char *at = value; *at != '\0'; at++)
        if (*at == '"' || *at == '\\')
            text_addf(text, "\\%c", *at);
        else if (*at == '\n')
            text_add(text, "\\n");
        else if ((unsigned char)*at < ' ' || *at == 0x7F)
            text_addf(text, "\\u%04x", (unsigned char)*at);
        else if ((unsigned char)at[0] == 0xC2 && (unsigned char)at[1] < 0xA0) /* of C1 */
            text_addf(text, "\\u%04x", (unsigned char)*++at);
        else
            text_add_bytes(text, at, 1);
    text_add(text, "\"");
}

void yaml_add_text(struct text *text, const char *value)
{
    if (yaml_is_plain(value))
        text_add(text, value);
    else
        yaml_add_quoted(text, value);
}
