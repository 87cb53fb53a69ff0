#include "base/base64.h"

#include "base/memory.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

char *base64_decode(const char *text, size_t *ret_length)
{
    size_t length = 0;
    size_t padding = 0;
    unsigned char *plain = memory_new(strlen(text) + 1);
    unsigned char *bytes = memory_new(strlen(text) + 1);
    for (; *text != '\0'; text++)
        if (strchr(" \t\r\n", *text) == NULL)
            plain[length++] = (unsigned char)*text;
    while (padding < length && padding < 2 && plain[length - 1 - padding] == '=')
        padding++;
    int decoded = EVP_DecodeBlock(bytes, plain, (int)length);
    free(plain);
    if (decoded < 0 || (length > 0 && decoded == 0)) {
        free(bytes);
        return NULL;
    }
    *ret_length = (size_t)decoded - (length == 0 ? 0 : padding);
    bytes[*ret_length] = '\0';
    return (char *)bytes;
}
