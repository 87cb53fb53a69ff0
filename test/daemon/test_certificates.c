/* When the files of the gRPC port are read again: the server is this file's. */
#include "daemon/certificates.h"

#include "daemon/retry.h"
#include "support/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECOND_MS = 1000 };

static int reads;

/* What is half written is invalid. */
bool server_reload_tls(struct server *server, const struct tls_files *files, struct error *error)
{
    (void)server;
    (void)files;
    reads++;
    return error_invalid(error, "no certificate");
}

/* For as long as it is written each second. */
static int reads_while_written(struct certificates *certificates, const char *path, int seconds,
                               int64_t *now_ms)
{
    reads = 0;
    for (int i = 0; i < seconds; i++) {
        *now_ms += SECOND_MS;
        write_file(path, *now_ms / SECOND_MS % 2 == 0 ? "half" : "hal"); /* another size */
        certificates_check(certificates, false, NULL, *now_ms);
    }
    return reads;
}

static void files_that_are_being_written_are_not_read_before_they_rest(void **state)
{
    (void)state;
    char folder[] = "/tmp/backlog-certificates-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/tls.crt", folder);
    write_file(path, "whole");
    const struct certificates_flags flags = {.files = {.certificate = path, .key = path}};
    struct certificates *certificates = certificates_begin(&flags);
    int64_t now_ms = SECOND_MS;
    certificates_check(certificates, true, NULL, now_ms); /* fails: it is read again from now on */

    assert_int_equal(reads_while_written(certificates, path, 9, &now_ms), 0);
    assert_int_equal(reads_while_written(certificates, path, 20, &now_ms), 2);
    certificates_check(certificates, false, NULL, now_ms += SECOND_MS); /* at rest */
    assert_int_equal(reads, 3);
    certificates_check(certificates, false, NULL, now_ms += RETRY_MS);
    assert_int_equal(reads, 4);

    certificates_end(certificates);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_that_are_being_written_are_not_read_before_they_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
