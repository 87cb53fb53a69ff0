/* Which addresses triggers may name beside a ClusterTriggerAuthentication: only what every client
 * library reads alike. */
#include "config/cluster_authentications.h"

#include "base/memory.h"
#include "config/option_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct cluster_authentications *parse(const char *text)
{
    struct cluster_authentications *list;
    struct error error = {0};
    assert_true(cluster_authentications_parse(text, &list, &error));
    return list;
}

static void refuses(const char *text, const char *words)
{
    struct cluster_authentications *list;
    _cleanup_(error_done) struct error error = {0};
    assert_false(cluster_authentications_parse(text, &list, &error));
    assert_non_null(strstr(error_text(&error), words));
    assert_null(list);
}

static void an_unknown_key_is_named(void **state)
{
    (void)state;
    refuses("{redis: {host: [a]}}", "redis.host is unknown: hosts and namespaces are allowed");
    refuses("{redis: {hosts: a}}", "redis.hosts must be a list of texts");
    refuses("{redis: {hosts: [[a]]}}", "redis.hosts must be a list of texts");
    refuses("{redis: {}}", "redis must have hosts");
    refuses("[redis]", "must be {NAME");
    refuses("{redis: {hosts: [a]}, redis: {hosts: [b]}}", "each NAME once");
}

static void nothing_is_allowed_that_is_not_listed(void **state)
{
    (void)state;
    struct cluster_authentications *list = parse("{redis: {namespaces: [shop, team-*]}}");
    assert_true(cluster_authentications_allow(list, "redis", "team-a"));
    assert_false(cluster_authentications_allow(list, "redis", "other"));
    assert_true(cluster_authentications_allow(list, "unlisted", "other"));
    assert_false(cluster_authentications_allow_address(list, "redis", "a", false));
    assert_false(cluster_authentications_allow_address(list, "unlisted", "a", false));
    assert_false(cluster_authentications_allow_address(NULL, "redis", "a", false));
    cluster_authentications_free(list);
}

static void a_value_of_more_addresses_than_a_list_may_have_is_not_allowed(void **state)
{
    (void)state;
    struct cluster_authentications *list = parse("{redis: {hosts: [a]}}");
    char value[2 * (OPTION_MAX_PIECES + 1)]; /* a,a,...,a */
    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = i % 2 == 0 ? 'a' : ',';
    value[sizeof(value) - 1] = '\0';
    assert_false(cluster_authentications_allow_address(list, "redis", value, false));
    value[sizeof(value) - 3] = '\0';
    assert_true(cluster_authentications_allow_address(list, "redis", value, false));
    cluster_authentications_free(list);
}

static void addresses(void **state)
{
    static const struct {
        const char *value;
        bool has_port, is_allowed;
    } cases[] = {
        {"redis:6379", false, true},
        {"REDIS:6379", false, true},
        {"redis:6380", false, false},
        {"redis", false, false},
        {"redis", true, false},
        {"any", true, true},
        {"any:1", true, false},
        {"any:1", false, true},
        {"any:", false, false},
        {"amqps://any:5671/shop", false, true},
        {"https://a.cache.svc/prometheus", false, true},
        {"a.cache.svc.evil.example", false, false},
        {"redis:6379, any", false, true},
        {"redis:6379,evil", false, false},
        {"any,,any", false, false},
        {"", false, false},
        {"amqp://any@evil/", false, false},
        {"amqp://any:1@evil/", false, false},
        {"http://evil/@any", false, false},
        {"http://any\\@evil", false, false},
        {"http://any#@evil", false, false},
        {"http://any?@evil", false, false},
        {"http://any/x@evil", false, false},
        {"http://evil/any", false, false},
        {"any evil", false, false},
        {"any%2eevil", false, false},
        {"unix:///any", false, false},
        {"/any", false, false},
        {"[::1", false, false},
        {"[fd00::1]:6379", false, true},
        {"[FD00::1]:6379", false, true},
        {"[fd00::1]:6380", false, false},
        {"f:6379", false, false},
        {"[fd01::7]", false, true},
        {"http://[fd01::7]:9090/", false, true},
        {"[fd02::7]", false, false},
        {"cache1", false, true},
        {"cache3", false, false},
        {"://any", false, false},
        {"redis+tls://any", false, true},
        {"evil/x://any", false, false},
        {"evil@x://any", false, false},
    };
    struct cluster_authentications *list =
        parse("{\"redis\": {\"hosts\": [\"redis:6379\", \"any\", \"*.cache.svc\", "
              "\"[fd00::1]:6379\", \"[fd01::*]\", \"cache[12]\"]}}");
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        if (cluster_authentications_allow_address(list, "redis", cases[i].value,
                                                  cases[i].has_port) != cases[i].is_allowed)
            fail_msg("%s", cases[i].value);
    cluster_authentications_free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_key_is_named),
        cmocka_unit_test(nothing_is_allowed_that_is_not_listed),
        cmocka_unit_test(a_value_of_more_addresses_than_a_list_may_have_is_not_allowed),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
