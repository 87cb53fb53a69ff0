/*
 * Patterns that are matched here, on a listing of all queues, which answers many of them at once
 * and has all queues at one moment: pages have neither.
 *
 * RabbitMQ matches them with PCRE, in upper or lower case. Only what means the same there and in
 * shared/regex.h is taken, and names of printable ASCII, which mean the same in every encoding. The
 * broker lists the queues of other patterns in pages.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_PATTERN_H
#define BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_PATTERN_H

#include <jansson.h>
#include <stdbool.h>

struct regex;

/* As a POSIX extended regular expression for names in lower case; the caller frees it. NULL: the
 * broker has to match it. */
char *rabbitmq_pattern_translate(const char *pattern);

enum rabbitmq_match { RABBITMQ_MATCH, RABBITMQ_NO_MATCH, RABBITMQ_MATCH_UNKNOWN };

/* `regex` is of a translated pattern. */
enum rabbitmq_match rabbitmq_pattern_match(struct regex *regex, const json_t *name);

#endif
