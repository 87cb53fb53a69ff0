/*
 * How `explain` says a reading: the numbers that the server's "reading" may have, and their words.
 *
 * Threads: any.
 */
#ifndef BACKLOG_COMMANDS_EXPLAIN_H
#define BACKLOG_COMMANDS_EXPLAIN_H

struct reading_words {
    const char *key;
    const char *words; /* after the number; NULL: it is not printed */
};

extern const struct reading_words explain_reading_words[]; /* in their order, up to {0} */

#endif
