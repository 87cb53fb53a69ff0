#include "shared/tls_key.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/pem.h"
#include "base/text.h"
#include "measure/scaler.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
    MAX_KEPT = 256,          /* a key takes 2 to 20 KiB */
    MAX_KEPT_OF_TENANT = 64, /* as many as inline connections by default */
    KEPT_MS = 10 * 60 * 1000,
};

static void bio_release(BIO **bio)
{
    BIO_free(*bio);
}

static void key_release(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

/* ---- those that take long ---- */

struct digest {
    unsigned char bytes[EVP_MAX_MD_SIZE];
};

/* By what it was read from, of which nothing is kept. */
struct kept_key {
    struct digest digest;
    EVP_PKEY *key; /* NULL: it cannot be read */
    uint64_t tenant;
    int64_t used_ms;
};

/* A thread that decrypts, or is the next of its tenant to. */
struct turn {
    TAILQ_ENTRY(turn) all;
    uint64_t tenant;
};

TAILQ_HEAD(turns, turn);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_ended = PTHREAD_COND_INITIALIZER;
static struct kept_key kept_keys[MAX_KEPT]; /* the last used last */
static size_t kept_count;
static struct turns turns = TAILQ_HEAD_INITIALIZER(turns); /* the first decrypts */

static struct digest digest_of(const struct tls_options *options)
{
    struct digest digest = {{0}};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
        abort(); /* for want of memory alone, which ends the process (base/memory.h) */
    EVP_DigestUpdate(context, options->key, strlen(options->key) + 1);
    if (options->key_password != NULL)
        EVP_DigestUpdate(context, options->key_password, strlen(options->key_password) + 1);
    EVP_DigestFinal_ex(context, digest.bytes, NULL);
    EVP_MD_CTX_free(context);
    return digest;
}

static void drop(size_t at)
{
    EVP_PKEY_free(kept_keys[at].key);
    kept_count--;
    memmove(&kept_keys[at], &kept_keys[at + 1], (kept_count - at) * sizeof(*kept_keys));
}

/* All with the lock. */
static void drop_unused(int64_t now_ms)
{
    while (kept_count > 0 && now_ms - kept_keys[0].used_ms >= KEPT_MS)
        drop(0);
}

/* kept_count: it is not among them. */
static size_t find_kept(const struct digest *digest)
{
    size_t at = 0;
    while (at < kept_count && memcmp(&kept_keys[at].digest, digest, sizeof(*digest)) != 0)
        at++;
    return at;
}

static void keep(const struct digest *digest, EVP_PKEY *key, uint64_t tenant)
{
    size_t oldest_of_tenant = 0;
    size_t of_tenant = 0;
    for (size_t i = 0; i < kept_count; i++)
        if (kept_keys[i].tenant == tenant && of_tenant++ == 0)
            oldest_of_tenant = i;
    if (of_tenant >= MAX_KEPT_OF_TENANT)
        drop(oldest_of_tenant);
    else if (kept_count >= MAX_KEPT)
        drop(0);
    kept_keys[kept_count++] = (struct kept_key){
        .digest = *digest, .key = key, .tenant = tenant, .used_ms = clock_now_ms()};
}

/* True: it is known, and was used now. */
static bool use_kept(const struct digest *digest, EVP_PKEY **ret_key)
{
    size_t at = find_kept(digest);
    if (at == kept_count)
        return false;
    struct kept_key kept = kept_keys[at];
    kept.used_ms = clock_now_ms();
    memmove(&kept_keys[at], &kept_keys[at + 1], (kept_count - 1 - at) * sizeof(*kept_keys));
    kept_keys[kept_count - 1] = kept;
    if (kept.key != NULL)
        EVP_PKEY_up_ref(kept.key);
    *ret_key = kept.key;
    return true;
}

static bool has_turn(uint64_t tenant)
{
    struct turn *turn;
    TAILQ_FOREACH(turn, &turns, all)
        if (turn->tenant == tenant)
            return true;
    return false;
}

static EVP_PKEY *read_long(const struct tls_options *options)
{
    const struct digest digest = digest_of(options);
    struct turn turn = {.tenant = 0};
    EVP_PKEY *key = NULL;
    pthread_mutex_lock(&lock);
    drop_unused(clock_now_ms());
    while (!use_kept(&digest, &key)) {
        if (has_turn(turn.tenant)) {
            pthread_cond_wait(&turn_ended, &lock);
            continue;
        }
        TAILQ_INSERT_TAIL(&turns, &turn, all);
        while (TAILQ_FIRST(&turns) != &turn)
            pthread_cond_wait(&turn_ended, &lock);
        if (find_kept(&digest) == kept_count) { /* another tenant may have had the same one */
            pthread_mutex_unlock(&lock);
            EVP_PKEY *read = pem_key(options->key, options->key_password);
            pthread_mutex_lock(&lock);
            keep(&digest, read, turn.tenant);
        }
        TAILQ_REMOVE(&turns, &turn, all);
        pthread_cond_broadcast(&turn_ended);
    }
    pthread_mutex_unlock(&lock);
    return key;
}

/* ---- all ---- */

EVP_PKEY *tls_key_read(const struct tls_options *options, struct error *error)
{
    EVP_PKEY *key = pem_key_takes_long(options->key) ? read_long(options)
                                                     : pem_key(options->key, options->key_password);
    if (key != NULL)
        return key;
    if (pem_key_is_costly(options->key)) {
        error_invalid(error, TLS_KEY_IS_COSTLY, PEM_MAX_ITERATIONS);
        return NULL;
    }
    bool encrypted = strstr(options->key, "ENCRYPTED") != NULL;
    if (encrypted && options->key_password == NULL)
        error_invalid(error, "key is encrypted: it needs keyPassword");
    else if (encrypted)
        error_invalid(error, "key cannot be decrypted by keyPassword");
    else
        error_invalid(error,
                      "key must hold a PEM private key of RSA (at most %d bits), EC or Ed25519",
                      PEM_MAX_RSA_BITS);
    return NULL;
}

char *tls_key_plain(const struct tls_options *options, struct error *error)
{
    _cleanup_(key_release) EVP_PKEY *key = tls_key_read(options, error);
    if (key == NULL)
        return NULL;
    _cleanup_(bio_release) BIO *bio = BIO_new(BIO_s_secmem());
    char *bytes = NULL;
    if (PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
        error_set(error, ERROR_INTERNAL, "OpenSSL does not write the key");
        return NULL;
    }
    long length = BIO_get_mem_data(bio, &bytes);
    return text_copy_bytes(bytes, (size_t)length);
}
