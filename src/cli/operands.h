/*
 * Operands: the words of a command line that come before its flags, as the file in `backlog simulate
 * trace.csv --rate 10`; and -f, which is --file.
 */
#ifndef BACKLOG_CLI_OPERANDS_H
#define BACKLOG_CLI_OPERANDS_H

#include <stddef.h>

struct operands {
    char **items; /* borrowed from argv */
    size_t count;
    int argc; /* the rest, for flags_parse() */
    char **argv;
};

/* The caller ends them with operands_done(). */
void operands_split(int argc, char **argv, struct operands *ret_operands);
void operands_done(struct operands *operands);

#endif
