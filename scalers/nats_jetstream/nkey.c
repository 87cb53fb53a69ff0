#include "nats_jetstream/nkey.h"

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A seed: two bytes for its type, the key, and a check sum; in base32. A public key has one byte.
 */
enum {
    KEY_BYTES = 32,
    CRC_BYTES = 2,
    SEED_BYTES = 2 + KEY_BYTES + CRC_BYTES,
    SEED_LENGTH = 58,
    PUBLIC_BYTES = 1 + KEY_BYTES + CRC_BYTES,
    SEED_OF_USER_0 = 18 << 3 | 20 >> 2, /* "SU" */
    SEED_OF_USER_1 = (20 << 3 & 31) << 3,
    USER = 20 << 3, /* "U" */
};

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* RFC 4648's base32 without padding; what is left of the last character is dropped. */
static bool base32_decode(const char *text, uint8_t *ret_bytes)
{
    unsigned bits = 0;
    int count = 0;
    for (; *text != '\0'; text++) {
        const char *found = strchr(alphabet, *text);
        if (found == NULL)
            return false;
        bits = bits << 5 | (unsigned)(found - alphabet);
        count += 5;
        if (count >= 8) {
            count -= 8;
            *ret_bytes++ = (uint8_t)(bits >> count);
        }
    }
    return true;
}

static void base32_encode(const uint8_t *bytes, size_t length, char *ret_text)
{
    unsigned bits = 0;
    int count = 0;
    for (size_t i = 0; i < length; i++) {
        bits = bits << 8 | bytes[i];
        for (count += 8; count >= 5; count -= 5)
            *ret_text++ = alphabet[bits >> (count - 5) & 31];
    }
    if (count > 0)
        *ret_text++ = alphabet[bits << (5 - count) & 31];
    *ret_text = '\0';
}

/* CRC-16/XMODEM. */
static uint16_t crc16(const uint8_t *bytes, size_t length)
{
    unsigned crc = 0;
    for (size_t i = 0; i < length; i++) {
        crc ^= (unsigned)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
    }
    return (uint16_t)crc;
}

static bool read_seed(const char *seed, uint8_t ret_raw[SEED_BYTES])
{
    if (strlen(seed) != SEED_LENGTH || !base32_decode(seed, ret_raw))
        return false;
    uint16_t crc = crc16(ret_raw, SEED_BYTES - CRC_BYTES);
    return ret_raw[0] == SEED_OF_USER_0 && ret_raw[1] == SEED_OF_USER_1 &&
           ret_raw[SEED_BYTES - 2] == (crc & 0xff) && ret_raw[SEED_BYTES - 1] == crc >> 8;
}

bool nats_nkey_public(const char *seed, char ret_public[NATS_NKEY_BYTES])
{
    uint8_t raw[SEED_BYTES] = {0};
    uint8_t public[PUBLIC_BYTES] = {USER};
    size_t length = KEY_BYTES;
    EVP_PKEY *key = NULL;
    bool good = read_seed(seed, raw);
    if (good)
        key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, raw + 2, KEY_BYTES);
    good = key != NULL && EVP_PKEY_get_raw_public_key(key, public + 1, &length) == 1;
    EVP_PKEY_free(key);
    if (!good)
        return false;

    uint16_t crc = crc16(public, 1 + KEY_BYTES);
    public[PUBLIC_BYTES - 2] = (uint8_t)crc;
    public[PUBLIC_BYTES - 1] = (uint8_t)(crc >> 8);
    base32_encode(public, PUBLIC_BYTES, ret_public);
    return true;
}
