#include "serve/transport/metadata.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct bytes bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static void assert_decodes(const char *encoded, const char *expected)
{
    _cleanup_(text_done) struct text value = {0};
    assert_true(metadata_decode(bytes_of(encoded), &value));
    assert_int_equal(value.length, strlen(expected));
    if (value.length > 0)
        assert_memory_equal(value.bytes, expected, value.length);
}

static void base64_is_read_with_and_without_padding(void **state)
{
    (void)state;
    assert_decodes("", "");
    assert_decodes("Zg==", "f");
    assert_decodes("Zg", "f");
    assert_decodes("Zm8=", "fo");
    assert_decodes("Zm8", "fo");
    assert_decodes("Zm9v", "foo");
    assert_decodes("Zm9vYmFy", "foobar");
}

static void invalid_base64_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"Z",    "Zm9vY", "Zg=",   "Z===",     "====",    "=",
                                        "Zm9-", "Zm 9v", " Zm9v", "Zm9v\r\n", "Zg==Zg=="};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        _cleanup_(text_done) struct text value = {0};
        assert_false(metadata_decode(bytes_of(wrong[i]), &value));
    }
    _cleanup_(text_done) struct text value = {0};
    assert_false(metadata_decode((struct bytes){(const uint8_t *)"Zm\0v", 4}, &value));
}

static void binary_values_of_all_lengths_go_there_and_back(void **state)
{
    (void)state;
    uint8_t all[256];
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)(255 - i);
    for (size_t length = 0; length <= sizeof(all); length++) {
        struct metadata *metadata = NULL;
        _cleanup_(text_done) struct text value = {0};
        assert_true(
            metadata_add(&metadata, METADATA_TRAILING, "x-bin", (struct bytes){all, length}));
        const struct text *encoded = &metadata->pairs[0].encoded;
        assert_null(encoded->bytes == NULL ? NULL : strchr(encoded->bytes, '='));
        assert_true(metadata_decode(
            (struct bytes){(const uint8_t *)encoded->bytes, encoded->length}, &value));
        assert_int_equal(value.length, length);
        assert_true(length == 0 || memcmp(value.bytes, all, length) == 0);
        metadata_free(metadata);
    }
}

static void only_valid_headers_are_taken(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        const char *value;
    } wrong[] = {
        {"", "x"},          {"Upper", "x"},        {":status", "200"}, {"grpc-status", "0"},
        {"with space", ""}, {"key", "line\nfeed"}, {"key", "\xc3\xa4"}};
    struct metadata *metadata = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_false(
            metadata_add(&metadata, METADATA_INITIAL, wrong[i].key, bytes_of(wrong[i].value)));
    assert_null(metadata);
    assert_true(metadata_add(&metadata, METADATA_INITIAL, "x-key_1.a", bytes_of("a value, ~")));
    assert_true(metadata_add(&metadata, METADATA_INITIAL, "x-key_1.a-bin", bytes_of("\xc3\n")));
    metadata_free(metadata);
}

static void a_reply_has_bounded_metadata(void **state)
{
    (void)state;
    struct metadata *metadata = NULL;
    _cleanup_(memory_free) char *large = memory_new(METADATA_REPLY_BYTES + 1);
    memset(large, 'x', METADATA_REPLY_BYTES);
    assert_false(metadata_add(&metadata, METADATA_INITIAL, "key", bytes_of(large)));
    assert_false(metadata_add(&metadata, METADATA_INITIAL, "key-bin",
                              (struct bytes){(const uint8_t *)large, SIZE_MAX - 2}));
    for (size_t i = 0; i < METADATA_MAX_PAIRS; i++)
        assert_true(metadata_add(&metadata, METADATA_INITIAL, "key", bytes_of("x")));
    assert_false(metadata_add(&metadata, METADATA_INITIAL, "key", bytes_of("x")));
    metadata_free(metadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_read_with_and_without_padding),
        cmocka_unit_test(invalid_base64_is_refused),
        cmocka_unit_test(binary_values_of_all_lengths_go_there_and_back),
        cmocka_unit_test(only_valid_headers_are_taken),
        cmocka_unit_test(a_reply_has_bounded_metadata),
    };
    return cmocka_run_group_tests_name("metadata", tests, NULL, NULL);
}
