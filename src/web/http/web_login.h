/*
 * A login for the HTTP port: whoever reads a page that is not open shows the token of a file, as a
 * bearer token (RFC 6750), or the cookie that the login page gave for it.
 *
 * The cookie does not have the token: its value is "END.HMAC", the second when it ends and the
 * HMAC-SHA256 of that with the token as the key. So all replicas with this token accept it, and
 * none does once the token is another one.
 *
 * Its name ends with eight digits of another HMAC: browsers send a cookie to every port of a host
 * (RFC 6265, 8.5), and servers with other tokens behind them have cookies of their own. The name
 * says nothing of the token that the value does not say, and only who knows the token is sent it.
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

/* Reads the file again if it was replaced; it is called once per second. An invalid file is logged,
 * and the former token stays. True: the token is another one, so what was permitted ends. */
bool web_login_renew(struct web_login *login);

/* Until when a request with these headers, Authorization and Cookie, may read; NULL: it has no such
 * header. 0: it may not; INT64_MAX: it shows the token, which has no end. Times are since 1970. */
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

/* Notes that somebody showed another token than this one. It is counted, and logged: one line per
 * address and minute, and for so many addresses per minute at most. Sessions that are over do not
 * count. */
enum { WEB_LOGIN_MAX_LOGGED = 32 };
void web_login_fail(struct web_login *login, const struct web_address *address, int64_t now_ms);
uint64_t web_login_failures(const struct web_login *login);

#endif
