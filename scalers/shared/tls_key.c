#include "shared/tls_key.h"

#include "base/memory.h"
#include "base/pem.h"
#include "base/text.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

static void bio_release(BIO **bio)
{
    BIO_free(*bio);
}

static void key_release(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

EVP_PKEY *tls_key_read(const struct tls_options *options, struct error *error)
{
    EVP_PKEY *key = pem_key(options->key, options->key_password);
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
