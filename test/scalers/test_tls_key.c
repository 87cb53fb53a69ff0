#include "base/memory.h"
#include "base/pem.h"
#include "base/text.h"
#include "shared/tls_key.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A new key as PKCS#8, encrypted where there is a password. */
static char *new_key(const char *password)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    const EVP_CIPHER *cipher = password == NULL ? NULL : EVP_aes_256_cbc();
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, cipher, password,
                                                   password == NULL ? 0 : (int)strlen(password),
                                                   NULL, NULL),
                     1);
    char *bytes = NULL;
    long length = BIO_get_mem_data(bio, &bytes);
    char *pem = text_copy_bytes(bytes, (size_t)length);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return pem;
}

static void assert_refused(const struct tls_options *options, const char *words)
{
    _cleanup_(error_done) struct error error = {0};
    assert_null(tls_key_read(options, &error));
    assert_int_equal(error.code, ERROR_INVALID);
    assert_non_null(strstr(error_text(&error), words));
    assert_null(strstr(error_text(&error), "the-word"));
}

static void a_plain_key_needs_no_password(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *pem = new_key(NULL);
    const struct tls_options options[] = {{.key = pem}, {.key = pem, .key_password = "unused"}};
    for (size_t i = 0; i < ARRAY_LENGTH(options); i++) {
        EVP_PKEY *key = tls_key_read(&options[i], &error);
        assert_non_null(key);
        EVP_PKEY_free(key);
    }
}

static void an_encrypted_key_is_read_by_its_password_alone(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *pem = new_key("the-word");
    EVP_PKEY *key =
        tls_key_read(&(struct tls_options){.key = pem, .key_password = "the-word"}, &error);
    assert_non_null(key);
    EVP_PKEY_free(key);
    assert_refused(&(struct tls_options){.key = pem}, "key is encrypted: it needs keyPassword");
    assert_refused(&(struct tls_options){.key = pem, .key_password = "not-the-word"},
                   "key cannot be decrypted by keyPassword");
}

static void a_key_without_its_encryption_is_the_same_key(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *pem = new_key("the-word");
    const struct tls_options encrypted = {.key = pem, .key_password = "the-word"};
    _cleanup_(memory_free) char *plain = tls_key_plain(&encrypted, &error);
    assert_non_null(plain);
    assert_null(strstr(plain, "ENCRYPTED"));
    EVP_PKEY *left = tls_key_read(&encrypted, &error);
    EVP_PKEY *right = tls_key_read(&(struct tls_options){.key = plain}, &error);
    assert_int_equal(EVP_PKEY_eq(left, right), 1);
    EVP_PKEY_free(left);
    EVP_PKEY_free(right);
}

static void invalid_keys_are_refused(void **state)
{
    (void)state;
    assert_refused(&(struct tls_options){.key = "the-word"}, "key must hold a PEM private key");
}

/* A key, or what is taken for one, that is encrypted in this way; what is in it nobody will know. */
static char *encrypted_in(X509_ALGOR *way, const char *name)
{
    unsigned char content[64] = {0};
    unsigned char *bytes = NULL;
    X509_SIG *key = X509_SIG_new();
    X509_ALGOR *algorithm = NULL;
    ASN1_OCTET_STRING *octets = NULL;
    assert_non_null(way);
    X509_SIG_getm(key, &algorithm, &octets);
    assert_int_equal(X509_ALGOR_copy(algorithm, way), 1);
    assert_int_equal(ASN1_OCTET_STRING_set(octets, content, sizeof(content)), 1);
    int length = i2d_X509_SIG(key, &bytes);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio(bio, name, "", bytes, length) > 0);
    char *text = NULL;
    long text_length = BIO_get_mem_data(bio, &text);
    char *pem = text_copy_bytes(text, (size_t)text_length);
    BIO_free(bio);
    OPENSSL_free(bytes);
    X509_SIG_free(key);
    X509_ALGOR_free(way);
    return pem;
}

static X509_ALGOR *pbkdf2(int iterations)
{
    return PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), iterations, NULL, 16, NULL, NID_hmacWithSHA256);
}

static X509_ALGOR *scrypt(uint64_t cost, uint64_t blocks, uint64_t times)
{
    return PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), NULL, 16, NULL, cost, blocks, times);
}

/* Without the limit this takes hours. */
static void a_key_that_takes_long_to_decrypt_is_refused(void **state)
{
    (void)state;
    enum { LARGEST = 0x7fffffff };
    char *pems[] = {
        encrypted_in(pbkdf2(LARGEST), "ENCRYPTED PRIVATE KEY"),
        encrypted_in(pbkdf2(PEM_MAX_ITERATIONS + 1), "ENCRYPTED PRIVATE KEY"),
        encrypted_in(PKCS5_pbe_set(NID_pbeWithMD5AndDES_CBC, LARGEST, NULL, 8),
                     "ENCRYPTED PRIVATE KEY"),
        encrypted_in(PKCS5_pbe_set(NID_pbe_WithSHA1And3_Key_TripleDES_CBC, LARGEST, NULL, 8),
                     "ENCRYPTED PRIVATE KEY"),
        encrypted_in(scrypt(32768, 1, 32768), "ENCRYPTED PRIVATE KEY"),
        encrypted_in(pbkdf2(LARGEST), "PRIVATE KEY"),
        encrypted_in(pbkdf2(LARGEST), "RSA PRIVATE KEY"),
        encrypted_in(pbkdf2(LARGEST), "ANY PRIVATE KEY"),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(pems); i++) {
        assert_refused(&(struct tls_options){.key = pems[i], .key_password = "the-word"},
                       "key takes too long to decrypt: at most 1000000 iterations are allowed");
        assert_null(pem_key(pems[i], NULL));
        free(pems[i]);
    }
}

/* OpenSSL reads all that is in a text until something is a key. */
static void a_costly_key_behind_something_else_is_found(void **state)
{
    (void)state;
    static const char *const before[] = {
        "-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n",
        "-----BEGIN NOTHING-----\n!\n-----END NOTHING-----\n",
        "words\n",
    };
    _cleanup_(memory_free) char *costly = encrypted_in(pbkdf2(0x7fffffff), "ENCRYPTED PRIVATE KEY");
    for (size_t i = 0; i < ARRAY_LENGTH(before); i++) {
        _cleanup_(memory_free) char *pem = text_format("%s%s", before[i], costly);
        assert_null(pem_key(pem, "the-word"));
    }
}

/* Decrypted by an old-style password first, there could be anything within. */
static void a_key_that_is_encrypted_twice_is_refused(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *costly = encrypted_in(pbkdf2(1000), "ENCRYPTED PRIVATE KEY");
    const char *body = strchr(costly, '\n') + 1;
    _cleanup_(memory_free) char *pem =
        text_format("-----BEGIN ENCRYPTED PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
                    "DEK-Info: AES-128-CBC,00000000000000000000000000000000\n\n%s",
                    body);
    assert_null(pem_key(pem, "the-word"));
}

static void what_tools_write_is_no_costly_key(void **state)
{
    (void)state;
    char *pems[] = {
        encrypted_in(pbkdf2(PEM_MAX_ITERATIONS), "ENCRYPTED PRIVATE KEY"),
        encrypted_in(PKCS5_pbe_set(NID_pbe_WithSHA1And3_Key_TripleDES_CBC, 2048, NULL, 8),
                     "ENCRYPTED PRIVATE KEY"),
        encrypted_in(scrypt(16384, 8, 1), "ENCRYPTED PRIVATE KEY"),
        new_key(NULL),
        new_key("the-word"),
        text_copy("no key at all"),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(pems); i++) {
        assert_false(pem_key_is_costly(pems[i]));
        free(pems[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_key_needs_no_password),
        cmocka_unit_test(an_encrypted_key_is_read_by_its_password_alone),
        cmocka_unit_test(a_key_without_its_encryption_is_the_same_key),
        cmocka_unit_test(invalid_keys_are_refused),
        cmocka_unit_test(a_key_that_takes_long_to_decrypt_is_refused),
        cmocka_unit_test(a_costly_key_behind_something_else_is_found),
        cmocka_unit_test(a_key_that_is_encrypted_twice_is_refused),
        cmocka_unit_test(what_tools_write_is_no_costly_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
