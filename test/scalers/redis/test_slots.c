/* The slots of a Redis Cluster: whose a key is, as the specification and CLUSTER SLOTS have it. */
#include "base/text.h"
#include "redis/cluster/slots.h"
#include "redis/link/server.h"
#include "shared/address.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static redisReply *reply_of(const char *bytes)
{
    void *reply = NULL;
    redisReader *reader = redisReaderCreate();
    assert_int_equal(redisReaderFeed(reader, bytes, strlen(bytes)), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);
    return reply;
}

static struct redis_slot_map *map_of(const char *bytes, struct error *error)
{
    redisReply *reply = reply_of(bytes);
    struct redis_slot_map *map = redis_slot_map_parse(reply, "10.0.0.9", error);
    freeReplyObject(reply);
    return map;
}

/* Values of the specification, and of CLUSTER KEYSLOT. */
static void a_slot_is_that_of_the_hash_tag(void **state)
{
    (void)state;
    assert_int_equal(redis_slot_of("123456789"), 0x31c3);
    assert_int_equal(redis_slot_of("jobs"), 9631);
    assert_int_equal(redis_slot_of(""), 0);
    assert_int_equal(redis_slot_of("{jobs}:1"), 9631);
    assert_int_equal(redis_slot_of("a{jobs}{b}"), 9631);
    assert_int_equal(redis_slot_of("foo{{bar}}zap"), redis_slot_of("{bar"));
    assert_int_equal(redis_slot_of("foo{}{bar}"), 8363);
    assert_int_equal(redis_slot_of("{jobs"), 5350);
    assert_int_equal(redis_slot_of("\xff\xfe"), 3374);
}

#define NODE(host, port) "*3\r\n" host ":" port "\r\n$1\r\nx\r\n"
#define HOST(length, host) "$" length "\r\n" host "\r\n"
#define A NODE(HOST("8", "10.0.0.1"), "7001")
#define B NODE(HOST("8", "10.0.0.2"), "7002")
#define C NODE(HOST("8", "10.0.0.3"), "7003")

static void owners_come_before_replicas(void **state)
{
    (void)state;
    struct error error = {0};
    struct redis_slot_map *map =
        map_of("*2\r\n*4\r\n:0\r\n:99\r\n" A C "*3\r\n:100\r\n:100\r\n" B, &error);
    assert_non_null(map);
    assert_int_equal(map->count, 3);
    assert_string_equal(map->nodes[0].host, "10.0.0.1");
    assert_int_equal(map->nodes[1].port, 7002);
    assert_string_equal(map->nodes[2].host, "10.0.0.3");
    assert_int_equal(map->owners[0], 0);
    assert_int_equal(map->owners[99], 0);
    assert_int_equal(map->owners[100], 1);
    assert_int_equal(map->owners[101], REDIS_NO_NODE);
    assert_int_equal(redis_slot_map_node(map, "10.0.0.3", 7003), 2);
    assert_int_equal(redis_slot_map_node(map, "10.0.0.3", 7004), 3);
    redis_slot_map_free(map);
}

static void a_node_without_an_address_is_the_one_that_replies(void **state)
{
    (void)state;
    static const char *const none[] = {HOST("0", ""), "$-1\r\n"};
    for (size_t i = 0; i < 2; i++) {
        struct error error = {0};
        char *bytes = text_format("*1\r\n*3\r\n:0\r\n:1\r\n*3\r\n%s:7001\r\n$1\r\nx\r\n", none[i]);
        struct redis_slot_map *map = map_of(bytes, &error);
        assert_non_null(map);
        assert_string_equal(map->nodes[map->owners[1]].host, "10.0.0.9");
        redis_slot_map_free(map);
        free(bytes);
    }
}

static void a_range_without_a_usable_master_has_no_owner(void **state)
{
    (void)state;
    static const char *const bad[] = {
        NODE(HOST("1", "?"), "7001"),
        NODE(HOST("3", "a b"), "7001"),
        NODE(HOST("3", "a/b"), "7001"),
        NODE(HOST("3", "u@h"), "7001"),
        NODE(HOST("1", "a"), "0"),
        NODE(HOST("1", "a"), "65536"),
        NODE(HOST("1", "a"), "-1"),
        "*1\r\n$1\r\na\r\n",
        "$1\r\na\r\n",
        "*2\r\n:1\r\n:1\r\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error error = {0};
        char *bytes = text_format("*2\r\n*3\r\n:0\r\n:1\r\n%s*3\r\n:2\r\n:3\r\n" A, bad[i]);
        struct redis_slot_map *map = map_of(bytes, &error);
        assert_non_null(map);
        assert_int_equal(map->count, 1);
        assert_int_equal(map->owners[1], REDIS_NO_NODE);
        assert_int_equal(map->owners[2], 0);
        redis_slot_map_free(map);
        free(bytes);
    }
}

static void what_is_no_list_of_ranges_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "+OK\r\n",
        ":1\r\n",
        "$-1\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*2\r\n:0\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n" A,
        "*1\r\n*3\r\n:-1\r\n:1\r\n" A,
        "*1\r\n*3\r\n:2\r\n:1\r\n" A,
        "*1\r\n*3\r\n$1\r\n0\r\n:1\r\n" A,
        "*2\r\n*3\r\n:0\r\n:16383\r\n" A "*3\r\n:5\r\n:5\r\n" A,
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error error = {0};
        assert_null(map_of(bad[i], &error));
        assert_non_null(strstr(error_text(&error), "unexpected reply to CLUSTER SLOTS"));
        error_done(&error);
    }
}

/* `masters` ranges, each with two replicas. */
static struct redis_slot_map *large_map(int masters, struct error *error)
{
    struct text bytes = {0};
    text_addf(&bytes, "*%d\r\n", masters);
    for (int i = 0; i < masters; i++) {
        text_addf(&bytes, "*5\r\n:%d\r\n:%d\r\n", i, i);
        for (int node = 0; node < 3; node++)
            text_addf(&bytes, "*3\r\n$1\r\na\r\n:%d\r\n$1\r\nx\r\n", 1000 * (node + 1) + i);
    }
    struct redis_slot_map *map = map_of(bytes.bytes, error);
    text_done(&bytes);
    return map;
}

static void of_many_nodes_replicas_are_left_out(void **state)
{
    (void)state;
    struct error error = {0};
    struct redis_slot_map *map = large_map(REDIS_MAX_NODES - 1, &error);
    assert_non_null(map);
    assert_int_equal(map->count, REDIS_MAX_NODES);
    assert_int_equal(map->nodes[map->owners[REDIS_MAX_NODES - 2]].port, 1000 + REDIS_MAX_NODES - 2);
    assert_int_equal(redis_slot_map_node(map, "b", 1), REDIS_NO_NODE);
    redis_slot_map_free(map);
    assert_null(large_map(REDIS_MAX_NODES + 1, &error));
    assert_non_null(strstr(error_text(&error), "more than 256 masters"));
    error_done(&error);
}

static void a_redirection_has_an_address(void **state)
{
    (void)state;
    static const struct {
        const char *words, *host;
        int port;
    } cases[] = {
        {"MOVED 3999 10.0.0.7:6379", "10.0.0.7", 6379},
        {"ASK 3999 redis-1.shop:65535", "redis-1.shop", 65535},
        {"MOVED 1 ::1:6379", "::1", 6379},
        {"MOVED 1 :6380", "10.0.0.9", 6380},
        {"MOVED", NULL, 0},
        {"MOVED 1", NULL, 0},
        {"MOVED 1 a", NULL, 0},
        {"MOVED 1 a:", NULL, 0},
        {"MOVED 1 a:0", NULL, 0},
        {"MOVED 1 a:65536", NULL, 0},
        {"MOVED 1 ?:6379", NULL, 0},
        {"MOVED 1 u@a:1", NULL, 0},
        {"MOVED 1 a b:1", NULL, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *host = NULL;
        int port = 0;
        bool good = redis_redirect_parse(cases[i].words, "10.0.0.9", &host, &port);
        assert_int_equal(good, cases[i].host != NULL);
        if (good)
            assert_string_equal(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
        free(host);
    }
}

static bool is_local(const char *ip)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, ip, &v4.sin_addr) == 1)
        return address_is_local((const struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, ip, &v6.sin6_addr), 1);
    return address_is_local((const struct sockaddr *)&v6);
}

/* Where nodes and Sentinels send nobody, unless they are there themselves. */
static void local_addresses_are_those_of_the_machine_and_its_link(void **state)
{
    static const char *const local[] = {"127.0.0.1",
                                        "127.9.9.9",
                                        "0.0.0.0",
                                        "169.254.169.254",
                                        "::1",
                                        "::",
                                        "fe80::1",
                                        "::ffff:127.0.0.1",
                                        "100.100.100.200",
                                        "fd00:ec2::254",
                                        "168.63.129.16",
                                        "fd20:ce::254",
                                        "64:ff9b::169.254.169.254",
                                        "64:ff9b::7f00:1",
                                        "64:ff9b:1::169.254.169.254",
                                        "2002:a9fe:a9fe::1",
                                        "2002:7f00:1::",
                                        "::127.0.0.1",
                                        "::ffff:168.63.129.16",
                                        "::ffff:0:169.254.169.254",
                                        "febf::1"};
    static const char *const others[] = {"10.0.0.1",          "169.253.0.1",     "192.168.0.1",
                                         "128.0.0.1",         "100.100.100.201", "fd00:ec2::253",
                                         "fd00::1",           "2001:db8::1",     "::ffff:10.0.0.1",
                                         "168.63.129.17",     "fd20:ce::253",    "fd20:ce:1::254",
                                         "64:ff9b::10.0.0.1", "2002:a00:1::1",   "fec0::1"};
    (void)state;
    for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++)
        assert_true(is_local(local[i]));
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        assert_false(is_local(others[i]));
}

static void a_port_ends_where_its_text_does(void **state)
{
    (void)state;
    assert_true(address_is_port("637999", strlen("6379")));
    assert_false(address_is_port("65536", strlen("65536")));
    assert_false(address_is_port("637x", strlen("637x")));
}

/* Who has hung up already may have been at any address. */
static void a_peer_without_an_address_is_none(void **state)
{
    (void)state;
    struct redis_server server;
    struct error error = {0};
    redis_server_init(&server, &(struct redis_login){0}, NULL);
    redis_server_set_address(&server, "redis.shop", 6379);
    int unconnected = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(unconnected >= 0);
    assert_false(redis_server_check_peer(&server, unconnected, &error));
    assert_non_null(strstr(error_text(&error), "cannot connect to Redis at redis.shop:6379"));
    close(unconnected);
    error_done(&error);
    redis_server_done(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slot_is_that_of_the_hash_tag),
        cmocka_unit_test(owners_come_before_replicas),
        cmocka_unit_test(a_node_without_an_address_is_the_one_that_replies),
        cmocka_unit_test(a_range_without_a_usable_master_has_no_owner),
        cmocka_unit_test(what_is_no_list_of_ranges_is_refused),
        cmocka_unit_test(of_many_nodes_replicas_are_left_out),
        cmocka_unit_test(a_redirection_has_an_address),
        cmocka_unit_test(local_addresses_are_those_of_the_machine_and_its_link),
        cmocka_unit_test(a_port_ends_where_its_text_does),
        cmocka_unit_test(a_peer_without_an_address_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
