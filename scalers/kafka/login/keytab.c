#include "kafka/login/keytab.h"

#include "base/base64.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_COMPONENTS = 8, /* of a principal: name/instance */
    MAX_NAME = 255,
    MAX_KEY = 64,    /* bytes; the longest that there is has 32 */
    VERSION = 0x502, /* of the format: its numbers are big-endian */
};

static const char wrong[] = "keytab must be a keytab file in base64";

/* https://web.mit.edu/kerberos/krb5-latest/doc/formats/keytab_file_format.html */
struct cursor {
    const unsigned char *at;
    const unsigned char *end;
    bool has_failed;
};

static uint32_t read_number(struct cursor *cursor, int bytes)
{
    uint32_t number = 0;
    if (cursor->end - cursor->at < bytes) {
        cursor->has_failed = true;
        cursor->at = cursor->end;
        return 0;
    }
    for (int i = 0; i < bytes; i++)
        number = number << 8 | *cursor->at++;
    return number;
}

static void skip(struct cursor *cursor, uint32_t length)
{
    if (cursor->end - cursor->at < (ptrdiff_t)length)
        cursor->has_failed = true;
    else
        cursor->at += length;
}

static void read_name(struct cursor *cursor)
{
    uint32_t length = read_number(cursor, 2);
    const unsigned char *name = cursor->at;
    skip(cursor, length);
    cursor->has_failed = cursor->has_failed || length > MAX_NAME;
    for (uint32_t i = 0; i < length && !cursor->has_failed; i++)
        cursor->has_failed = name[i] < ' ' || name[i] == 0x7f;
}

/* Of a record, whose size was before it. */
static void read_entry(struct cursor *cursor)
{
    uint32_t components = read_number(cursor, 2);
    cursor->has_failed = cursor->has_failed || components < 1 || components > MAX_COMPONENTS;
    read_name(cursor); /* the realm */
    for (uint32_t i = 0; i < components && !cursor->has_failed; i++)
        read_name(cursor);
    skip(cursor, 4 + 4 + 1 + 2); /* type of the name, time, version of the key, encryption type */
    uint32_t key = read_number(cursor, 2);
    cursor->has_failed = cursor->has_failed || key > MAX_KEY;
    skip(cursor, key);
    /* A longer version of the key, which not all have, and Heimdal's flags. */
    ptrdiff_t left = cursor->end - cursor->at;
    cursor->has_failed = cursor->has_failed || (left != 0 && left != 4 && left != 8);
    cursor->at = cursor->end;
}

static bool check_keys(const struct kafka_keytab *keytab, struct error *error)
{
    struct cursor cursor = {.at = keytab->bytes, .end = keytab->bytes + keytab->length};
    if (read_number(&cursor, 2) != VERSION || cursor.at == cursor.end)
        return error_invalid(error, "%s", wrong);
    while (cursor.at < cursor.end && !cursor.has_failed) {
        uint32_t size = read_number(&cursor, 4);
        if (size > INT32_MAX)
            return error_invalid(error,
                                 "keytab must have no holes, where keys were removed: write a "
                                 "new one with rkt and wkt of ktutil");
        skip(&cursor, size);
        if (cursor.has_failed || size == 0)
            return error_invalid(error, "%s", wrong);
        struct cursor entry = {.at = cursor.at - size, .end = cursor.at};
        read_entry(&entry);
        cursor.has_failed = entry.has_failed;
    }
    return !cursor.has_failed || error_invalid(error, "%s", wrong);
}

bool kafka_keytab_read(const char *base64, struct kafka_keytab *ret_keytab, struct error *error)
{
    *ret_keytab = (struct kafka_keytab){0};
    ret_keytab->bytes = (unsigned char *)base64_decode(base64, &ret_keytab->length);
    if (ret_keytab->bytes == NULL)
        return error_invalid(error, "%s", wrong);
    return check_keys(ret_keytab, error);
}

void kafka_keytab_done(struct kafka_keytab *keytab)
{
    if (keytab->bytes != NULL)
        OPENSSL_cleanse(keytab->bytes, keytab->length);
    free(keytab->bytes);
    *keytab = (struct kafka_keytab){0};
}
