#include "base/hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { ROUNDS_A_WORD = 1, ROUNDS_AT_END = 3, WORD = sizeof(uint64_t) };

static uint64_t key[2];

static void make_key(void)
{
    if (getrandom(key, sizeof(key), 0) != sizeof(key))
        abort();
}

static uint64_t rotated(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline void mix(uint64_t state[4], int rounds)
{
    for (int i = 0; i < rounds; i++) {
        state[0] += state[1];
        state[2] += state[3];
        state[1] = rotated(state[1], 13) ^ state[0];
        state[3] = rotated(state[3], 16) ^ state[2];
        state[0] = rotated(state[0], 32) + state[3];
        state[2] += state[1];
        state[3] = rotated(state[3], 21) ^ state[0];
        state[1] = rotated(state[1], 17) ^ state[2];
        state[2] = rotated(state[2], 32);
    }
}

static inline void add_word(struct hash *hash, uint64_t word)
{
    hash->state[3] ^= word;
    mix(hash->state, ROUNDS_A_WORD);
    hash->state[0] ^= word;
    hash->words++;
}

void hash_begin(struct hash *hash)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_key);
    *hash = (struct hash){.state = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                                    key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573}};
}

/* The last 8 bytes of a string have a zero byte, and no string has one: so it marks where it ends.
 */
void hash_add(struct hash *hash, const char *string, size_t length)
{
    uint64_t word;
    for (; length >= WORD; string += WORD, length -= WORD) {
        memcpy(&word, string, WORD);
        add_word(hash, word);
    }
    for (word = 0; length > 0; length--)
        word = word << 8 | (uint8_t)string[length - 1];
    add_word(hash, word);
}

uint64_t hash_end(struct hash *hash)
{
    add_word(hash, hash->words * WORD << 56);
    hash->state[2] ^= 0xff;
    mix(hash->state, ROUNDS_AT_END);
    return hash->state[0] ^ hash->state[1] ^ hash->state[2] ^ hash->state[3];
}

uint64_t hash_bytes(const void *bytes, size_t length)
{
    struct hash hash;
    hash_begin(&hash);
    hash_add(&hash, bytes, length);
    return hash_end(&hash);
}

uint64_t hash_text(const char *text)
{
    return hash_bytes(text, strlen(text));
}
