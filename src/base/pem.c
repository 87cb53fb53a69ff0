#include "base/pem.h"

#include "base/memory.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
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

/* ---- what decrypting costs ---- */

static bool is_few(const ASN1_INTEGER *count)
{
    uint64_t number = 0;
    return ASN1_INTEGER_get_uint64(&number, count) == 1 && number <= PEM_MAX_ITERATIONS;
}

static void *unpacked(const ASN1_ITEM *item, const ASN1_TYPE *parameters)
{
    return parameters == NULL ? NULL : ASN1_TYPE_unpack_sequence(item, parameters);
}

static bool is_cheap_scrypt(const SCRYPT_PARAMS *scrypt)
{
    uint64_t cost = 0, blocks = 0, times = 0;
    return ASN1_INTEGER_get_uint64(&cost, scrypt->costParameter) == 1 &&
           ASN1_INTEGER_get_uint64(&blocks, scrypt->blockSize) == 1 &&
           ASN1_INTEGER_get_uint64(&times, scrypt->parallelizationParameter) == 1 &&
           cost <= PEM_MAX_ITERATIONS && blocks <= PEM_MAX_ITERATIONS &&
           times <= PEM_MAX_ITERATIONS && cost * blocks <= PEM_MAX_ITERATIONS &&
           cost * blocks * times <= PEM_MAX_ITERATIONS;
}

/* What makes a key of a password (RFC 8018, RFC 7914). */
static bool is_cheap_derivation(const X509_ALGOR *derivation)
{
    bool is_cheap = false;
    if (OBJ_obj2nid(derivation->algorithm) == NID_id_scrypt) {
        SCRYPT_PARAMS *scrypt = unpacked(ASN1_ITEM_rptr(SCRYPT_PARAMS), derivation->parameter);
        is_cheap = scrypt != NULL && is_cheap_scrypt(scrypt);
        SCRYPT_PARAMS_free(scrypt);
        return is_cheap;
    }
    PBKDF2PARAM *times = unpacked(ASN1_ITEM_rptr(PBKDF2PARAM), derivation->parameter);
    is_cheap = times != NULL && is_few(times->iter);
    PBKDF2PARAM_free(times);
    return is_cheap;
}

/* PBES2 names its derivation; the older ones, those of PKCS #12 among them, have a count of their own. */
static bool is_cheap_encryption(const X509_ALGOR *encryption)
{
    bool is_cheap = false;
    if (OBJ_obj2nid(encryption->algorithm) == NID_pbes2) {
        PBE2PARAM *parts = unpacked(ASN1_ITEM_rptr(PBE2PARAM), encryption->parameter);
        is_cheap = parts != NULL && is_cheap_derivation(parts->keyfunc);
        PBE2PARAM_free(parts);
        return is_cheap;
    }
    PBEPARAM *times = unpacked(ASN1_ITEM_rptr(PBEPARAM), encryption->parameter);
    is_cheap = times != NULL && is_few(times->iter);
    PBEPARAM_free(times);
    return is_cheap;
}

enum usable { USABLE, COSTLY, BROKEN };

/* Whatever its name is: OpenSSL finds an encrypted key by its form, too. Within an old-style encryption (Proc-Type, one
 * iteration) there could be another. */
static enum usable inspect_block(const char *name, const char *header, const unsigned char *bytes,
                                 long length)
{
    bool is_encrypted = strcmp(name, PEM_STRING_PKCS8) == 0;
    if ((is_encrypted || strcmp(name, PEM_STRING_PKCS8INF) == 0) && header[0] != '\0')
        return BROKEN;
    X509_SIG *encrypted = d2i_X509_SIG(NULL, &bytes, length);
    if (encrypted == NULL)
        return is_encrypted ? BROKEN : USABLE;
    const X509_ALGOR *encryption = NULL;
    X509_SIG_get0(encrypted, &encryption, NULL);
    bool is_cheap = is_cheap_encryption(encryption);
    X509_SIG_free(encrypted);
    return is_cheap ? USABLE : COSTLY;
}

/* All blocks: OpenSSL goes on to the next where one is of no use. */
static enum usable inspect_key(const char *key)
{
    _cleanup_(bio_release) BIO *bio = bio_of(key);
    enum usable found = USABLE;
    char *name = NULL;
    char *header = NULL;
    unsigned char *bytes = NULL;
    long length = 0;
    while (found == USABLE && PEM_read_bio(bio, &name, &header, &bytes, &length) == 1) {
        found = inspect_block(name, header, bytes, length);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(bytes, (size_t)length);
    }
    if (found == USABLE && !is_at_end())
        found = BROKEN;
    ERR_clear_error();
    return found;
}

bool pem_key_is_costly(const char *key)
{
    return inspect_key(key) == COSTLY;
}

EVP_PKEY *pem_key(const char *key, const char *password)
{
    _cleanup_(bio_release) BIO *bio = bio_of(key);
    const char *used = password == NULL ? "" : password;
    if (inspect_key(key) != USABLE)
        return NULL;
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
