/*
 * getopt_long() behind names of our own: <getopt.h> has a `struct option`, too. Unlike it, names
 * are not abbreviated.
 *
 * Threads: one at a time; getopt's state is the process's.
 */
#ifndef BACKLOG_CLI_LONG_OPTIONS_H
#define BACKLOG_CLI_LONG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum long_option_value {
    LONG_OPTION_NO_VALUE,
    LONG_OPTION_VALUE,      /* --key=value, --key value, -kvalue, -k value */
    LONG_OPTION_SOME_VALUE, /* --key=value or --key */
};

struct long_option {
    const char *name;
    char letter; /* 0: none */
    enum long_option_value value;
};

/* Besides the index of an option. */
enum {
    LONG_OPTION_END = -1,
    LONG_OPTION_UNKNOWN = -2,
    LONG_OPTION_VALUE_MISSING = -3,
    LONG_OPTION_OPERAND = -4,
};

/* Before the first word of another command line. */
void long_option_reset(void);

/* The index of the next option in `options`, or one of the codes above.
 * `ret_word` is the option's value (NULL: it has none), the operand, or the word that is wrong. */
int long_option_next(int argc, char **argv, const struct long_option *options, size_t count,
                     const char **ret_word);

#endif
