/* Requests: which page writes the response, and which are refused. */
#include "web/port.h"

#include "base/memory.h"
#include "web/http/web_instance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void write_segments(void *context, const struct page_request *request,
                           struct page_response *response)
{
    (void)context;
    response->type = page_response_type_json;
    for (size_t i = 0; i < request->below_count; i++)
        text_addf(&response->body, "<%s>", request->below[i]);
}

static void write_much(void *context, const struct page_request *request,
                       struct page_response *response)
{
    (void)context;
    (void)request;
    for (int i = 0; i < 1000; i++)
        text_addf(&response->body, "%01000d", i);
}

static const struct web_page pages[] = {
    {"/stream", .stream = &silent_stream}, {"/greeting", write_greeting, (char[]){"hello"}},
    {"/things/", write_segments, NULL},    {"/things/after", write_greeting, (char[]){"never"}},
    {"/much", write_much, NULL},           {0},
};

static int setup(void **state)
{
    return set_up_port(state, pages, 0);
}

static void a_page_is_written_by_its_function(void **state)
{
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "\r\n\r\nhello nobody");
    assert_response(state, GET("/greeting?name=J%C3%BCrgen%20K"), "HTTP/1.1 200 ",
                    "\r\n\r\nhello J\xc3\xbcrgen K");
}

static void a_parameter_may_be_empty_or_lack_a_value(void **state)
{
    static const char *const queries[] = {"a=1&&name=K", "&name=K", "name=K&", "a&name=K&&b"};
    for (size_t i = 0; i < ARRAY_LENGTH(queries); i++) {
        _cleanup_(memory_free) char *request =
            text_format("GET /greeting?%s HTTP/1.1\r\nHost: localhost\r\n\r\n", queries[i]);
        assert_response(state, request, "HTTP/1.1 200 ", "\r\n\r\nhello K");
    }
    assert_response(state, GET("/greeting?&&"), "HTTP/1.1 200 ", "\r\n\r\nhello nobody");
}

static void the_segments_below_a_page_are_decoded(void **state)
{
    assert_response(state, GET("/things/shop/a%2Fb"), "HTTP/1.1 200 ", "\r\n\r\n<shop><a/b>");
    assert_response(state, GET("/things/"), "HTTP/1.1 200 ", "\r\n\r\n");
    assert_response(state, GET("/things//"), "HTTP/1.1 404 ", "\n");
    assert_response(state, GET("/things/1/2/3/4/5"), "HTTP/1.1 404 ", "\n");
}

static void a_zero_byte_ends_no_name(void **state)
{
    assert_response(state, GET("/things/shop%00x"), "HTTP/1.1 400 ",
                    "invalid path or query string\n");
    assert_response(state, GET("/greeting?name=K%00x"), "HTTP/1.1 400 ", "\n");
    assert_response(state, GET("/things/shop%2500x"), "HTTP/1.1 200 ", "\r\n\r\n<shop%00x>");
}

static void the_first_row_that_fits_is_the_page(void **state)
{
    assert_response(state, GET("/things/after"), "HTTP/1.1 200 ", "\r\n\r\n<after>");
}

static void unknown_paths_are_not_found(void **state)
{
    assert_response(state, GET("/"), "HTTP/1.1 404 ", "page not found\n");
    assert_response(state, GET("/greeting/more"), "HTTP/1.1 404 ", "page not found\n");
}

static void a_head_has_the_length_and_no_body(void **state)
{
    _cleanup_(memory_free) char *response =
        fetch(*state, "HEAD /greeting HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_non_null(strstr(response, "Content-Length: 12\r\n"));
    assert_true(text_ends_with(response, "\r\n\r\n"));
}

static void a_head_of_a_stream_is_answered_and_opens_none(void **state)
{
    _cleanup_(memory_free) char *response =
        fetch(*state, "HEAD /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(text_starts_with(response, "HTTP/1.1 200 "));
    assert_non_null(strstr(response, "Content-Type: text/event-stream"));
    assert_null(strstr(response, "Content-Length")); /* a GET has none (RFC 9110, 8.6) */
    assert_true(text_ends_with(response, "\r\n\r\n"));
}

/* Of pages and of refusals: all pods of a Service respond to one reader. */
static void each_response_says_of_which_process_it_is(void **state)
{
    static const char *const requests[] = {GET("/greeting"), GET("/nowhere"),
                                           "HEAD /stream HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                           "DELETE /greeting HTTP/1.1\r\nHost: localhost\r\n\r\n"};
    char instance[WEB_INSTANCE_BYTES];
    _cleanup_(memory_free) char *header =
        text_format("\r\nBacklog-Instance: %s\r\n", web_instance(instance));
    assert_int_equal(strspn(instance, "0123456789abcdef"), WEB_INSTANCE_BYTES - 1);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        _cleanup_(memory_free) char *response = fetch(*state, requests[i]);
        assert_non_null(strstr(response, header));
    }
}

static void nothing_can_be_changed(void **state)
{
    assert_response(state, "DELETE /greeting HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 405 ",
                    "method not allowed: only GET and HEAD\n");
    assert_response(state,
                    "POST /greeting HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n12345",
                    "HTTP/1.1 413 ", "");
}

static void every_method_is_refused_as_the_others_are(void **state)
{
    static const char *const lines[] = {"DELETE /greeting", "PUT /greeting", "OPTIONS /greeting",
                                        "OPTIONS *",        "TRACE /",       "PATCH /greeting",
                                        "CONNECT host:80"};
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        _cleanup_(memory_free) char *request =
            text_format("%s HTTP/1.1\r\nHost: localhost\r\n\r\n", lines[i]);
        _cleanup_(memory_free) char *response = fetch(*state, request);
        if (!text_starts_with(response, "HTTP/1.1 405 ") ||
            strstr(response, "\r\nAllow: GET, HEAD\r\n") == NULL ||
            strstr(response, "\r\nX-Content-Type-Options: nosniff\r\n") == NULL ||
            !text_ends_with(response, "method not allowed: only GET and HEAD\n"))
            fail_msg("the response to %s is:\n%s", lines[i], response);
    }
}

static void bytes_that_are_not_http_end_the_connection(void **state)
{
    _cleanup_(memory_free) char *response = fetch(*state, "\x16\x03\x01 what?\r\n\r\n");
    assert_true(response[0] == '\0' || text_starts_with(response, "HTTP/1.1 400 "));
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "\r\n\r\nhello nobody");
}

static void endless_headers_are_refused(void **state)
{
    _cleanup_(text_done) struct text request = {0};
    text_add(&request, "GET /greeting HTTP/1.1\r\nHost: localhost\r\n");
    for (int i = 0; i < 1000; i++)
        text_addf(&request, "X-Header-%d: something that nobody reads\r\n", i);
    text_add(&request, "\r\n");

    struct text response = {0};
    int fd = connect_to(*state);
    send(fd, request.bytes, request.length, MSG_NOSIGNAL);
    finish(fd, &response);
    assert_true(response.length == 0 || !text_starts_with(response.bytes, "HTTP/1.1 200 "));
    text_done(&response);
}

/* As of a proxy in front of the server, which keeps its session in them. */
static void many_large_cookies_are_permitted(void **state)
{
    _cleanup_(memory_free) char *request = text_format(
        "GET /greeting HTTP/1.1\r\nHost: localhost\r\n"
        "Cookie: _oauth2_proxy_0=%04000d; _oauth2_proxy_1=%04000d; _oauth2_proxy_2=%04000d\r\n\r\n",
        0, 0, 0);
    assert_response(state, request, "HTTP/1.1 200 ", "\r\n\r\nhello nobody");
}

static void a_large_page_arrives_whole(void **state)
{
    _cleanup_(memory_free) char *response = fetch(*state, GET("/much"));
    assert_int_equal(strlen(strstr(response, "\r\n\r\n") + 4), 1000000);
}

static void a_refusal_in_text_replaces_what_a_page_has_written(void **state)
{
    (void)state;
    struct page_response response = {.code = 200, .type = page_response_type_json};
    text_add(&response.body, "[1, 2");
    page_response_refuse(&response, 503, "try again");
    assert_int_equal(response.code, 503);
    assert_string_equal(response.type, "text/plain; charset=utf-8");
    assert_string_equal(response.body.bytes, "try again\n");
    text_done(&response.body);
}

/* ---- hosts and sites ---- */

static void assert_host(void **state, const char *host, const char *status)
{
    _cleanup_(memory_free) char *request =
        text_format("GET /greeting HTTP/1.1\r\nHost: %s\r\n\r\n", host);
    _cleanup_(memory_free) char *begin = text_format("HTTP/1.1 %s ", status);
    assert_response(state, request, begin, "");
}

static void names_that_others_may_have_are_refused(void **state)
{
    static const char *const permitted[] = {
        "localhost",          "LOCALHOST:9091", "localhost.:80", "127.0.0.1:9091",
        "10.1.2.3",           "[::1]:9091",     "[fd00::1]",     "backlog.keda.svc:9091",
        "Backlog.Keda.SVC.",  "a.example",      "127.0.0.1:",    "backlog.keda.svc.:9091",
        "backlog.example.com"};
    static const char *const refused[] = {"evil.test",
                                          "evil.test:9091",
                                          "localhost.evil.test",
                                          "127.0.0.1.evil.test",
                                          "10.1.2.3.4",
                                          "[evil.test]",
                                          "[::1",
                                          "2130706433",
                                          "xbacklog.keda.svc",
                                          "backlog.keda.svc.evil.test",
                                          "example",
                                          "evil.test:x"};
    for (size_t i = 0; i < ARRAY_LENGTH(permitted); i++)
        assert_host(state, permitted[i], "200");
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++)
        assert_host(state, refused[i], "403");
    assert_response(state, "GET /greeting HTTP/1.1\r\nHost: localhost\r\nHost: evil.test\r\n\r\n",
                    "HTTP/1.1 403 ", "");
    assert_response(state, "GET http://evil.test/greeting HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    "HTTP/1.1 403 ", "");
    assert_response(state, "GET /stream HTTP/1.1\r\nHost: evil.test\r\n\r\n", "HTTP/1.1 403 ", "");
    assert_response(state, "GET /greeting HTTP/1.0\r\n\r\n", "HTTP/1.0 200 ", "hello nobody");
}

/* As browsers say where a request is from, and what for. */
static void pages_of_other_sites_request_nothing(void **state)
{
    static const struct {
        const char *site, *destination, *begin;
    } rows[] = {
        {"cross-site", "empty", "HTTP/1.1 403 "},  {"cross-site", "image", "HTTP/1.1 403 "},
        {"cross-site", "iframe", "HTTP/1.1 403 "}, {"cross-site", "document", "HTTP/1.1 200 "},
        {"same-origin", "empty", "HTTP/1.1 200 "}, {"same-site", "empty", "HTTP/1.1 403 "},
        {"same-site", "iframe", "HTTP/1.1 403 "},  {"same-site", "document", "HTTP/1.1 200 "},
        {"none", "document", "HTTP/1.1 200 "},
    };
    static const char *const paths[] = {"/greeting", "/stream"};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        for (size_t path = 0; path < ARRAY_LENGTH(paths); path++) {
            _cleanup_(memory_free) char *request =
                text_format("GET %s HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: %s\r\n"
                            "Sec-Fetch-Dest: %s\r\n\r\n",
                            paths[path], rows[i].site, rows[i].destination);
            int fd = connect_to(*state);
            send_text(fd, request);
            if (!is_answered_with(fd, rows[i].begin))
                fail_msg("not %s: %s", rows[i].begin, request);
            close(fd);
        }
    assert_response(
        state, "GET /greeting HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n",
        "HTTP/1.1 403 ", "requests of pages of other sites are not permitted\n");
    assert_response(state,
                    "POST /logout HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-site\r\n"
                    "Sec-Fetch-Dest: document\r\nContent-Length: 0\r\n\r\n",
                    "HTTP/1.1 403 ", "requests of pages of other sites are not permitted\n");
}

/* ---- the port ---- */

static void it_stops_with_clients_connected(void **state)
{
    struct web *web = *state;
    int silent = connect_to(web);
    int late = connect_to(web);
    send_text(late, GET("/much"));
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody");
    web_stop(web);
    *state = NULL;
    close(silent);
    close(late);
}

static void a_taken_port_is_an_error(void **state)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *listen = text_format("127.0.0.1:%d", web_port(*state));
    struct web *second = NULL;
    const struct web_settings same = {.listen = listen, .pages = pages};
    assert_false(web_start(&same, &second, &error));
    assert_non_null(strstr(error_text(&error), "Address already in use"));
}

static void a_port_without_descriptors_is_refused(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct web *web = NULL;
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    const struct web_settings settings = {.listen = "127.0.0.1:0", .pages = pages};
    int next = dup(STDERR_FILENO);
    close(next);
    const struct rlimit one_more = {(rlim_t)next + 1, before.rlim_max}; /* which is the port's */
    setrlimit(RLIMIT_NOFILE, &one_more);
    assert_false(web_start(&settings, &web, &error));
    setrlimit(RLIMIT_NOFILE, &before);
    assert_non_null(strstr(error_text(&error), "no file descriptor is left"));
    int same = dup(STDERR_FILENO);
    close(same);
    assert_int_equal(same, next);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_page_is_written_by_its_function),
        TEST(a_parameter_may_be_empty_or_lack_a_value),
        TEST(the_segments_below_a_page_are_decoded),
        TEST(a_zero_byte_ends_no_name),
        TEST(the_first_row_that_fits_is_the_page),
        TEST(unknown_paths_are_not_found),
        TEST(a_head_has_the_length_and_no_body),
        TEST(a_head_of_a_stream_is_answered_and_opens_none),
        TEST(each_response_says_of_which_process_it_is),
        TEST(nothing_can_be_changed),
        TEST(every_method_is_refused_as_the_others_are),
        TEST(bytes_that_are_not_http_end_the_connection),
        TEST(endless_headers_are_refused),
        TEST(many_large_cookies_are_permitted),
        TEST(a_large_page_arrives_whole),
        cmocka_unit_test(a_refusal_in_text_replaces_what_a_page_has_written),
        TEST(names_that_others_may_have_are_refused),
        TEST(pages_of_other_sites_request_nothing),
        TEST(it_stops_with_clients_connected),
        TEST(a_taken_port_is_an_error),
        cmocka_unit_test(a_port_without_descriptors_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
