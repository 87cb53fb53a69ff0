#include "client/grpc_status.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdint.h>

enum { MAX_STATUS_TEXT = 8 << 10 };

int grpc_status_of_http(const char *http_status)
{
    static const struct {
        const char *http;
        int status;
    } table[] = {{"400", 13}, {"401", 16}, {"403", 7},  {"404", 12},
                 {"429", 14}, {"502", 14}, {"503", 14}, {"504", 14}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        if (text_equal(table[i].http, http_status))
            return table[i].status;
    return GRPC_CLIENT_UNKNOWN;
}

char *grpc_status_decode_text(const char *value, size_t length)
{
    struct text text = {0};
    for (size_t i = 0; i < length && text.length < MAX_STATUS_TEXT; i++) {
        int encoded = text_percent_byte(value + i, length - i);
        uint8_t byte = (uint8_t)(encoded < 0 ? value[i] : encoded);
        text_add_bytes(&text, &byte, 1);
        i += encoded < 0 ? 0 : 2;
    }
    char *decoded = text_take(&text);
    text_make_utf8(decoded);
    return decoded;
}
