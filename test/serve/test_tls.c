/* What the server makes of certificates' files, and of the names in clients' certificates. */
#include "serve/transport/tls.h"

#include "base/memory.h"
#include "base/text.h"
#include "serve/transport/client_names.h"
#include "support/certificate.h"
#include "support/file.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct certificate own;
    struct certificate other;
    char path[96]; /* of a file that a test writes */
};

static int set_up(void **state)
{
    struct fixture *fixture = memory_new(sizeof(*fixture));
    certificate_make(&fixture->own);
    certificate_make(&fixture->other);
    snprintf(fixture->path, sizeof(fixture->path), "%s/file", fixture->own.folder);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    unlink(fixture->path);
    certificate_remove(&fixture->own);
    certificate_remove(&fixture->other);
    free(fixture);
    return 0;
}

static void write_key(const char *path, EVP_PKEY *key, const EVP_CIPHER *cipher)
{
    BIO *bio = BIO_new_file(path, "w");
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, cipher, NULL, 0, NULL, (void *)"secret"),
                     1);
    BIO_free(bio);
}

static void assert_refused(const struct tls_files *files, const char *path, const char *reason)
{
    _cleanup_(error_done) struct error error = {0};
    struct tls *tls = NULL;
    assert_false(tls_load(files, &tls, &error));
    assert_null(tls);
    assert_non_null(strstr(error_text(&error), path));
    assert_non_null(strstr(error_text(&error), reason));
}

static void a_pair_and_an_authority_that_fit_are_taken(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    struct tls *tls = NULL;
    const struct tls_files files = {fixture->own.path, fixture->own.key_path, fixture->other.path};
    assert_true(tls_load(&files, &tls, &error));
    assert_string_equal(tls->certificate, fixture->own.pem);
    assert_string_equal(tls->client_ca, fixture->other.pem);
    tls_free(tls);
}

static void a_key_of_another_certificate_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct tls_files files = {fixture->own.path, fixture->other.key_path, NULL};
    assert_refused(&files, fixture->other.key_path, "is not the private key of");

    EVP_PKEY *rsa = EVP_RSA_gen(2048);
    write_key(fixture->path, rsa, NULL);
    EVP_PKEY_free(rsa);
    const struct tls_files mixed = {fixture->own.path, fixture->path, NULL};
    assert_refused(&mixed, fixture->path, "is not the private key of");
}

static void an_encrypted_key_is_refused_without_a_password_prompt(void **state)
{
    struct fixture *fixture = *state;
    BIO *bio = BIO_new_mem_buf(fixture->own.key_pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    write_key(fixture->path, key, EVP_aes_128_cbc());
    EVP_PKEY_free(key);
    BIO_free(bio);
    const struct tls_files files = {fixture->own.path, fixture->path, NULL};
    assert_refused(&files, fixture->path, "not encrypted");
}

static void broken_certificates_and_chains_are_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct tls_files chain = {fixture->path, fixture->own.key_path, NULL};
    const struct tls_files authority = {fixture->own.path, fixture->own.key_path, fixture->path};
    static const char *const broken[] = {
        "", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++) {
        write_file(fixture->path, broken[i]);
        assert_refused(&chain, fixture->path, "must hold a PEM certificate");
        assert_refused(&authority, fixture->path, "must hold PEM certificates");
    }
    for (size_t i = 2; i < ARRAY_LENGTH(broken); i++) {
        _cleanup_(memory_free) char *behind = text_format("%s%s", fixture->own.pem, broken[i]);
        write_file(fixture->path, behind);
        assert_refused(&chain, fixture->path, "must hold a PEM certificate");
        assert_refused(&authority, fixture->path, "must hold PEM certificates");
    }
}

static void unreadable_and_large_files_are_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct tls_files missing = {"/nowhere", fixture->own.key_path, NULL};
    const struct tls_files endless = {fixture->own.path, "/dev/zero", NULL};
    const struct tls_files folder = {fixture->own.folder, fixture->own.key_path, NULL};
    assert_refused(&missing, "/nowhere", "cannot open");
    assert_refused(&endless, "/dev/zero", "larger than");
    assert_refused(&folder, fixture->own.folder, "cannot read");
}

static struct client_names *peer_of(const char *first, const char *second)
{
    struct client_names *peer = client_names_new();
    if (first != NULL)
        client_names_add(peer, first, strlen(first));
    if (second != NULL)
        client_names_add(peer, second, strlen(second));
    return peer;
}

static void assert_admits(const struct client_rule *rule, const char *first, const char *second,
                          bool expected)
{
    struct client_names *peer = peer_of(first, second);
    _cleanup_(memory_free) char *refusal = client_names_refusal(peer, rule);
    assert_int_equal(refusal == NULL, expected);
    assert_true(expected || first == NULL || strstr(refusal, first) != NULL);
    client_names_free(peer);
}

static void one_name_that_a_pattern_fits_is_enough(void **state)
{
    (void)state;
    static const char *const patterns[] = {"keda-operator", "*.keda.svc", "spiffe://a/ns/keda/*"};
    const struct client_rule rule = {patterns, ARRAY_LENGTH(patterns)};
    assert_admits(&rule, "keda-operator", NULL, true);
    assert_admits(&rule, "other", "operator.keda.svc", true);
    assert_admits(&rule, "spiffe://a/ns/keda/sa/x", NULL, true);
    assert_admits(&rule, "keda-operator.evil", NULL, false);
    assert_admits(&rule, "keda.svc", "x.keda.svc.evil", false);
    assert_admits(&rule, "*", "*.keda.svc.", false);
    assert_admits(&rule, NULL, NULL, false);
}

static void without_patterns_every_client_of_the_authority_is_admitted(void **state)
{
    (void)state;
    const struct client_rule rule = {0};
    assert_admits(&rule, "anybody", NULL, true);
    assert_admits(&rule, NULL, NULL, true);
}

static void names_that_are_no_plain_text_or_too_many_are_passed_over(void **state)
{
    (void)state;
    struct client_names *peer = client_names_new();
    char longest[CLIENT_NAME_BYTES + 1];
    memset(longest, 'x', sizeof(longest));
    client_names_add(peer, "", 0);
    client_names_add(peer, "keda-operator\0.evil", 19);
    client_names_add(peer, "two\nlines", 9);
    client_names_add(peer, "\xff\xfe", 2);
    client_names_add(peer, longest, CLIENT_NAME_BYTES + 1);
    assert_int_equal(peer->count, 0);
    assert_int_equal(peer->given, 5); /* so its common name is not asked */
    for (size_t i = 0; i < CLIENT_NAMES_MAX + 5; i++)
        client_names_add(peer, longest, CLIENT_NAME_BYTES);
    assert_int_equal(peer->count, CLIENT_NAMES_MAX);
    client_names_free(peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pair_and_an_authority_that_fit_are_taken),
        TEST(a_key_of_another_certificate_is_refused),
        TEST(an_encrypted_key_is_refused_without_a_password_prompt),
        TEST(broken_certificates_and_chains_are_refused),
        TEST(unreadable_and_large_files_are_refused),
        cmocka_unit_test(one_name_that_a_pattern_fits_is_enough),
        cmocka_unit_test(without_patterns_every_client_of_the_authority_is_admitted),
        cmocka_unit_test(names_that_are_no_plain_text_or_too_many_are_passed_over),
    };
    return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
