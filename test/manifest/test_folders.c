/* Folders of manifests: what is read of them, and what is said of the rest. */
#include "base/memory.h"
#include "base/text.h"
#include "manifest/fixture.h"
#include "support/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { NOBODY = 65534, DEEPER = 40 };

static char root[] = "/tmp/backlog-folders-XXXXXX";

static char *make_folder(const char *parent, const char *name)
{
    char *path = text_format("%s/%s", parent, name);
    assert_int_equal(mkdir(path, 0755), 0);
    return path;
}

static void write_manifest(const char *folder, const char *name)
{
    _cleanup_(memory_free) char *path = text_format("%s/%s", folder, name);
    write_file(path, "kind: ScaledObject\nmetadata: {name: orders}\n");
}

static void assert_said(const struct findings *findings, const char *text)
{
    assert_int_equal(findings->count, 1);
    assert_int_equal(findings->items[0].level, FINDING_ERROR);
    if (strstr(findings->items[0].text, text) == NULL)
        fail_msg("%s", findings->items[0].text);
}

static void manifests_at_any_depth_are_read(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(manifests_done) struct manifests manifests = {0};
    _cleanup_(memory_free) char *folder = make_folder(root, "read");
    _cleanup_(memory_free) char *below = make_folder(folder, "below");
    _cleanup_(memory_free) char *hidden = make_folder(folder, ".git");
    write_manifest(folder, "a.yaml");
    write_manifest(below, "b.json");
    write_manifest(below, "c.txt");
    write_manifest(below, ".d.yaml");
    write_manifest(hidden, "e.yaml");
    manifests_add(&manifests, folder, &findings);
    assert_int_equal(manifests.object_count, 2);
    assert_int_equal(findings.count, 0);
}

static void folders_that_are_too_deep_are_named(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(manifests_done) struct manifests manifests = {0};
    char *folder = make_folder(root, "deep");
    _cleanup_(memory_free) char *top = text_copy(folder);
    for (size_t i = 0; i < DEEPER; i++) {
        char *next = make_folder(folder, "d");
        free(folder);
        folder = next;
    }
    write_manifest(folder, "a.yaml");
    free(folder);
    manifests_add(&manifests, top, &findings);
    assert_int_equal(manifests.object_count, 0);
    assert_said(&findings, "too many folders deep");
}

/* Of a folder with r and without x for this user only the names can be read. */
static void a_folder_whose_files_are_closed_is_named(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(manifests_done) struct manifests manifests = {0};
    _cleanup_(memory_free) char *folder = make_folder(root, "closed");
    write_manifest(folder, "a.yaml");
    assert_int_equal(chmod(folder, 0644), 0);
    bool is_root = geteuid() == 0;
    if (is_root)
        assert_int_equal(seteuid(NOBODY), 0);
    manifests_add(&manifests, folder, &findings);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_said(&findings, "closed/a.yaml: Permission denied");
}

/* A path that is wrong must not look like manifests without mistakes. */
static void a_folder_without_manifests_is_an_error(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(manifests_done) struct manifests manifests = {0};
    _cleanup_(memory_free) char *folder = make_folder(root, "empty");
    write_manifest(folder, "a.txt");
    manifests_add(&manifests, folder, &findings);
    assert_said(&findings, "no *.yaml, *.yml or *.json is in this folder");
}

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) == NULL || chmod(root, 0755) != 0;
}

static int remove_root(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *command = text_format("rm -rf %s", root);
    return system(command); // NOLINT(cert-env33-c): the folder is ours
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifests_at_any_depth_are_read),
        cmocka_unit_test(folders_that_are_too_deep_are_named),
        cmocka_unit_test(a_folder_whose_files_are_closed_is_named),
        cmocka_unit_test(a_folder_without_manifests_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
