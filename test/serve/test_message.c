#include "base/memory.h"
#include "externalscaler.pb-c.h"
#include "serve/services/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void is_decoded_only_where_it_is_right(void **state)
{
    (void)state;
    /* Tags: 0a name, 12 namespace, 1a scalerMetadata { 0a key, 12 value }. */
    static const struct {
        const char *what;
        const char *bytes;
        size_t length;
        bool good;
    } cases[] = {
        {"nothing", "", 0, true},
        {"a name", "\x0a\x01n", 3, true},
        {"an entry", "\x1a\x06\x0a\x01k\x12\x01v", 8, true},
        {"an unknown field", "\x32\x01x\x0a\x01n", 6, true},
        {"an unknown number", "\x38\x96\x01", 3, true},
        {"an unknown fixed32", "\x3d\1\2\3\4", 5, true},
        {"a name that is not UTF-8", "\x0a\x01\xff", 3, false},
        {"a name with NUL", "\x0a\x01\0", 3, false},
        {"a value that is not UTF-8", "\x1a\x06\x0a\x01k\x12\x01\xc0", 8, false},
        {"a name cut off", "\x0a\x05n", 3, false},
        {"an entry that is longer than its message", "\x1a\x07\x0a\x01k\x12\x01v", 8, false},
        {"a length without end", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11, false},
        {"field number 0", "\x02\x01n", 3, false},
        {"a number where a name belongs", "\x08\x01", 2, false},
        {"a group", "\x0b\x0c", 2, false},
        {"a tag cut off", "\x80", 1, false},
        {"text", "GET / HTTP/1.1", 14, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(arena_done) struct arena arena;
        ProtobufCMessage *message = NULL;
        arena_init(&arena);
        struct bytes bytes = {(const uint8_t *)cases[i].bytes, cases[i].length};
        bool good = message_decode(&arena, &externalscaler__scaled_object_ref__descriptor, bytes,
                                   &message, &error);
        if (good != cases[i].good)
            fail_msg("%s: %s", cases[i].what, error_text(&error));
        if (!good)
            assert_int_equal(error.code, ERROR_INVALID);
    }
}

static void a_message_within_a_message_is_decoded_once(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(arena_done) struct arena arena;
    uint8_t bytes[2] = {0x0a, 0x00};
    ProtobufCMessage *message = NULL;
    arena_init(&arena);
    assert_true(message_decode(&arena, &externalscaler__get_metrics_request__descriptor,
                               (struct bytes){bytes, 2}, &message, &error));
    assert_non_null(((Externalscaler__GetMetricsRequest *)message)->scaledobjectref);

    uint8_t twice[4] = {0x0a, 0x00, 0x0a, 0x00};
    assert_false(message_decode(&arena, &externalscaler__get_metrics_request__descriptor,
                                (struct bytes){twice, 4}, &message, &error));
    assert_string_equal(error_text(&error), "the request has the field scaledObjectRef twice");
}

static void of_two_strings_the_last_counts(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(arena_done) struct arena arena;
    ProtobufCMessage *message = NULL;
    arena_init(&arena);
    assert_true(message_decode(&arena, &externalscaler__scaled_object_ref__descriptor,
                               (struct bytes){(const uint8_t *)"\x0a\x01n\x0a\x02"
                                                               "ab",
                                              7},
                               &message, &error));
    assert_string_equal(((Externalscaler__ScaledObjectRef *)message)->name, "ab");
    assert_string_equal(((Externalscaler__ScaledObjectRef *)message)->namespace_, "");
}

/* More than lie in the first memory, and in the first lists. */
static void all_of_many_entries_are_there_in_their_order(void **state)
{
    (void)state;
    enum { COUNT = 1000, ENTRY_BYTES = 13 };
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(arena_done) struct arena arena;
    static char bytes[COUNT * ENTRY_BYTES + 1];
    ProtobufCMessage *message = NULL;
    arena_init(&arena);
    for (size_t i = 0; i < COUNT; i++)
        sprintf(bytes + ENTRY_BYTES * i, "\x1a\x0b\x0a\x04k%03zu\x12\x03%03zu", i, i);
    assert_true(message_decode(&arena, &externalscaler__scaled_object_ref__descriptor,
                               (struct bytes){(const uint8_t *)bytes, sizeof(bytes) - 1}, &message,
                               &error));
    const Externalscaler__ScaledObjectRef *ref = (const Externalscaler__ScaledObjectRef *)message;
    assert_int_equal(ref->n_scalermetadata, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(atoi(ref->scalermetadata[i]->key + 1), i);
        assert_int_equal(atoi(ref->scalermetadata[i]->value), i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_decoded_only_where_it_is_right),
        cmocka_unit_test(a_message_within_a_message_is_decoded_once),
        cmocka_unit_test(of_two_strings_the_last_counts),
        cmocka_unit_test(all_of_many_entries_are_there_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
