#include "base/memory.h"
#include "lab/rehearsal_objects.h"
#include "support/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char objects_yaml[] =
    "kind: ScaledObject\n"
    "metadata: {name: jobs, namespace: shop}\n"
    "spec:\n"
    "  scaleTargetRef: {name: jobs}\n"
    "  triggers:\n"
    "    - {type: external, metadata: {scalerAddress: b:1, scaler: redis, address: \"r:1\", "
    "listName: x}}\n"
    "    - {type: external, metadata: {scalerAddress: b:1, scaler: redis, address: \"r:1\", "
    "listName: y, holdWindow: 1m}}\n"
    "    - {type: external, metadata: {scalerAddress: b:1, scaler: redis, address: \"r:1\", "
    "listName: z, holdWindow: soon}}\n";

#define FILE_TEMPLATE "/tmp/objects-XXXXXX"

static void make_objects(char *path, const char *yaml)
{
    close(mkstemp(path));
    write_file(path, yaml);
}

/* The server's time is real, and the HPA's is not. */
static void the_hold_window_is_as_much_shorter_as_the_hpa_is_faster(void **state)
{
    (void)state;
    static const struct {
        double speed;
        const char *windows[3]; /* of the triggers; NULL: it is not sent */
    } table[] = {
        {1, {NULL, "1m", "soon"}},
        {15, {"20000ms", "4000ms", "soon"}},
        {0.5, {"600000ms", "120000ms", "soon"}},
    };
    char path[] = FILE_TEMPLATE;
    make_objects(path, objects_yaml);
    const struct option_list paths = {(const char *[]){path}, 1};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(scaled_objects_done) struct scaled_objects objects = {0};
        if (!rehearsal_objects_load(&paths, NULL, table[i].speed, &objects, &error))
            fail_msg("%s", error_text(&error));
        for (size_t t = 0; t < 3; t++) {
            const char *window =
                scaled_object_metadata(&objects.items[0].triggers[t], "holdWindow");
            if (table[i].windows[t] == NULL)
                assert_null(window);
            else
                assert_string_equal(window, table[i].windows[t]);
        }
    }
    unlink(path);
}

/* Others may have written the file. */
static void only_variables_that_the_user_names_are_sent(void **state)
{
    (void)state;
    static const char yaml[] =
        "kind: ScaledObject\nmetadata: {name: o}\nspec:\n  scaleTargetRef: {name: w}\n  triggers:\n"
        "    - {type: external, metadata: {scalerAddress: \"hostile:1\", scaler: redis, address: "
        "\"r:1\", listName: x, passwordFromEnv: HOME}}\n";
    char path[] = FILE_TEMPLATE;
    make_objects(path, yaml);
    const struct option_list paths = {(const char *[]){path}, 1};
    const struct option_list lists[] = {
        {NULL, 0}, {(const char *[]){"PATH"}, 1}, {(const char *[]){"PATH", "HOME"}, 2}};
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(scaled_objects_done) struct scaled_objects objects = {0};
        bool good = rehearsal_objects_load(&paths, &lists[i], 1, &objects, &error);
        assert_int_equal(good, lists[i].count == 2);
        if (!good)
            assert_non_null(strstr(error_text(&error), "passwordFromEnv: give --env HOME, with"));
    }
    unlink(path);
}

/* Of every key of a trigger: general ones, and the scaler. */
static void variables_of_general_keys_are_sent(void **state)
{
    (void)state;
    static const char yaml[] =
        "kind: ScaledObject\nmetadata: {name: o}\nspec:\n  scaleTargetRef: {name: w}\n  triggers:\n"
        "    - {type: external, metadata: {scalerAddress: \"b:1\", scalerFromEnv: TEST_SCALER, "
        "address: \"r:1\", listName: x, holdWindowFromEnv: TEST_WINDOW}}\n";
    char path[] = FILE_TEMPLATE;
    make_objects(path, yaml);
    setenv("TEST_SCALER", "redis", 1);
    setenv("TEST_WINDOW", "1m", 1);
    const struct option_list paths = {(const char *[]){path}, 1};
    const struct option_list variables = {(const char *[]){"TEST_SCALER", "TEST_WINDOW"}, 2};
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(scaled_objects_done) struct scaled_objects objects = {0};
    if (!rehearsal_objects_load(&paths, &variables, 10, &objects, &error))
        fail_msg("%s", error_text(&error));
    const struct scaled_object_trigger *trigger = &objects.items[0].triggers[0];
    assert_string_equal(scaled_object_metadata(trigger, "scalerFromEnv"), "redis");
    assert_string_equal(scaled_object_metadata(trigger, "holdWindow"), "6000ms");
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hold_window_is_as_much_shorter_as_the_hpa_is_faster),
        cmocka_unit_test(only_variables_that_the_user_names_are_sent),
        cmocka_unit_test(variables_of_general_keys_are_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
