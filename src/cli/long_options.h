/* getopt_long() behind names of our own: <getopt.h> has a `struct option`, too. */
#ifndef BACKLOG_CLI_LONG_OPTIONS_H
#define BACKLOG_CLI_LONG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct long_option {
    const char *name;
    bool has_value;
};

enum { LONG_OPTION_END = -1, LONG_OPTION_UNKNOWN = -2, LONG_OPTION_NO_VALUE = -3 };

/* The index of the next option in `options`, or one of the codes above.
 * `ret_word` is the option's value, or the word that is wrong. */
int long_option_next(int argc, char **argv, const struct long_option *options, size_t count,
                     const char **ret_word);

#endif
