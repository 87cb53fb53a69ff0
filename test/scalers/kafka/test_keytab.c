/* A keytab from a trigger: the Kerberos library is given nothing else. */
#include "kafka/login/keytab.h"

#include "base/memory.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define ENTRY                                                                                      \
    "\0\1\0\013EXAMPLE.ORG\0\1u\0\0\0\1\0\0\0\0\1\0\021\0\020"                                     \
    "0123456789abcdef"                                                                             \
    "\0\0\0\1"

static char *base64_of(const char *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct text text = {0};
    for (size_t i = 0; i < length; i += 3) {
        unsigned group = 0;
        for (size_t j = 0; j < 3; j++)
            group = group << 8 | (i + j < length ? (unsigned char)bytes[i + j] : 0);
        for (unsigned j = 0; j < 4; j++)
            text_addf(&text, "%c", i + j > length ? '=' : digits[group >> (18 - 6 * j) & 63]);
    }
    return text_take(&text);
}

static bool keytab_is_good(const char *bytes, size_t length, const char *words)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(kafka_keytab_done) struct kafka_keytab keytab = {0};
    _cleanup_(memory_free) char *base64 = base64_of(bytes, length);
    bool is_good = kafka_keytab_read(base64, "u", "EXAMPLE.ORG", &keytab, &error);
    if (is_good) {
        assert_int_equal(keytab.length, length);
        assert_memory_equal(keytab.bytes, bytes, length);
    } else if (strstr(error_text(&error), words) == NULL)
        fail_msg("%s", error_text(&error));
    return is_good;
}

static void a_keytab_is_entries_and_nothing_else(void **state)
{
    (void)state;
    static const char good[] = "\5\2\0\0\0\063" ENTRY;
    static const char two[] = "\5\2\0\0\0\063" ENTRY "\0\0\0\063" ENTRY;
    static const char heimdal[] = "\5\2\0\0\0\067" ENTRY "\0\0\0\0";
    static const char hole[] = "\5\2\0\0\0\063" ENTRY "\377\377\377\374....";
    static const char end[] = "\5\2\0\0\0\063" ENTRY "\0\0\0\0[plugins]";
    static const char spare[] = "\5\2\0\0\0\077" ENTRY "\n[plugins]\n.";
    static const char line[] = "\5\2\0\0\0\063\0\1\0\013EXAMPLE\nORG\0\1u\0\0\0\1\0\0\0\0\1\0\021\0"
                               "\0200123456789abcdef\0\0\0\1";
    const char *const wrong = "must be a keytab file";
    assert_true(keytab_is_good(good, sizeof(good) - 1, ""));
    assert_true(keytab_is_good(two, sizeof(two) - 1, ""));
    assert_true(keytab_is_good(heimdal, sizeof(heimdal) - 1, ""));
    assert_false(keytab_is_good(hole, sizeof(hole) - 1, "must have no holes"));
    assert_false(keytab_is_good(end, sizeof(end) - 1, wrong));
    assert_false(keytab_is_good(spare, sizeof(spare) - 1, wrong));
    assert_false(keytab_is_good(line, sizeof(line) - 1, wrong));
    for (size_t length = 1; length < sizeof(good) - 1; length++)
        assert_false(keytab_is_good(good, length, wrong));
    for (size_t extra = 1; extra < 64; extra++) {
        char longer[sizeof(good) - 1 + 64] = {0};
        memcpy(longer, good, sizeof(good) - 1);
        assert_false(keytab_is_good(longer, sizeof(good) - 1 + extra, wrong));
    }
}

#define KEY                                                                                        \
    "\0\0\0\1\0\0\0\0\1\0\021\0\020"                                                               \
    "0123456789abcdef"                                                                             \
    "\0\0\0\1"
#define OTHER(name, realm) "\0\0\0\063\0\1\0\013" realm "\0\1" name KEY
#define MINE "\0\0\0\063" ENTRY
#define SERVICE "\0\0\0\071\0\2\0\013EXAMPLE.ORG\0\1u\0\4host" KEY

/* The Kerberos library takes the first one. */
static void only_the_keys_of_the_principal_are_left(void **state)
{
    (void)state;
    static const char all[] =
        "\5\2" OTHER("v", "EXAMPLE.ORG") MINE OTHER("u", "EXAMPLE.NET") SERVICE MINE;
    static const char mine[] = "\5\2" MINE MINE;
    static const char service[] = "\5\2" SERVICE;
    const struct {
        const char *username;
        const char *realm;
        const char *left;
        size_t length;
    } rows[] = {
        {"u", "EXAMPLE.ORG", mine, sizeof(mine) - 1},
        {"u/host", "EXAMPLE.ORG", service, sizeof(service) - 1},
    };
    _cleanup_(memory_free) char *base64 = base64_of(all, sizeof(all) - 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(kafka_keytab_done) struct kafka_keytab keytab = {0};
        if (!kafka_keytab_read(base64, rows[i].username, rows[i].realm, &keytab, &error))
            fail_msg("%s", error_text(&error));
        assert_int_equal(keytab.length, rows[i].length);
        assert_memory_equal(keytab.bytes, rows[i].left, rows[i].length);
    }
}

static void a_principal_without_keys_is_told_which_there_are(void **state)
{
    (void)state;
    static const char all[] = "\5\2" OTHER("v", "EXAMPLE.ORG") MINE MINE OTHER("u", "EXAMPLE.NET")
        SERVICE OTHER("w", "EXAMPLE.ORG");
    static const char *const principals[][2] = {
        {"sesame", "EXAMPLE.ORG"}, {"u", "example.org"}, {"u@EXAMPLE.ORG", "EXAMPLE.ORG"}};
    _cleanup_(memory_free) char *base64 = base64_of(all, sizeof(all) - 1);
    for (size_t i = 0; i < sizeof(principals) / sizeof(principals[0]); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(kafka_keytab_done) struct kafka_keytab keytab = {0};
        assert_false(
            kafka_keytab_read(base64, principals[i][0], principals[i][1], &keytab, &error));
        assert_string_equal(error_text(&error),
                            "keytab has no keys of username and realm, but of v@EXAMPLE.ORG, "
                            "u@EXAMPLE.ORG, u@EXAMPLE.NET and others");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_keytab_is_entries_and_nothing_else),
        cmocka_unit_test(only_the_keys_of_the_principal_are_left),
        cmocka_unit_test(a_principal_without_keys_is_told_which_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
