#include "base/pem.h"

#include "base/memory.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

static BIO *bio_of(const char *pem)
{
    return BIO_new_mem_buf(pem, (int)strlen(pem));
}

static void bio_release(BIO **bio)
{
    BIO_free(*bio);
}

/* With no password at all OpenSSL would prompt for one on the terminal. */
static X509 *next_certificate(BIO *bio)
{
    return PEM_read_bio_X509(bio, NULL, NULL, (void *)"");
}

/* Whether what was read last was none because all have been read, and not because it is broken. */
static bool is_at_end(void)
{
    unsigned long last = ERR_peek_last_error();
    bool at_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return at_end;
}

bool pem_trust(SSL_CTX *context, const char *certificates)
{
    _cleanup_(bio_release) BIO *bio = bio_of(certificates);
    size_t count = 0;
    for (X509 *root; (root = next_certificate(bio)) != NULL; count++) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root);
        X509_free(root);
    }
    return is_at_end() && count > 0;
}

bool pem_show(SSL_CTX *context, const char *certificates)
{
    _cleanup_(bio_release) BIO *bio = bio_of(certificates);
    X509 *own = next_certificate(bio);
    bool good = own != NULL && SSL_CTX_use_certificate(context, own) == 1;
    X509_free(own);
    for (X509 *chain; good && (chain = next_certificate(bio)) != NULL; X509_free(chain))
        good = SSL_CTX_add1_chain_cert(context, chain) == 1;
    return is_at_end() && good;
}

EVP_PKEY *pem_key(const char *key, const char *password)
{
    _cleanup_(bio_release) BIO *bio = bio_of(key);
    const char *used = password == NULL ? "" : password;
    EVP_PKEY *private = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)used);
    ERR_clear_error();
    return private;
}

/* Where certificate and key are of different kinds only the second check finds it. */
bool pem_use_key(SSL_CTX *context, EVP_PKEY *key)
{
    bool good =
        SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
    ERR_clear_error();
    return good;
}
