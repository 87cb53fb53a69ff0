#include "base/memory.h"
#include "base/text.h"
#include "rabbitmq/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct rabbitmq_url parsed(const struct rabbitmq_connection_options *options)
{
    struct error error = {0};
    struct rabbitmq_url url = {0};
    if (!rabbitmq_url_parse(options, &url, &error))
        fail_msg("%s: %s", options->host, error_text(&error));
    return url;
}

static struct rabbitmq_url parsed_host(const char *host)
{
    return parsed(&(struct rabbitmq_connection_options){.host = host});
}

static void an_amqp_url_is_split_into_its_parts(void **state)
{
    (void)state;
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url url =
        parsed_host("AMQPS://us%65r:p%40ss%2Fw%3Ard@rabbit.prod:1234/a%2Fb?heartbeat=10");
    assert_true(url.has_tls && !url.is_http);
    assert_string_equal(url.host, "rabbit.prod");
    assert_int_equal(url.port, 1234);
    assert_string_equal(url.user, "user");
    assert_string_equal(url.password, "p@ss/w:rd");
    assert_string_equal(url.vhost, "a/b");
}

static void the_management_api_may_stand_behind_a_prefix(void **state)
{
    (void)state;
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url url =
        parsed_host("https://rabbit/some/path/vh");
    assert_true(url.has_tls && url.is_http);
    assert_int_equal(url.port, 443);
    assert_null(url.user);
    assert_string_equal(url.prefix, "/some/path");
    assert_string_equal(url.vhost, "vh");
}

static void an_empty_path_is_the_default_vhost(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "amqp://rabbit",     "amqp://rabbit/",     "amqp://rabbit/%2f",     "amqp://rabbit?a=b",
        "http://rabbit",     "http://rabbit/",     "http://rabbit/%2F",     "http://rabbit/path/",
        "http://rabbit#a/b", "amqp://[::1]:5672/", "http://[fe80::1]/%2f?", "http://rabbit:/",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
        _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = parsed_host(hosts[i]);
        assert_string_equal(url.vhost, "/");
    }
}

/* As getVhostAndPathFromURL() of KEDA's scaler joins them; AMQP's path is the virtual host's name,
 * as amqp091-go takes it. */
static void several_slashes_of_a_prefix_are_one(void **state)
{
    (void)state;
    static const struct {
        const char *host, *prefix, *vhost;
    } rows[] = {
        {"http://rabbit//", "", "/"},           {"http://rabbit//vh", "", "vh"},
        {"http://rabbit///", "", "/"},          {"http://rabbit//path//vh", "/path", "vh"},
        {"http://rabbit/path//", "/path", "/"}, {"http://rabbit/a///b//%2Fvh", "/a/b", "/vh"},
        {"http://rabbit//?a=b", "", "/"},       {"amqp://rabbit:5672//", "", "/"},
        {"amqp://rabbit//vh", "", "/vh"},       {"amqp://rabbit///", "", "//"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = parsed_host(rows[i].host);
        assert_string_equal(url.prefix, rows[i].prefix);
        assert_string_equal(url.vhost, rows[i].vhost);
    }
}

static void an_ipv6_address_loses_its_brackets(void **state)
{
    (void)state;
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = parsed_host("amqp://u:p@[fe80::1]:99/v");
    assert_string_equal(url.host, "fe80::1");
    assert_int_equal(url.port, 99);
}

static void keys_override_what_the_host_says(void **state)
{
    (void)state;
    const struct rabbitmq_connection_options options = {
        .host = "amqp://u:p@rabbit/v", .username = "me", .password = "mine", .vhost_name = "w"};
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = parsed(&options);
    assert_string_equal(url.user, "me");
    assert_string_equal(url.password, "mine");
    assert_string_equal(url.vhost, "w");
}

static void amqp_without_a_user_is_guest(void **state)
{
    (void)state;
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url none = parsed_host("amqp://rabbit");
    assert_string_equal(none.user, "guest");
    assert_string_equal(none.password, "guest");
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url half = parsed_host("amqp://me@rabbit");
    assert_string_equal(half.user, "me");
    assert_string_equal(half.password, "guest");
}

static void a_certificate_identifies_the_user_where_nothing_else_does(void **state)
{
    (void)state;
    const struct rabbitmq_connection_options external = {
        .host = "amqps://rabbit/", .tls = {.enable = 1, .cert = "c", .key = "k"}};
    struct {
        struct rabbitmq_connection_options options;
        bool external;
    } cases[] = {[0 ... 7] = {external, false}};
    cases[0].external = true;
    cases[1].options.host = "amqps://me@rabbit/";
    cases[1].external = true;
    cases[2].options.host = "amqps://me:word@rabbit/";
    cases[3].options.host = "amqp://rabbit/";
    cases[4].options.host = "https://rabbit/";
    cases[5].options.tls.enable = 0;
    cases[6].options.tls.cert = NULL;
    cases[7].options.username = "me";
    cases[7].options.password = "word";
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = parsed(&cases[i].options);
        bool is_external =
            url.mechanisms_count == 1 && url.mechanisms[0] == RABBITMQ_MECHANISM_EXTERNAL;
        if (is_external != cases[i].external)
            fail_msg("case %zu", i);
    }
}

/* As amqp091-go reads them, and KEDA's scaler, which drops the query where it sets other parts. */
static void the_host_may_name_mechanisms(void **state)
{
    (void)state;
    enum { P = RABBITMQ_MECHANISM_PLAIN, A, E };
    static const struct {
        struct rabbitmq_connection_options options;
        size_t count;
        int mechanisms[RABBITMQ_MECHANISMS];
    } rows[] = {
        {{.host = "amqp://rabbit"}, 1, {P}},
        {{.host = "amqp://rabbit?auth_mechanism=EXTERNAL"}, 1, {E}},
        {{.host = "amqps://u:p@rabbit/v?a=b&auth_mechanism=external&heartbeat=5#x"}, 1, {E}},
        {{.host = "amqp://rabbit/?auth_mechanism=plain"}, 1, {P}},
        {{.host = "amqp://rabbit/?auth_mechanism=AmqPlain&auth_mechanism=PLAIN"}, 2, {A, P}},
        {{.host = "amqp://rabbit/?auth_mechanism=external&auth_mechanism=external"}, 1, {E}},
        {{.host = "amqp://rabbit/?xauth_mechanism=external"}, 1, {P}},
        {{.host = "amqp://rabbit/?auth_mechanism=%45xternal"}, 1, {E}},
        {{.host = "amqp://rabbit/?&=&auth%5fmechanism=EXTERNA%4C"}, 1, {E}},
        {{.host = "amqp://rabbit/?auth_mechanism=%zz&auth_mechanism%=external"}, 1, {P}},
        {{.host = "amqp://rabbit/#?auth_mechanism=external"}, 1, {P}},
        {{.host = "amqp://rabbit/?auth_mechanism=external", .vhost_name = "v"}, 1, {P}},
        {{.host = "amqp://rabbit/?auth_mechanism=x", .username = "u", .password = "p"}, 1, {P}},
        {{.host = "amqps://rabbit/?auth_mechanism=plain",
          .tls = {.enable = 1, .cert = "c", .key = "k"}},
         1,
         {E}},
        {{.host = "http://rabbit/?auth_mechanism=x"}, 0, {P}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = parsed(&rows[i].options);
        assert_int_equal(url.mechanisms_count, rows[i].count);
        for (size_t j = 0; j < url.mechanisms_count; j++)
            assert_int_equal(url.mechanisms[j], rows[i].mechanisms[j]);
    }
}

static void a_wrong_url_is_refused_without_showing_it(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "rabbit:5672",
        "amqp:/secret@rabbit",
        "ftp://u:secret@rabbit/",
        "amqp://",
        "amqp://u:secret@",
        "amqp://u:secret@:5672/",
        "amqp://u:secret%zz@rabbit",
        "amqp://u:secret%4",
        "amqp://u:secret%00@rabbit",
        "amqp://u:sec#ret@rabbit/",
        "amqp://u:sec/ret@rabbit/",
        "amqp://u:1234/secret@rabbit/",
        "amqp://u:p@sec/ret@rabbit/",
        "amqp://u:p@sec?ret@rabbit/",
        "http://u:p@sec#ret@rabbit/",
        "amqp://u:secret@rabbit:0/",
        "amqp://u:secret@rabbit:65536/",
        "amqp://u:secret@rabbit:99999999999999999999/",
        "amqp://u:secret@rabbit:56a/",
        "amqp://u:secret@[::1/",
        "amqp://u:secret@[::1]5672/",
        "amqp://u:secret@rabbit/%",
        "amqp://u:secret@rab bit/",
        "amqp://u:secret@rabbit/a\nb",
        "amqp://u:secret@rabbit/?auth_mechanism=secret",
        "amqp://u:secret@rabbit/?auth_mechanism=",
        "amqp://u:secret@rabbit/?auth_mechanism",
        "amqp://u:secret@rabbit/?auth_mechanism=PLAIN=",
        "amqp://u:secret@rabbit/?auth_mechanism=PLAIN&auth_mechanism=SCRAM",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = {0};
        const struct rabbitmq_connection_options options = {.host = hosts[i]};
        if (rabbitmq_url_parse(&options, &url, &error))
            fail_msg("%s was taken", hosts[i]);
        assert_int_equal(error.code, ERROR_INVALID);
        assert_true(text_starts_with(error_text(&error), "host"));
        assert_null(strstr(error_text(&error), "sec"));
        assert_null(url.host);
    }
}

static void names_are_escaped_for_paths_without_plus(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *escaped = rabbitmq_url_escaped("a b/c%d+e?f#g");
    assert_string_equal(escaped, "a%20b%2Fc%25d%2Be%3Ff%23g");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_amqp_url_is_split_into_its_parts),
        cmocka_unit_test(the_management_api_may_stand_behind_a_prefix),
        cmocka_unit_test(an_empty_path_is_the_default_vhost),
        cmocka_unit_test(several_slashes_of_a_prefix_are_one),
        cmocka_unit_test(an_ipv6_address_loses_its_brackets),
        cmocka_unit_test(keys_override_what_the_host_says),
        cmocka_unit_test(amqp_without_a_user_is_guest),
        cmocka_unit_test(a_certificate_identifies_the_user_where_nothing_else_does),
        cmocka_unit_test(the_host_may_name_mechanisms),
        cmocka_unit_test(a_wrong_url_is_refused_without_showing_it),
        cmocka_unit_test(names_are_escaped_for_paths_without_plus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
