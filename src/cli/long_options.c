#include "cli/long_options.h"

#include "base/memory.h"

#include <getopt.h>

int long_option_next(int argc, char **argv, const struct long_option *options, size_t count,
                     const char **ret_word)
{
    _cleanup_(memory_free) struct option *table = memory_array(count + 1, sizeof(*table));
    int found = 0;
    for (size_t i = 0; i < count; i++)
        table[i] = (struct option){
            .name = options[i].name,
            .has_arg = options[i].has_value ? required_argument : no_argument,
            .flag = &found,
            .val = (int)i,
        };

    int place = optind == 0 ? 1 : optind;
    int result = getopt_long(argc, argv, "+:", table, NULL);
    *ret_word = optarg;
    if (result == 0)
        return found;
    *ret_word = result == -1 ? argv[optind] : argv[place];
    return result == -1    ? LONG_OPTION_END
           : result == ':' ? LONG_OPTION_NO_VALUE
                           : LONG_OPTION_UNKNOWN;
}
