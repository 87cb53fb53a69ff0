#include "base/memory.h"
#include "base/pem.h"
#include "base/text.h"
#include "shared/tls_key.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
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

/* A key, or what is taken for one, that is encrypted in this way; what is in it nobody will know.
 */
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
        encrypted_in(scrypt(16384, 8, 1), "ENCRYPTED PRIVATE KEY"), /* openssl's default */
        encrypted_in(scrypt(2048, 8, 2), "ENCRYPTED PRIVATE KEY"),
        encrypted_in(pbkdf2(LARGEST), "PRIVATE KEY"),
        encrypted_in(pbkdf2(LARGEST), "RSA PRIVATE KEY"),
        encrypted_in(pbkdf2(LARGEST), "ANY PRIVATE KEY"),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(pems); i++) {
        assert_refused(
            &(struct tls_options){.key = pems[i], .key_password = "the-word"},
            "key takes too long to decrypt: at most 100000 iterations of PBKDF2 are allowed");
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
        encrypted_in(scrypt(2048, 8, 1), "ENCRYPTED PRIVATE KEY"),
        new_key(NULL),
        new_key("the-word"),
        text_copy("no key at all"),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(pems); i++) {
        assert_false(pem_key_is_costly(pems[i]));
        free(pems[i]);
    }
}

/* ---- kinds and lengths ---- */

/* PKCS #8 with 512 bits. Of 44,000 it takes a minute to read. */
static const char dsa[] =
    "MIHTAgEAMIG0BgcqhkjOOAQBMIGoAkEAjVRxHaZh/Q82iSWLEqN1ihsOJLYnAD4vGB76r3Bw4AKY\n"
    "MeI2eHHQglRxSHHmXqDWXy8dbTn4JXo1QtkrrqcW+QIhAPYPf3TTuuocpt60D94qg/RrmDZqMQ5k\n"
    "G8/KhxsfU+yFAkB0bCDPpnYyRlbpbCD/eoyTqlYdORcrEqbTmfESr9GHJZWBhz9ha8KaoVmggb3q\n"
    "BSsM8UYKoV5NArY1JT41E+mNBBcCFQDILVJ/UQhfAkuCNi6LKuP+nk0P3A==\n";

static char *block(const char *name, const char *body)
{
    return text_format("-----BEGIN %s-----\n%s-----END %s-----\n", name, body, name);
}

static char *text_of(BIO *bio)
{
    char *bytes = NULL;
    long length = BIO_get_mem_data(bio, &bytes);
    char *text = text_copy_bytes(bytes, (size_t)length);
    BIO_free(bio);
    return text;
}

/* In the older form; encrypted where there is a password. */
static char *traditional(EVP_PKEY *key, const char *password)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const EVP_CIPHER *cipher = password == NULL ? NULL : EVP_aes_128_cbc();
    assert_int_equal(PEM_write_bio_PrivateKey_traditional(
                         bio, key, cipher, (const unsigned char *)password,
                         password == NULL ? 0 : (int)strlen(password), NULL, NULL),
                     1);
    return text_of(bio);
}

/* The DSA key behind the older encryption, under the name of another kind. */
static char *dsa_encrypted_as(const char *name)
{
    unsigned char *bytes = NULL;
    char *found = NULL, *header = NULL;
    long length = 0;
    _cleanup_(memory_free) char *plain = block("PRIVATE KEY", dsa);
    BIO *from = BIO_new_mem_buf(plain, -1);
    BIO *to = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_read_bio(from, &found, &header, &bytes, &length), 1);
    const unsigned char *at = bytes;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, length);
    assert_non_null(info);
    assert_true(PEM_ASN1_write_bio((i2d_of_void *)i2d_PKCS8_PRIV_KEY_INFO, name, to, info,
                                   EVP_aes_128_cbc(), (const unsigned char *)"the-word", 8, NULL,
                                   NULL) == 1);
    PKCS8_PRIV_KEY_INFO_free(info);
    OPENSSL_free(found);
    OPENSSL_free(header);
    OPENSSL_free(bytes);
    BIO_free(from);
    return text_of(to);
}

static char *dsa_encrypted(void)
{
    _cleanup_(memory_free) char *plain = block("PRIVATE KEY", dsa);
    BIO *from = BIO_new_mem_buf(plain, -1);
    BIO *to = BIO_new(BIO_s_mem());
    EVP_PKEY *key = PEM_read_bio_PrivateKey(from, NULL, NULL, NULL);
    assert_non_null(key);
    assert_int_equal(
        PEM_write_bio_PKCS8PrivateKey(to, key, EVP_aes_256_cbc(), "the-word", 8, NULL, NULL), 1);
    EVP_PKEY_free(key);
    BIO_free(from);
    return text_of(to);
}

/* OpenSSL limits the length of none, and computes the public part as it reads one. */
static void a_key_of_dsa_is_refused_however_it_is_written(void **state)
{
    (void)state;
    char *pems[] = {
        block("PRIVATE KEY", dsa),
        block("RSA PRIVATE KEY", dsa),
        block("EC PRIVATE KEY", dsa),
        block("ANY PRIVATE KEY", dsa),
        dsa_encrypted(),
        dsa_encrypted_as("RSA PRIVATE KEY"),
        dsa_encrypted_as("EC PRIVATE KEY"),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(pems); i++) {
        assert_null(pem_key(pems[i], "the-word"));
        free(pems[i]);
    }
}

/* Of such lengths; nobody could sign with it. NULL: OpenSSL, from 3.5 on, makes none. */
static char *new_rsa_key(int bits, int exponent_bits, size_t large, int large_bits)
{
    static const char *const names[] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    int lengths[ARRAY_LENGTH(names)] = {bits,     17,       exponent_bits, bits / 2,
                                        bits / 2, bits / 2, bits / 2,      bits / 2};
    if (large > 0)
        lengths[large] = large_bits;
    BIGNUM *numbers[ARRAY_LENGTH(names)];
    OSSL_PARAM_BLD *parameters = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        numbers[i] = BN_new();
        assert_int_equal(BN_rand(numbers[i], lengths[i], BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
        assert_int_equal(OSSL_PARAM_BLD_push_BN(parameters, names[i], numbers[i]), 1);
    }
    OSSL_PARAM *built = OSSL_PARAM_BLD_to_param(parameters);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    bool is_made = EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, built) == 1;
    char *pem = is_made ? traditional(key, NULL) : NULL;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    OSSL_PARAM_free(built);
    OSSL_PARAM_BLD_free(parameters);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
        BN_free(numbers[i]);
    return pem;
}

/* A handshake with one of 30,000 bits takes half a minute, and with such a factor of one of 2,048
 * bits longer. */
static void a_key_of_rsa_has_4096_bits_or_fewer(void **state)
{
    (void)state;
    static const struct {
        int bits, exponent_bits;
        size_t large; /* which of its numbers; 0: none */
        int large_bits;
        bool is_taken;
    } rows[] = {{4096, 4096, 0, 0, true},      {4097, 4097, 0, 0, false},
                {2048, 4097, 0, 0, false},     {2048, 2048, 3, 2048, true},
                {2048, 2048, 3, 2049, false},  {2048, 2048, 4, 30000, false},
                {2048, 2048, 5, 30000, false}, {2048, 2048, 6, 30000, false},
                {2048, 2048, 7, 30000, false}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(memory_free) char *pem =
            new_rsa_key(rows[i].bits, rows[i].exponent_bits, rows[i].large, rows[i].large_bits);
        if (pem == NULL) {
            assert_true(OpenSSL_version_num() >= 0x30500000L);
            continue;
        }
        EVP_PKEY *key = pem_key(pem, NULL);
        assert_true((key != NULL) == rows[i].is_taken);
        EVP_PKEY_free(key);
    }
}

static void keys_in_every_usual_form_are_read(void **state)
{
    (void)state;
    EVP_PKEY *ec = EVP_EC_gen("P-384");
    EVP_PKEY *rsa = EVP_RSA_gen(2048);
    EVP_PKEY *edwards = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, edwards, NULL, NULL, 0, NULL, NULL), 1);
    _cleanup_(memory_free) char *behind = traditional(ec, NULL);
    const struct {
        const EVP_PKEY *key;
        char *pem;
    } rows[] = {
        {ec, traditional(ec, NULL)},
        {ec, traditional(ec, "the-word")},
        {ec, text_format("-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n"
                         "-----END EC PARAMETERS-----\n%s",
                         behind)},
        {rsa, traditional(rsa, NULL)},
        {rsa, traditional(rsa, "the-word")},
        {edwards, text_of(bio)},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        EVP_PKEY *key = pem_key(rows[i].pem, "the-word");
        assert_non_null(key);
        assert_int_equal(EVP_PKEY_eq(key, rows[i].key), 1);
        EVP_PKEY_free(key);
        free(rows[i].pem);
    }
    EVP_PKEY_free(ec);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(edwards);
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
        cmocka_unit_test(a_key_of_dsa_is_refused_however_it_is_written),
        cmocka_unit_test(a_key_of_rsa_has_4096_bits_or_fewer),
        cmocka_unit_test(keys_in_every_usual_form_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
