/*
 * Stands in for kit/http.h, and so for libcurl: what is fetched are the
 * lines of a text, one an answer, in the order of the questions. A line is a status and JSON ("200
 * {}"), or begins with another letter where nothing was answered: `t` in time, `l` that was small
 * enough; else it failed.
 *
 * Threads: one.
 */
#ifndef BACKLOG_TEST_FUZZ_FETCHED_H
#define BACKLOG_TEST_FUZZ_FETCHED_H

/* The text must outlive all fetching. After its last line nothing answers in time. */
void fetched_begin(const char *lines);

#endif
