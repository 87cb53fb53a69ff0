/*
 * A login for the HTTP port: a request for a page that is not open shows the token of a file, as a
 * bearer token (RFC 6750), or the cookie that the login page has set for the token:
 *
 *     backlog_session_0123abcd=1790000000.HMAC
 *
 * The cookie does not contain the token. Its value is the second since 1970 when the session ends,
 * and the HMAC-SHA256 of that text with the token as the key. So all replicas with this token
 * accept the cookie, and none does after the token was replaced.
 *
 * Its name ends with eight digits of another HMAC. Browsers send a cookie to every port of a host
 * (RFC 6265, 8.5), where servers with other tokens may listen: each token has a cookie of its own.
 * The name discloses no more of the token than the value does.
 *
 * Threads: the HTTP server's; web_login_new() and web_login_free() come before and after it.
 */
#ifndef BACKLOG_WEB_HTTP_WEB_LOGIN_H
#define BACKLOG_WEB_HTTP_WEB_LOGIN_H

#include "base/error.h"
#include "web/http/web_address.h"

#include <stdbool.h>
#include <stdint.h>

/* The lengths that a token may have. Shorter ones can be guessed. */
enum { WEB_LOGIN_MIN_BYTES = 16, WEB_LOGIN_MAX_BYTES = 1024 };

struct web_login;

/* Reads the file: it has the token, and white space around it. Without a file (NULL) `*ret_login`
 * stays NULL, and every page is open. */
bool web_login_new(const char *file, struct web_login **ret_login, struct error *error);
void web_login_free(struct web_login *login); /* NULL is harmless */

/* Reads the file again if it was replaced, or could not be read or was invalid the last time; it is
 * called once per second. A failure is logged once, until another one occurs, and the former token
 * stays. True: the token is another one, so what was permitted ends. */
bool web_login_renew(struct web_login *login);

/* Until when a request with these headers may read, in seconds since 1970; NULL: it has no such
 * header. 0: it may not read; INT64_MAX: it shows the token, which has no end. */
int64_t web_login_permitted_until(const struct web_login *login, const char *authorization,
                                  const char *cookies, int64_t now_s);

/* Whether an Authorization header (NULL: there is none) shows a bearer token, right or wrong. */
bool web_login_has_token(const char *authorization);

/* Makes the value of Set-Cookie for whoever knows the token; the caller frees it. `is_secure`: the
 * browser uses HTTPS. NULL: `token` is another one, or NULL. */
char *web_login_cookie(const struct web_login *login, const char *token, bool is_secure,
                       int64_t now_s);

/* Makes the value of Set-Cookie that ends the session; the caller frees it. */
char *web_login_no_cookie(const struct web_login *login);

/* Counts a request with a wrong token, and logs one line per address and minute, for at most so
 * many addresses per minute. A session that has ended is no wrong token. */
enum { WEB_LOGIN_MAX_LOGGED = 32 };
void web_login_fail(struct web_login *login, const struct web_address *address, int64_t now_ms);
uint64_t web_login_failures(const struct web_login *login);

#endif
