#include "base/memory.h"
#include "base/text.h"
#include "measure/naming.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const struct scaler scaler = {.name = "redis"};

static struct naming naming;

static int set_up(void **state)
{
    (void)state;
    naming_init(&naming, &scaler, text_copy("redis.shop:6379"));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    naming_done(&naming);
    return 0;
}

static void an_inline_connection_has_scaler_host_and_up_to_three_users(void **state)
{
    (void)state;
    struct query_user users[] = {{NULL, "shop", "mails"},
                                 {NULL, "shop", "orders"},
                                 {NULL, "pay", "bills"},
                                 {NULL, "pay", "refunds"},
                                 {NULL, "pay", "debts"}};
    assert_string_equal(naming.label, "redis at redis.shop:6379");
    naming_add(&naming, &users[0]);
    assert_string_equal(naming.label, "redis at redis.shop:6379 (used by shop/mails)");
    for (size_t i = 1; i < ARRAY_LENGTH(users); i++)
        naming_add(&naming, &users[i]);
    assert_string_equal(
        naming.label,
        "redis at redis.shop:6379 (used by shop/mails, shop/orders, pay/bills and 2 more)");
    naming_remove(&naming, &users[1]);
    assert_string_equal(
        naming.label,
        "redis at redis.shop:6379 (used by shop/mails, pay/bills, pay/refunds and 1 more)");
    struct log_fields fields = naming_fields(&naming, NULL);
    assert_null(fields.connection);
    assert_string_equal(fields.scaler, "redis");
    assert_string_equal(fields.namespace, "shop");
    assert_string_equal(fields.name, "mails");
    assert_null(fields.error);
}

static void a_name_of_the_connections_file_is_all_that_people_need(void **state)
{
    (void)state;
    struct query_user named = {"orders", "shop", "mails"};
    struct query_user other = {"orders", "shop", "bills"};
    naming_add(&naming, &named);
    assert_string_equal(naming.label, "connection \"orders\"");
    assert_string_equal(naming_fields(&naming, NULL).connection, "orders");
    assert_string_equal(naming_fields(&naming, NULL).name, "mails");
    naming_add(&naming, &other);
    assert_null(naming_fields(&naming, NULL).name); /* it is of both */
    naming_remove(&naming, &named);
    naming_remove(&naming, &other);
    assert_string_equal(naming.label, "connection \"orders\""); /* its end is logged, too */
}

static void a_name_goes_before_inline_users_and_the_oldest_name_stays(void **state)
{
    (void)state;
    struct query_user inline_user = {NULL, "shop", "mails"};
    struct query_user orders = {"orders", "shop", "orders"};
    struct query_user bills = {"bills", "shop", "bills"};
    naming_add(&naming, &inline_user);
    naming_add(&naming, &orders);
    naming_add(&naming, &bills);
    assert_string_equal(naming.title, "connection \"orders\"");
    naming_remove(&naming, &orders);
    assert_string_equal(naming.title, "connection \"bills\"");
    naming_remove(&naming, &bills);
    assert_string_equal(naming.label, "redis at redis.shop:6379 (used by shop/mails)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_inline_connection_has_scaler_host_and_up_to_three_users,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_of_the_connections_file_is_all_that_people_need,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_goes_before_inline_users_and_the_oldest_name_stays,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
