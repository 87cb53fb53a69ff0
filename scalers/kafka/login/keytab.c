#include "kafka/login/keytab.h"

#include "base/base64.h"

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
struct reader {
    const unsigned char *at;
    const unsigned char *end;
    bool has_failed;
};

static uint32_t read_number(struct reader *reader, int bytes)
{
    uint32_t number = 0;
    if (reader->end - reader->at < bytes) {
        reader->has_failed = true;
        reader->at = reader->end;
        return 0;
    }
    for (int i = 0; i < bytes; i++)
        number = number << 8 | *reader->at++;
    return number;
}

static void skip(struct reader *reader, uint32_t length)
{
    if (reader->end - reader->at < (ptrdiff_t)length)
        reader->has_failed = true;
    else
        reader->at += length;
}

static void read_name(struct reader *reader)
{
    uint32_t length = read_number(reader, 2);
    const unsigned char *name = reader->at;
    skip(reader, length);
    reader->has_failed = reader->has_failed || length > MAX_NAME;
    for (uint32_t i = 0; i < length && !reader->has_failed; i++)
        reader->has_failed = name[i] < ' ' || name[i] == 0x7f;
}

/* Of a record, whose size was before it. */
static void read_entry(struct reader *reader)
{
    uint32_t components = read_number(reader, 2);
    reader->has_failed = reader->has_failed || components < 1 || components > MAX_COMPONENTS;
    read_name(reader); /* the realm */
    for (uint32_t i = 0; i < components && !reader->has_failed; i++)
        read_name(reader);
    skip(reader, 4 + 4 + 1 + 2); /* type of the name, time, version of the key, encryption type */
    uint32_t key = read_number(reader, 2);
    reader->has_failed = reader->has_failed || key > MAX_KEY;
    skip(reader, key);
    /* A longer version of the key, which not all have, and Heimdal's flags. */
    ptrdiff_t left = reader->end - reader->at;
    reader->has_failed = reader->has_failed || (left != 0 && left != 4 && left != 8);
    reader->at = reader->end;
}

static bool check(const struct kafka_keytab *keytab, struct error *error)
{
    struct reader reader = {.at = keytab->bytes, .end = keytab->bytes + keytab->length};
    if (read_number(&reader, 2) != VERSION || reader.at == reader.end)
        return error_invalid(error, "%s", wrong);
    while (reader.at < reader.end && !reader.has_failed) {
        uint32_t size = read_number(&reader, 4);
        if (size > INT32_MAX)
            return error_invalid(error,
                                 "keytab must have no holes, where keys were removed: write a "
                                 "new one with rkt and wkt of ktutil");
        skip(&reader, size);
        if (reader.has_failed || size == 0)
            return error_invalid(error, "%s", wrong);
        struct reader entry = {.at = reader.at - size, .end = reader.at};
        read_entry(&entry);
        reader.has_failed = entry.has_failed;
    }
    return !reader.has_failed || error_invalid(error, "%s", wrong);
}

bool kafka_keytab_read(const char *base64, struct kafka_keytab *ret_keytab, struct error *error)
{
    *ret_keytab = (struct kafka_keytab){0};
    ret_keytab->bytes = (unsigned char *)base64_decode(base64, &ret_keytab->length);
    if (ret_keytab->bytes == NULL)
        return error_invalid(error, "%s", wrong);
    return check(ret_keytab, error);
}

void kafka_keytab_done(struct kafka_keytab *keytab)
{
    free(keytab->bytes);
    *keytab = (struct kafka_keytab){0};
}
