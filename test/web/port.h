/*
 * What tests of the HTTP port share: a port that serves some pages on 127.0.0.1, and clients of it
 * that send what they like.
 *
 * Threads: the test's; pages are written on the port's.
 */
#ifndef BACKLOG_TEST_WEB_PORT_H
#define BACKLOG_TEST_WEB_PORT_H

#include "base/text.h"
#include "web/http/page.h"
#include "web/web.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the port ---- */

/* Starts a port of these pages; `*state` is a struct web. connection_ms: as struct web_settings has
 * it. */
int set_up_port(void **state, const struct web_page *pages, int64_t connection_ms);
int teardown(void **state);

/* A page: the context, a string, and the value of "name". */
void write_greeting(void *context, const struct page_request *request,
                    struct page_response *response);

/* A stream that sends nothing, and how many readers it has. */
extern const struct web_stream_hooks silent_stream;
extern atomic_int silent_readers;

/* ---- its clients ---- */

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

/* `own` is the last byte of the address in 127.0.0.0/8 to come from. */
int connect_from(const struct web *web, uint32_t own);
int connect_to(const struct web *web);
void send_text(int fd, const char *text);

/* The response, until the connection ends. */
void finish(int fd, struct text *response);
char *fetch(const struct web *web, const char *request);
void assert_response(void **state, const char *request, const char *begin, const char *end);
bool is_answered_with(int fd, const char *begin);

#endif
