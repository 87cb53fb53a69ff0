#include "kafka/login/keytab.h"

#include "base/base64.h"
#include "base/memory.h"
#include "base/text.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_COMPONENTS = 8, /* of a principal: name/instance */
    MAX_NAME = 255,
    MAX_KEY = 64,    /* bytes; the longest that there is has 32 */
    MAX_LISTED = 3,  /* principals, in an error */
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

/* Adds the name to the text. */
static void read_name(struct cursor *cursor, struct text *text)
{
    uint32_t length = read_number(cursor, 2);
    const unsigned char *name = cursor->at;
    skip(cursor, length);
    cursor->has_failed = cursor->has_failed || length > MAX_NAME;
    for (uint32_t i = 0; i < length && !cursor->has_failed; i++)
        cursor->has_failed = name[i] < ' ' || name[i] == 0x7f;
    if (!cursor->has_failed)
        text_add_bytes(text, (const char *)name, length);
}

/* Of a record, whose size was before it. Returns its principal, NAME/INSTANCE@REALM, which the
 * caller frees. */
static char *read_entry(struct cursor *cursor)
{
    _cleanup_(text_done) struct text realm = {0};
    struct text principal = {0};
    uint32_t components = read_number(cursor, 2);
    cursor->has_failed = cursor->has_failed || components < 1 || components > MAX_COMPONENTS;
    read_name(cursor, &realm);
    for (uint32_t i = 0; i < components && !cursor->has_failed; i++) {
        text_addf(&principal, "%s", i == 0 ? "" : "/");
        read_name(cursor, &principal);
    }
    text_addf(&principal, "@%s", realm.bytes == NULL ? "" : realm.bytes);
    skip(cursor, 4 + 4 + 1 + 2); /* type of the name, time, version of the key, encryption type */
    uint32_t key = read_number(cursor, 2);
    cursor->has_failed = cursor->has_failed || key > MAX_KEY;
    skip(cursor, key);
    /* A longer version of the key, which not all have, and Heimdal's flags. */
    ptrdiff_t left = cursor->end - cursor->at;
    cursor->has_failed = cursor->has_failed || (left != 0 && left != 4 && left != 8);
    cursor->at = cursor->end;
    return text_take(&principal);
}

/* Other principals of the keytab, for an error. The keys of one follow each other. */
struct others {
    struct text list;
    size_t count;
    char *last;
};

static void others_done(struct others *others)
{
    text_done(&others->list);
    free(others->last);
}

static void add_other(struct others *others, const char *principal)
{
    if (others->last != NULL && text_equal(others->last, principal))
        return;
    free(others->last);
    others->last = text_copy(principal);
    others->count++;
    if (others->count <= MAX_LISTED)
        text_addf(&others->list, "%s%s", others->count == 1 ? "" : ", ", principal);
    else if (others->count == MAX_LISTED + 1)
        text_addf(&others->list, " and others");
}

/* Moves the keys of the principal to the front, and cuts the others off. Their bytes stay behind
 * the end: kafka_keytab_done() wipes all of them. */
static bool read_keys(struct kafka_keytab *keytab, const char *principal, struct error *error)
{
    _cleanup_(others_done) struct others others = {0};
    struct cursor cursor = {.at = keytab->bytes, .end = keytab->bytes + keytab->size};
    if (read_number(&cursor, 2) != VERSION || cursor.at == cursor.end)
        return error_invalid(error, "%s", wrong);
    unsigned char *end = keytab->bytes + (cursor.at - keytab->bytes);
    const unsigned char *const no_keys = end;
    while (cursor.at < cursor.end && !cursor.has_failed) {
        const unsigned char *record = cursor.at;
        uint32_t size = read_number(&cursor, 4);
        if (size > INT32_MAX)
            return error_invalid(error,
                                 "keytab must have no holes, where keys were removed: write a "
                                 "new one with rkt and wkt of ktutil");
        skip(&cursor, size);
        if (cursor.has_failed || size == 0)
            return error_invalid(error, "%s", wrong);
        struct cursor entry = {.at = cursor.at - size, .end = cursor.at};
        _cleanup_(memory_free) char *found = read_entry(&entry);
        cursor.has_failed = entry.has_failed;
        if (entry.has_failed)
            break;
        if (!text_equal(found, principal)) {
            add_other(&others, found);
            continue;
        }
        memmove(end, record, (size_t)(cursor.at - record));
        end += cursor.at - record;
    }
    if (cursor.has_failed)
        return error_invalid(error, "%s", wrong);
    if (end == no_keys) /* not the principal itself: a variable may have username */
        return error_invalid(error, "keytab has no keys of username and realm, but of %s",
                             others.list.bytes);
    keytab->length = (size_t)(end - keytab->bytes);
    return true;
}

bool kafka_keytab_read(const char *base64, const char *username, const char *realm,
                       struct kafka_keytab *ret_keytab, struct error *error)
{
    _cleanup_(memory_free) char *principal = text_format("%s@%s", username, realm);
    *ret_keytab = (struct kafka_keytab){0};
    ret_keytab->bytes = (unsigned char *)base64_decode(base64, &ret_keytab->size);
    if (ret_keytab->bytes == NULL)
        return error_invalid(error, "%s", wrong);
    return read_keys(ret_keytab, principal, error);
}

void kafka_keytab_done(struct kafka_keytab *keytab)
{
    if (keytab->bytes != NULL)
        OPENSSL_cleanse(keytab->bytes, keytab->size);
    free(keytab->bytes);
    *keytab = (struct kafka_keytab){0};
}
