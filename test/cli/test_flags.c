#include "base/memory.h"
#include "base/text.h"
#include "cli/flags.h"
#include "cli/serve_flags.h"
#include "cli/subcommands.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

static void a_listen_address_without_a_port_ends_the_program(void **state)
{
    (void)state;
    static const char *const addresses[] = {"localhost", "127.0.0.1", "[::1]",     "::1",
                                            "unix:/x",   "host:",     "host:http", ":: 1"};
    for (size_t i = 0; i < ARRAY_LENGTH(addresses); i++) {
        char name[] = "serve";
        char flag[] = "--listen";
        char *arguments[] = {name, flag, (char *)addresses[i], NULL};
        optind = 1;
        assert_int_equal(serve_main(3, arguments), 1);
    }
}

static void a_flag_that_is_given_twice_is_named(void **state)
{
    (void)state;
    char name[] = "serve";
    char first[] = "--hold=5s";
    char other[] = "--interval=1s";
    char second[] = "--hold=6s";
    char *arguments[] = {name, first, other, second, NULL};
    optind = 1;
    assert_int_equal(serve_main(4, arguments), 2);
}

/* The age of what a call is answered depends on it (scale/answer.h). */
static void an_interval_is_given_only_where_somebody_gives_it(void **state)
{
    (void)state;
    char name[] = "serve";
    char listen[] = "--listen=127.0.0.1:0";
    char interval[] = "--interval=5s"; /* the default, too */
    for (int count = 2; count <= 3; count++) {
        char *arguments[] = {name, listen, count == 3 ? interval : NULL, NULL};
        _cleanup_(error_done) struct error error = {0};
        struct option_values *values = NULL;
        bool helped = false;
        optind = 1;
        assert_true(flags_parse(count, arguments, serve_flags, sizeof(struct serve_flags), "",
                                &values, &helped, &error));
        assert_string_equal(option_text(values, "interval"), "5s");
        assert_int_equal(option_is_given(values, "interval"), count == 3);
        option_values_free(values);
    }
}

/* Where a script's variable is empty, what the flag was to protect must not be open. */
static void an_empty_value_is_refused_by_the_flags_name(void **state)
{
    (void)state;
    for (const struct option *row = serve_flags; row->key != NULL; row++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(memory_free) char *flag = text_format("--%s", row->key);
        char name[] = "serve";
        char empty[] = " ";
        char *arguments[] = {name, flag, empty, NULL};
        struct option_values *values = NULL;
        bool helped = false;
        if (row->type == OPTION_BOOL)
            continue;
        optind = 1;
        assert_false(flags_parse(3, arguments, serve_flags, sizeof(struct serve_flags), "", &values,
                                 &helped, &error));
        assert_non_null(strstr(error_text(&error), flag));
        assert_non_null(strstr(error_text(&error), "is empty"));
    }
}

static void no_core_dump_can_have_secrets_in_it(void **state)
{
    (void)state;
    char name[] = "serve";
    char wrong[] = "--listen=nowhere";
    char *arguments[] = {name, wrong, NULL};
    struct rlimit limit = {1, 1};
    optind = 1;
    assert_int_equal(serve_main(2, arguments), 1);
    assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
    assert_int_equal(limit.rlim_max, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listen_address_without_a_port_ends_the_program),
        cmocka_unit_test(a_flag_that_is_given_twice_is_named),
        cmocka_unit_test(an_interval_is_given_only_where_somebody_gives_it),
        cmocka_unit_test(an_empty_value_is_refused_by_the_flags_name),
        cmocka_unit_test(no_core_dump_can_have_secrets_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
