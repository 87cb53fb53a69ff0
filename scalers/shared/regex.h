/*
 * POSIX extended regular expressions, whose cost is bounded whoever writes them: compiling one
 * takes as many steps as it has with its repetitions written out, and matching at most so many per
 * byte of the text.
 *
 * A library's would not do. regcomp() copies a part at each + around it, so that 23 of them take
 * gigabytes, and regexec() keeps all states that any text led to; PCRE2 has limits, but another
 * syntax (a++, \d, brackets), which would need a translation as long as this; RE2 has no interface
 * for C.
 *
 * The language is that of regcomp() with REG_EXTENDED in the C locale, with GNU's \w \W \s \S \b \B
 * \< \> \` and \', and without back-references.
 *
 * Threads: one at a time per expression.
 */
#ifndef BACKLOG_SCALERS_SHARED_REGEX_H
#define BACKLOG_SCALERS_SHARED_REGEX_H

#include "base/error.h"

#include <stdbool.h>

/* A Kafka topic has at most 249 characters in its name, so that nobody needs a longer pattern. */
enum { REGEX_MAX_LENGTH = 256, REGEX_MAX_STEPS = 2000 };

struct regex;

/* Compiles the pattern. The error has no part of it, as it may be out of a variable. The caller
 * ends the expression with regex_free(). */
bool regex_compile(const char *pattern, struct regex **ret_regex, struct error *error);
void regex_free(struct regex **regex);

/* Whether it matches the text, or a part of it. */
bool regex_matches(struct regex *regex, const char *text);

#endif
