/*
 * Patterns of queue names, matched as RabbitMQ matches them: with PCRE, in upper or lower case, a
 * name being bytes unless the pattern begins with (*UTF). So all patterns can be matched on one
 * listing, which has all queues at one moment.
 *
 * RabbitMQ has PCRE from Erlang: before Erlang 28 it is PCRE 8, from then on PCRE2, as here. What
 * only one of them knows is refused, and so are braces that they take differently. There are two
 * differences left to Erlang 27: to it \w, \b and classes of a name that is not ASCII are those of
 * ISO 8859-1, and a recursion such as (?1) does not backtrack.
 *
 * Threads: one at a time per matcher; a pattern may be of any.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_PATTERN_H
#define BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_PATTERN_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* At most 64 KiB. */
struct rabbitmq_pattern;

/* The error has no part of the pattern, as it may be out of a variable. The caller frees it. */
bool rabbitmq_pattern_compile(const char *text, struct rabbitmq_pattern **ret_pattern,
                              struct error *error);
void rabbitmq_pattern_free(struct rabbitmq_pattern **pattern);

/* The memory of matching, at most 1 MiB, which many patterns share. The caller frees it. */
struct rabbitmq_matcher;
struct rabbitmq_matcher *rabbitmq_matcher_new(void);
void rabbitmq_matcher_free(struct rabbitmq_matcher **matcher);

/* False: matching it takes too many steps, or too much memory. */
bool rabbitmq_pattern_match(const struct rabbitmq_pattern *pattern,
                            struct rabbitmq_matcher *matcher, const char *name, size_t length,
                            bool *ret_matches, struct error *error);

#endif
