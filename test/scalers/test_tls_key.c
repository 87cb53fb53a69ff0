#include "base/memory.h"
#include "base/text.h"
#include "shared/tls_key.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
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
    _cleanup_(tls_key_wipe) char *pem = new_key(NULL);
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
    _cleanup_(tls_key_wipe) char *pem = new_key("the-word");
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
    _cleanup_(tls_key_wipe) char *pem = new_key("the-word");
    const struct tls_options encrypted = {.key = pem, .key_password = "the-word"};
    _cleanup_(tls_key_wipe) char *plain = tls_key_plain(&encrypted, &error);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_key_needs_no_password),
        cmocka_unit_test(an_encrypted_key_is_read_by_its_password_alone),
        cmocka_unit_test(a_key_without_its_encryption_is_the_same_key),
        cmocka_unit_test(invalid_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
