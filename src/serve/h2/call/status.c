#include "serve/h2/call/status.h"
#include "base/memory.h"

#include <string.h>

nghttp2_nv h2_status_header(enum status status)
{
    static const char *const numbers[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                          "9", "10", "11", "12", "13", "14", "15", "16"};
    const char *number = numbers[status < ARRAY_LENGTH(numbers) ? status : STATUS_UNKNOWN];
    nghttp2_nv header = H2_HEADER("grpc-status", "");
    header.value = (uint8_t *)number;
    header.valuelen = strlen(number);
    return header;
}

nghttp2_nv h2_text_header(const char *encoded)
{
    /* Not indexed: texts differ, and would drive out of HPACK's table what repeats. */
    nghttp2_nv header = H2_HEADER("grpc-message", "");
    header.value = (uint8_t *)encoded;
    header.valuelen = strlen(encoded);
    header.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_INDEX;
    return header;
}
