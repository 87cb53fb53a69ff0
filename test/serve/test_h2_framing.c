/* gRPC's bytes: prefixes, compression, time-outs, texts. Without a connection. */
#include "base/memory.h"
#include "serve/h2/call/framing.h"
#include "serve/transport/status_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

enum { LIMIT = 1000 };

static struct bytes bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static void a_message_is_taken_once_it_is_whole_wherever_it_was_split(void **state)
{
    (void)state;
    static const uint8_t two[] = "\0\0\0\0\3abc\1\0\0\0\2de";
    const size_t first = FRAMING_PREFIX_BYTES + 3;
    for (size_t length = 0; length < first; length++) {
        struct framing_message message;
        struct bytes input = {two, length};
        assert_int_equal(framing_take(&input, LIMIT, &message), FRAMING_MORE);
        assert_ptr_equal(input.data, two);
        assert_int_equal(input.length, length);
    }

    struct bytes input = {two, sizeof(two) - 1};
    struct framing_message message;
    assert_int_equal(framing_take(&input, LIMIT, &message), FRAMING_MESSAGE);
    assert_true(framing_equal(message.bytes, "abc"));
    assert_false(message.compressed);
    assert_int_equal(framing_take(&input, LIMIT, &message), FRAMING_MESSAGE);
    assert_true(framing_equal(message.bytes, "de"));
    assert_true(message.compressed);
    assert_int_equal(framing_take(&input, LIMIT, &message), FRAMING_MORE);
    assert_int_equal(input.length, 0);
}

static void an_empty_message_is_one(void **state)
{
    (void)state;
    struct bytes input = {(const uint8_t *)"\0\0\0\0\0", FRAMING_PREFIX_BYTES};
    struct framing_message message;
    assert_int_equal(framing_take(&input, LIMIT, &message), FRAMING_MESSAGE);
    assert_int_equal(message.bytes.length, 0);
}

static void a_prefix_beyond_the_limit_is_refused_before_anything_follows(void **state)
{
    (void)state;
    struct framing_message message;
    uint8_t prefix[FRAMING_PREFIX_BYTES];
    framing_put_prefix(prefix, LIMIT);
    struct bytes input = {prefix, sizeof(prefix)};
    assert_int_equal(framing_take(&input, LIMIT, &message), FRAMING_MORE);
    framing_put_prefix(prefix, LIMIT + 1);
    assert_int_equal(framing_take(&input, LIMIT, &message), FRAMING_TOO_LARGE);
    assert_int_equal(message.length, LIMIT + 1);
    framing_put_prefix(prefix, UINT32_MAX);
    assert_int_equal(framing_take(&input, LIMIT, &message), FRAMING_TOO_LARGE);
}

static void a_flag_that_is_neither_is_refused_at_its_first_byte(void **state)
{
    (void)state;
    struct framing_message message;
    for (unsigned flag = 2; flag < 256; flag++) {
        uint8_t byte = (uint8_t)flag;
        struct bytes input = {&byte, 1};
        assert_int_equal(framing_take(&input, LIMIT, &message), FRAMING_BAD_FLAG);
    }
}

enum { GZIP = MAX_WBITS + 16, ZLIB = MAX_WBITS };

/* The caller frees the bytes. */
static struct bytes compressed(const void *data, size_t length, int window_bits)
{
    z_stream stream = {.next_in = (Bytef *)data, .avail_in = (uInt)length};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, 0), Z_OK);
    size_t capacity = deflateBound(&stream, length);
    uint8_t *buffer = memory_new(capacity);
    stream.next_out = buffer;
    stream.avail_out = (uInt)capacity;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    struct bytes result = {buffer, stream.total_out};
    deflateEnd(&stream);
    return result;
}

static enum framing_inflated inflate_free(struct bytes input, size_t *ret_length)
{
    uint8_t *buffer = NULL;
    enum framing_inflated result = framing_inflate(input, LIMIT, &buffer, ret_length);
    assert_true((result == FRAMING_INFLATED) == (buffer != NULL));
    free(buffer);
    return result;
}

static void gzip_and_zlib_are_inflated_up_to_the_limit_and_no_further(void **state)
{
    (void)state;
    static const char zeros[LIMIT + 1];
    const int formats[] = {GZIP, ZLIB};
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        for (size_t length = 0; length < LIMIT; length += length < 3 ? 1 : LIMIT / 7) {
            size_t inflated = 0;
            struct bytes input = compressed(zeros, length, formats[i]);
            assert_int_equal(inflate_free(input, &inflated), FRAMING_INFLATED);
            assert_int_equal(inflated, length);
            free((void *)input.data);
        }
        for (size_t length = LIMIT; length <= LIMIT + 1; length++) {
            size_t inflated = 0;
            struct bytes input = compressed(zeros, length, formats[i]);
            assert_int_equal(inflate_free(input, &inflated),
                             length == LIMIT ? FRAMING_INFLATED : FRAMING_GROWS_TOO_LARGE);
            free((void *)input.data);
        }
    }
}

static void a_bomb_is_given_up_at_the_limit(void **state)
{
    (void)state;
    enum { BOMB = 64 << 20 };
    size_t length = 0;
    _cleanup_(memory_free) uint8_t *zeros = memory_new(BOMB);
    struct bytes input = compressed(zeros, BOMB, GZIP);
    assert_true(input.length < 128 << 10);
    assert_int_equal(inflate_free(input, &length), FRAMING_GROWS_TOO_LARGE);
    free((void *)input.data);
}

static void an_invalid_compressed_message_is_refused(void **state)
{
    (void)state;
    size_t length = 0;
    struct bytes whole = compressed("hello, hello", 12, GZIP);
    for (size_t cut = 0; cut < whole.length; cut++)
        assert_int_equal(inflate_free((struct bytes){whole.data, cut}, &length), FRAMING_NOT_ZLIB);
    assert_int_equal(inflate_free(bytes_of("hello, hello"), &length), FRAMING_NOT_ZLIB);

    _cleanup_(memory_free) uint8_t *longer = memory_new(whole.length + 1);
    memcpy(longer, whole.data, whole.length);
    assert_int_equal(inflate_free((struct bytes){longer, whole.length + 1}, &length),
                     FRAMING_NOT_ZLIB);
    free((void *)whole.data);
}

static void assert_timeout(const char *text, int64_t expected_ms)
{
    int64_t timeout_ms = -1;
    assert_true(framing_timeout(bytes_of(text), &timeout_ms));
    assert_int_equal(timeout_ms, expected_ms);
}

static void timeouts_are_read_in_every_unit_and_rounded_up(void **state)
{
    (void)state;
    assert_timeout("0S", 0);
    assert_timeout("100m", 100);
    assert_timeout("2S", 2000);
    assert_timeout("3M", 180000);
    assert_timeout("1H", 3600000);
    assert_timeout("1n", 1);
    assert_timeout("1000001u", 1001);
    assert_timeout("99999999n", 100);
    assert_timeout("99999999H", 99999999 * 3600000LL);

    const char *const wrong[] = {"",    "S",   "1",   "1s",         "1 S", "-1S",
                                 "1.S", "1SS", "+1S", "100000000m", "0x1S"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        int64_t timeout_ms = 0;
        assert_false(framing_timeout(bytes_of(wrong[i]), &timeout_ms));
    }
}

static void grpcs_content_types_and_encodings_are_known(void **state)
{
    (void)state;
    assert_true(framing_is_grpc(bytes_of("application/grpc")));
    assert_true(framing_is_grpc(bytes_of("application/grpc+proto")));
    assert_true(framing_is_grpc(bytes_of("application/grpc;charset=utf-8")));
    assert_false(framing_is_grpc(bytes_of("application/grpc-web")));
    assert_false(framing_is_grpc(bytes_of("application/json")));
    assert_false(framing_is_grpc(bytes_of("")));
    assert_int_equal(framing_encoding(bytes_of("identity")), ENCODING_IDENTITY);
    assert_int_equal(framing_encoding(bytes_of("gzip")), ENCODING_ZLIB);
    assert_int_equal(framing_encoding(bytes_of("deflate")), ENCODING_ZLIB);
    assert_int_equal(framing_encoding(bytes_of("snappy")), ENCODING_UNKNOWN);
    assert_int_equal(framing_encoding(bytes_of("")), ENCODING_UNKNOWN);
}

static void assert_encoded(const char *text, const char *expected)
{
    char buffer[STATUS_TEXT_BYTES + 1];
    assert_int_equal(status_text_encode(text, buffer), strlen(expected));
    assert_string_equal(buffer, expected);
}

static void texts_are_percent_encoded_and_cut_between_characters(void **state)
{
    (void)state;
    assert_encoded("", "");
    assert_encoded("plain ~ text", "plain ~ text");
    assert_encoded("100%\n\t\x7f", "100%25%0A%09%7F");
    assert_encoded("\xe2\x98\x83", "%E2%98%83");

    char text[2 * STATUS_TEXT_BYTES] = "";
    char buffer[STATUS_TEXT_BYTES + 1];
    for (size_t at = 0; at + 4 < sizeof(text); at += 3)
        memcpy(text + at, "\xe2\x98\x83", 4);
    size_t length = status_text_encode(text, buffer);
    assert_int_equal(length, STATUS_TEXT_BYTES / 9 * 9);
    assert_string_equal(buffer + length - 9, "%E2%98%83");

    memset(text, 'x', sizeof(text) - 1);
    assert_int_equal(status_text_encode(text, buffer), STATUS_TEXT_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_taken_once_it_is_whole_wherever_it_was_split),
        cmocka_unit_test(an_empty_message_is_one),
        cmocka_unit_test(a_prefix_beyond_the_limit_is_refused_before_anything_follows),
        cmocka_unit_test(a_flag_that_is_neither_is_refused_at_its_first_byte),
        cmocka_unit_test(gzip_and_zlib_are_inflated_up_to_the_limit_and_no_further),
        cmocka_unit_test(a_bomb_is_given_up_at_the_limit),
        cmocka_unit_test(an_invalid_compressed_message_is_refused),
        cmocka_unit_test(timeouts_are_read_in_every_unit_and_rounded_up),
        cmocka_unit_test(grpcs_content_types_and_encodings_are_known),
        cmocka_unit_test(texts_are_percent_encoded_and_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
