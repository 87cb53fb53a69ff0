/* Sessions of the HTTP port, at times of their own. */
#include "base/memory.h"
#include "base/recent_log.h"
#include "base/text.h"
#include "web/http/web_login.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const char token[] = "0123456789abcdef-token";
enum { NOW_S = 1800000000, SESSION_S = 12 * 3600 };

#define TOKEN_FILE "/tmp/backlog-token-XXXXXX"

/* Of a new file, which stays open for more. `path` is TOKEN_FILE, and the file's path then. */
static struct web_login *login_of_file(char *path, const char *content, int *ret_fd)
{
    _cleanup_(error_done) struct error error = {0};
    struct web_login *login = NULL;
    *ret_fd = mkstemp(path);
    assert_true(*ret_fd >= 0);
    assert_int_equal(write(*ret_fd, content, strlen(content)), strlen(content));
    assert_true(web_login_new(path, &login, &error));
    return login;
}

static struct web_login *make_login(const char *content)
{
    char path[] = TOKEN_FILE;
    int fd;
    struct web_login *login = login_of_file(path, content, &fd);
    close(fd);
    unlink(path);
    return login;
}

static bool permits(const struct web_login *login, const char *authorization, const char *cookies)
{
    return web_login_permitted_until(login, authorization, cookies, NOW_S) != 0;
}

static void a_session_ends_after_its_time(void **state)
{
    (void)state;
    struct web_login *login = make_login("0123456789abcdef-token\n");
    _cleanup_(memory_free) char *cookie = web_login_cookie(login, token, false, NOW_S);
    assert_non_null(cookie);
    _cleanup_(memory_free) char *pair = text_copy_bytes(cookie, strcspn(cookie, ";"));
    _cleanup_(memory_free) char *among = text_format("a=b; %s; c=d", pair);
    const int64_t end_s = NOW_S + SESSION_S;
    assert_int_equal(web_login_permitted_until(login, NULL, among, NOW_S), end_s);
    assert_int_equal(web_login_permitted_until(login, NULL, pair, end_s - 1), end_s);
    assert_int_equal(web_login_permitted_until(login, NULL, pair, end_s), 0);
    web_login_free(login);
}

static void a_session_is_of_its_token(void **state)
{
    (void)state;
    struct web_login *login = make_login(token);
    struct web_login *same = make_login("\n 0123456789abcdef-token \n");
    struct web_login *other = make_login("another-token-0123456789");
    _cleanup_(memory_free) char *cookie = web_login_cookie(login, token, true, NOW_S);
    assert_true(permits(same, NULL, cookie)); /* another replica */
    assert_false(permits(other, NULL, cookie));
    assert_null(web_login_cookie(other, token, true, NOW_S));
    assert_null(web_login_cookie(login, "", true, NOW_S));
    assert_null(web_login_cookie(login, NULL, true, NOW_S));
    web_login_free(login);
    web_login_free(same);
    web_login_free(other);
}

/* Browsers send a cookie to every port of a host: those of two servers on localhost must not
 * replace each other. */
static void each_token_has_a_cookie_of_its_own(void **state)
{
    (void)state;
    struct web_login *one = make_login(token);
    struct web_login *other = make_login("another-token-0123456789");
    _cleanup_(memory_free) char *first = web_login_cookie(one, token, false, NOW_S);
    _cleanup_(memory_free) char *second =
        web_login_cookie(other, "another-token-0123456789", false, NOW_S);
    _cleanup_(memory_free) char *first_pair = text_copy_bytes(first, strcspn(first, ";"));
    _cleanup_(memory_free) char *both = text_format("%s; %s", first_pair, second);
    size_t name_length = strcspn(first, "=");
    assert_true(text_starts_with(first, "backlog_session_"));
    assert_true(strcspn(second, "=") != name_length || memcmp(first, second, name_length) != 0);
    assert_true(permits(one, NULL, both));
    assert_true(permits(other, NULL, both));

    _cleanup_(memory_free) char *ending = web_login_no_cookie(one);
    assert_memory_equal(ending, first, name_length);
    assert_true(text_starts_with(ending + name_length, "=; Max-Age=0"));
    web_login_free(one);
    web_login_free(other);
}

static void another_token_has_another_cookie(void **state)
{
    (void)state;
    char path[] = TOKEN_FILE;
    int fd;
    struct web_login *login = login_of_file(path, token, &fd);
    _cleanup_(memory_free) char *before = web_login_no_cookie(login);
    assert_int_equal(write(fd, "-2", 2), 2);
    close(fd);
    bool is_other = web_login_renew(login); /* once the file is no longer being written */
    assert_true(is_other || web_login_renew(login));
    _cleanup_(memory_free) char *after = web_login_no_cookie(login);
    assert_string_not_equal(before, after);
    web_login_free(login);
    unlink(path);
}

/* What was wrong may pass while the file rests: no descriptor was free, or a volume was away. */
static void a_token_that_could_not_be_read_is_read_later(void **state)
{
    (void)state;
    char path[] = TOKEN_FILE;
    int fd;
    struct web_login *login = login_of_file(path, token, &fd);
    assert_int_equal(write(fd, "-2", 2), 2);
    close(fd);
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    const struct rlimit none = {(rlim_t)fd, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    for (int check = 0; check < 3; check++) /* the second one reports the change */
        assert_false(web_login_renew(login));
    setrlimit(RLIMIT_NOFILE, &before);
    assert_true(permits(login, "Bearer 0123456789abcdef-token", NULL));
    assert_true(web_login_renew(login));
    assert_false(permits(login, "Bearer 0123456789abcdef-token", NULL));
    assert_true(permits(login, "Bearer 0123456789abcdef-token-2", NULL));
    assert_false(web_login_renew(login));
    web_login_free(login);
    unlink(path);
}

static void only_the_whole_token_is_a_bearers(void **state)
{
    (void)state;
    struct web_login *login = make_login(token);
    assert_true(permits(login, "Bearer 0123456789abcdef-token", NULL));
    assert_true(permits(login, "bearer 0123456789abcdef-token", NULL));
    assert_true(web_login_permitted_until(login, "Bearer 0123456789abcdef-token", NULL, NOW_S) ==
                INT64_MAX);
    static const char *const wrong[] = {
        "Bearer 0123456789abcdef-toke", "Bearer 0123456789abcdef-token2", "Bearer ",
        "Basic 0123456789abcdef-token", "0123456789abcdef-token",         ""};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_false(permits(login, wrong[i], NULL));
    assert_false(permits(login, NULL, NULL));
    web_login_free(login);
}

static struct web_address address_of(int last)
{
    return (struct web_address){.bytes = {[10] = 0xff, [11] = 0xff, 10, 0, 0, (unsigned char)last}};
}

/* Those with these words. */
static size_t lines_logged(const char *words)
{
    static struct recent_line lines[RECENT_LOG_LINES];
    size_t found = 0;
    size_t count = recent_log_read(0, lines, ARRAY_LENGTH(lines));
    for (size_t i = 0; i < count; i++) {
        found += strstr(lines[i].text, words) != NULL;
        recent_line_done(&lines[i]);
    }
    return found;
}

static void a_wrong_token_is_logged_once_per_address_and_minute(void **state)
{
    enum { MINUTE_MS = 60 * 1000, ADDRESSES = 100, BEGIN_MS = 1000 };
    (void)state;
    struct web_login *login = make_login(token);
    int64_t now_ms = BEGIN_MS;
    struct web_address addresses[ADDRESSES + 1];
    for (int i = 0; i <= ADDRESSES; i++)
        addresses[i] = address_of(i);
    recent_log_start();
    for (; now_ms < BEGIN_MS + MINUTE_MS; now_ms += 500)
        for (int i = 1; i <= 2; i++)
            web_login_fail(login, &addresses[i], now_ms);
    assert_int_equal(lines_logged("wrong token from 10.0.0.1"), 1);
    assert_int_equal(lines_logged("wrong token from 10.0.0.2"), 1);
    assert_int_equal(web_login_failures(login), 2 * MINUTE_MS / 500);
    web_login_fail(login, &addresses[1], now_ms);
    assert_int_equal(lines_logged("wrong token from 10.0.0.1"), 2);

    for (int i = 1; i <= ADDRESSES; i++) /* whoever has many */
        web_login_fail(login, &addresses[i], now_ms);
    assert_in_range(lines_logged("wrong token"), 3, 3 + WEB_LOGIN_MAX_LOGGED);
    const struct web_address ipv6 = {.bytes = {0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2}};
    web_login_fail(login, &ipv6, now_ms + MINUTE_MS);
    assert_int_equal(lines_logged("wrong token from 2001:db8:1:2::/64"), 1);
    assert_int_equal(lines_logged("0123456789abcdef"), 0);
    web_login_free(login);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_ends_after_its_time),
        cmocka_unit_test(a_session_is_of_its_token),
        cmocka_unit_test(each_token_has_a_cookie_of_its_own),
        cmocka_unit_test(another_token_has_another_cookie),
        cmocka_unit_test(a_token_that_could_not_be_read_is_read_later),
        cmocka_unit_test(only_the_whole_token_is_a_bearers),
        cmocka_unit_test(a_wrong_token_is_logged_once_per_address_and_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
