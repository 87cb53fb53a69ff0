#include "serve/transport/status_text.h"

#include "base/text.h"

#include <stdbool.h>

/* What "HTTP2 protocol mapping" of gRPC does not encode; all else takes three bytes. */
static bool is_plain(char byte)
{
    return byte >= ' ' && byte <= '~' && byte != '%';
}

size_t status_text_cut(const char *text)
{
    size_t length = 0;
    for (size_t cost = 0; text[length] != '\0'; length++) {
        cost += is_plain(text[length]) ? 1 : 3;
        if (cost > STATUS_TEXT_BYTES)
            break;
    }
    return text_cut(text, length);
}

size_t status_text_encode(const char *text, char buffer[static STATUS_TEXT_BYTES + 1])
{
    static const char digits[] = "0123456789ABCDEF";
    size_t length = 0;
    size_t cut = status_text_cut(text);
    for (size_t i = 0; i < cut; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (is_plain(text[i])) {
            buffer[length++] = text[i];
            continue;
        }
        buffer[length++] = '%';
        buffer[length++] = digits[byte >> 4];
        buffer[length++] = digits[byte & 15];
    }
    buffer[length] = '\0';
    return length;
}
