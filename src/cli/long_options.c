#include "cli/long_options.h"

#include "base/memory.h"
#include "base/text.h"

#include <getopt.h>
#include <string.h>

/* All that is left are operands, as behind `--`: getopt would go on with options. */
static bool only_operands;

void long_option_reset(void)
{
    optind = 0; /* glibc: starts over */
    only_operands = false;
}

static int next_operand(int argc, char **argv, const char **ret_word)
{
    only_operands = true;
    *ret_word = optind < argc ? argv[optind++] : NULL;
    return *ret_word == NULL ? LONG_OPTION_END : LONG_OPTION_OPERAND;
}

/* "-" has operands come in their place, ":" keeps getopt silent. */
static char *letters_of(const struct long_option *options, size_t count)
{
    struct text letters = {0};
    text_add(&letters, "-:");
    for (size_t i = 0; i < count; i++)
        if (options[i].letter != 0)
            text_addf(&letters, "%c%s", options[i].letter,
                      options[i].value == LONG_OPTION_VALUE ? ":" : "");
    return text_take(&letters);
}

static int find_letter(const struct long_option *options, size_t count, int letter)
{
    for (size_t i = 0; i < count; i++)
        if (options[i].letter == letter)
            return (int)i;
    return LONG_OPTION_UNKNOWN;
}

/* Is `word` this option's name in full? */
static bool is_whole(const char *word, const char *name)
{
    size_t length = strlen(name);
    return strncmp(word, "--", 2) == 0 && strncmp(word + 2, name, length) == 0 &&
           (word[2 + length] == '\0' || word[2 + length] == '=');
}

/* `--interval --hold 5s` lacks a value: what begins with two dashes is one only behind a `=`. */
static bool takes_option_as_value(const char *word, const char *value)
{
    return value != NULL && strncmp(value, "--", 2) == 0 && strchr(word, '=') == NULL;
}

int long_option_next(int argc, char **argv, const struct long_option *options, size_t count,
                     const char **ret_word)
{
    _cleanup_(memory_free) struct option *table = memory_array(count + 1, sizeof(*table));
    _cleanup_(memory_free) char *letters = letters_of(options, count);
    static const int has_arg[] = {no_argument, required_argument, optional_argument};
    int found = 0;
    if (only_operands)
        return next_operand(argc, argv, ret_word);
    for (size_t i = 0; i < count; i++)
        table[i] = (struct option){options[i].name, has_arg[options[i].value], &found, (int)i};

    int place = optind == 0 ? 1 : optind;
    int result = getopt_long(argc, argv, letters, table, NULL);
    if (result == -1)
        return next_operand(argc, argv, ret_word);
    *ret_word = argv[place];
    if (result == '?')
        return LONG_OPTION_UNKNOWN;
    if (result == ':')
        return LONG_OPTION_VALUE_MISSING;
    if (result == 0 && !is_whole(argv[place], options[found].name))
        return LONG_OPTION_UNKNOWN;
    if (result > 1)
        found = find_letter(options, count, result);
    if (result != 1 && takes_option_as_value(argv[place], optarg)) {
        optind--;
        return LONG_OPTION_VALUE_MISSING;
    }
    *ret_word = optarg;
    return result == 1 ? LONG_OPTION_OPERAND : found;
}
