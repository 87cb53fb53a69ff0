#include "web/http/web_login.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/system/file.h"
#include "base/system/file_watch.h"
#include "base/text.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_PREFIX "backlog_session_"
/* Lax: a link of another site, such as of a chat, finds the session; its forms and scripts do not.
 * No GET changes anything. */
#define ATTRIBUTES "; Path=/; HttpOnly; SameSite=Lax"

enum { LARGEST_FILE = 2 * WEB_LOGIN_MAX_BYTES }; /* with white space */
enum { LOG_INTERVAL_MS = 60 * 1000 };
enum { SESSION_S = 12 * 3600, DIGEST_BYTES = 32, DIGEST_TEXT_BYTES = 2 * DIGEST_BYTES + 1 };
enum { NAME_DIGITS = 8 }; /* of a digest, in the cookie's name */

struct web_login {
    const char *file;
    struct file_watch *watch;
    char *failure; /* to read it since it has changed, as it was logged; NULL: it was read */
    char *token;
    char cookie_name[sizeof(NAME_PREFIX) + NAME_DIGITS]; /* the token's */
    uint64_t failures;
    struct logged_failure {
        struct web_address address;
        int64_t at_ms; /* 0: none */
    } logged[WEB_LOGIN_MAX_LOGGED];
};

/* ---- the token ---- */

static void digest(const char *token, const char *text, char ret_hex[DIGEST_TEXT_BYTES])
{
    unsigned char bytes[DIGEST_BYTES];
    if (HMAC(EVP_sha256(), token, (int)strlen(token), (const unsigned char *)text, strlen(text),
             bytes, NULL) == NULL)
        abort(); /* out of memory */
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        snprintf(&ret_hex[2 * i], 3, "%02x", bytes[i]);
}

/* Takes the token, and returns the former one. */
static char *set_token(struct web_login *login, char *token)
{
    char hex[DIGEST_TEXT_BYTES];
    char *former = login->token;
    digest(token, "name of the cookie", hex); /* no value has this text: theirs is a number */
    snprintf(login->cookie_name, sizeof(login->cookie_name), NAME_PREFIX "%.*s", NAME_DIGITS, hex);
    login->token = token;
    return former;
}

static bool read_token(const char *file, char **ret_token, struct error *error)
{
    static const char space[] = " \t\r\n";
    _cleanup_(text_done) struct text content = {0};
    if (!file_read(file, LARGEST_FILE, &content, error))
        return error_prefix(error, "--http-token-file");
    const char *bytes = content.bytes == NULL ? "" : content.bytes;
    const char *begin = bytes + strspn(bytes, space);
    size_t length = 0;
    while (begin[length] > ' ' && begin[length] <= '~')
        length++;
    bool is_whole = begin + length + strspn(begin + length, space) == bytes + content.length;
    if (is_whole && length >= WEB_LOGIN_MIN_BYTES && length <= WEB_LOGIN_MAX_BYTES)
        *ret_token = text_copy_bytes(begin, length);
    return *ret_token != NULL ||
           error_invalid(error,
                         "--http-token-file: %s must have one token of %d to %d printable ASCII "
                         "characters without spaces, such as `openssl rand -hex 32` prints",
                         file, WEB_LOGIN_MIN_BYTES, WEB_LOGIN_MAX_BYTES);
}

bool web_login_new(const char *file, struct web_login **ret_login, struct error *error)
{
    char *token = NULL;
    if (file == NULL)
        return true;
    struct file_watch *watch = file_watch_new();
    file_watch_add(watch, file);
    if (!read_token(file, &token, error)) {
        file_watch_free(watch);
        return false;
    }
    *ret_login = memory_new(sizeof(**ret_login));
    **ret_login = (struct web_login){.file = file, .watch = watch};
    set_token(*ret_login, token);
    return true;
}

void web_login_free(struct web_login *login)
{
    if (login == NULL)
        return;
    free(login->token);
    free(login->failure);
    file_watch_free(login->watch);
    free(login);
}

bool web_login_renew(struct web_login *login)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *token = NULL;
    if (!file_watch_has_changed(login->watch) &&
        (login->failure == NULL || file_watch_is_restless(login->watch)))
        return false;
    bool is_read = read_token(login->file, &token, &error);
    _cleanup_(memory_free) char *before = TAKE(login->failure);
    if (!is_read) {
        if (!text_equal(error_text(&error), before))
            log_warning("%s; the former token stays in use", error_text(&error));
        login->failure = text_copy(error_text(&error));
        return false;
    }
    bool is_other = !text_equal(token, login->token);
    token = set_token(login, token);
    if (is_other)
        log_info("--http-token-file: another token is used now");
    return is_other;
}

/* ---- who may ---- */

/* Digests have one length, so that the time says nothing of the token's. */
static bool is_token(const struct web_login *login, const char *token)
{
    char one[DIGEST_TEXT_BYTES], other[DIGEST_TEXT_BYTES];
    if (token[0] == '\0')
        return false;
    digest(login->token, "", one);
    digest(token, "", other);
    return CRYPTO_memcmp(one, other, DIGEST_TEXT_BYTES) == 0;
}

/* When the session with this value ends; 0: it is none. */
static int64_t session_end(const struct web_login *login, const char *value, size_t length)
{
    char expected[DIGEST_TEXT_BYTES], end[24];
    size_t digits = strspn(value, "0123456789");
    if (digits == 0 || digits >= sizeof(end) || value[digits] != '.' ||
        length != digits + 1 + (DIGEST_TEXT_BYTES - 1)) /* no NUL is in a cookie */
        return 0;
    snprintf(end, sizeof(end), "%.*s", (int)digits, value);
    digest(login->token, end, expected);
    return CRYPTO_memcmp(value + digits + 1, expected, DIGEST_TEXT_BYTES - 1) == 0
               ? strtoll(end, NULL, 10)
               : 0;
}

/* RFC 6750; the names of schemes are case-insensitive (RFC 9110, 11.1). */
static const char bearer_scheme[] = "Bearer ";

bool web_login_has_token(const char *authorization)
{
    return authorization != NULL &&
           strncasecmp(authorization, bearer_scheme, strlen(bearer_scheme)) == 0;
}

int64_t web_login_permitted_until(const struct web_login *login, const char *authorization,
                                  const char *cookies, int64_t now_s)
{
    size_t name_length = strlen(login->cookie_name);
    if (web_login_has_token(authorization) &&
        is_token(login, authorization + strlen(bearer_scheme)))
        return INT64_MAX;
    for (const char *at = cookies; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, ";");
        if (text_starts_with(at, login->cookie_name) && at[name_length] == '=') {
            int64_t end_s = session_end(login, at + name_length + 1, length - name_length - 1);
            if (end_s > now_s)
                return end_s;
        }
        at += length;
        at += strspn(at, "; ");
    }
    return 0;
}

char *web_login_cookie(const struct web_login *login, const char *token, bool is_secure,
                       int64_t now_s)
{
    char hex[DIGEST_TEXT_BYTES];
    if (token == NULL || !is_token(login, token))
        return NULL;
    _cleanup_(memory_free) char *end = text_format("%" PRId64, now_s + SESSION_S);
    digest(login->token, end, hex);
    return text_format("%s=%s.%s; Max-Age=%d" ATTRIBUTES "%s", login->cookie_name, end, hex,
                       SESSION_S, is_secure ? "; Secure" : "");
}

char *web_login_no_cookie(const struct web_login *login)
{
    return text_format("%s=; Max-Age=0" ATTRIBUTES, login->cookie_name);
}

/* ---- who failed ---- */

/* The address's own, or that of the line that is the oldest. */
static struct logged_failure *find_logged(struct web_login *login,
                                          const struct web_address *address)
{
    struct logged_failure *found = &login->logged[0];
    for (size_t i = 0; i < WEB_LOGIN_MAX_LOGGED; i++) {
        struct logged_failure *each = &login->logged[i];
        if (each->at_ms != 0 && memcmp(&each->address, address, sizeof(*address)) == 0)
            return each;
        if (each->at_ms < found->at_ms)
            found = each;
    }
    return found;
}

void web_login_fail(struct web_login *login, const struct web_address *address, int64_t now_ms)
{
    char text[WEB_ADDRESS_TEXT_BYTES];
    struct logged_failure *logged = find_logged(login, address);
    login->failures++;
    if (logged->at_ms != 0 && now_ms < logged->at_ms + LOG_INTERVAL_MS)
        return;
    *logged = (struct logged_failure){*address, now_ms};
    log_warning("HTTP: authentication failed: wrong token from %s",
                web_address_text(address, text));
}

uint64_t web_login_failures(const struct web_login *login)
{
    return login->failures;
}
