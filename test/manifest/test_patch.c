#include "base/memory.h"
#include "manifest/migration/patch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

/* A patch of the first and the last line, which no LF ends. */
static void the_diff_is_one_that_patch_takes(void **state)
{
    (void)state;
    _cleanup_(text_done) struct text diff = {0};
    _cleanup_(text_done) struct text patched = {0};
    _cleanup_(lines_done) struct lines lines;
    _cleanup_(patch_done) struct patch patch = {0};
    static const char text[] = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12";
    lines_init(&lines, text, strlen(text));
    patch_add(&patch, 0, 0, text_copy("0\n"));
    patch_add(&patch, 11, 1, text_copy("x"));
    patch_diff(&patch, &lines, "f.yaml", &diff);
    assert_string_equal(diff.bytes, "--- a/f.yaml\n+++ b/f.yaml\n"
                                    "@@ -1,3 +1,4 @@\n+0\n 1\n 2\n 3\n"
                                    "@@ -9,4 +10,4 @@\n 9\n 10\n 11\n-12\n"
                                    "\\ No newline at end of file\n+x\n"
                                    "\\ No newline at end of file\n");
    patch_apply(&patch, &lines, &patched);
    assert_string_equal(patched.bytes, "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\nx");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_diff_is_one_that_patch_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
