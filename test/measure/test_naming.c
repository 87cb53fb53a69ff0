#include "base/memory.h"
#include "base/text.h"
#include "measure/naming.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const struct scaler scaler = {.name = "redis"};

static void naming_of(struct naming *naming, const char *connection)
{
    const struct connection_user user = {connection, "shop", "mails"};
    naming_init(naming, &scaler, text_copy("redis.shop:6379"), &user);
}

static void an_inline_connection_has_scaler_host_and_its_first_user(void **state)
{
    (void)state;
    _cleanup_(naming_done) struct naming naming;
    naming_of(&naming, NULL);
    assert_string_equal(naming.title, "redis at redis.shop:6379");
    assert_string_equal(naming.label, "redis at redis.shop:6379 (first used by shop/mails)");
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
    _cleanup_(naming_done) struct naming naming;
    naming_of(&naming, "orders");
    assert_string_equal(naming.label, "connection \"orders\"");
    assert_string_equal(naming_fields(&naming, NULL).connection, "orders");
    assert_null(naming_fields(&naming, NULL).name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_inline_connection_has_scaler_host_and_its_first_user),
        cmocka_unit_test(a_name_of_the_connections_file_is_all_that_people_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
