#include "base/error.h"
#include "base/memory.h"
#include "base/pem.h"
#include "base/text.h"
#include "shared/tls.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/param.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

/* Nobody looks whether it is a prime. */
static EVP_PKEY *new_group(int bits)
{
    EVP_PKEY *group = NULL;
    BIGNUM *prime = BN_new();
    BIGNUM *generator = BN_new();
    OSSL_PARAM_BLD *parameters = OSSL_PARAM_BLD_new();
    assert_int_equal(BN_rand(prime, bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
    assert_int_equal(BN_set_word(generator, 2), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(parameters, OSSL_PKEY_PARAM_FFC_P, prime), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(parameters, OSSL_PKEY_PARAM_FFC_G, generator), 1);
    OSSL_PARAM *built = OSSL_PARAM_BLD_to_param(parameters);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &group, EVP_PKEY_KEY_PARAMETERS, built), 1);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(built);
    OSSL_PARAM_BLD_free(parameters);
    BN_free(generator);
    BN_free(prime);
    return group;
}

/* It signs itself: the client does not look. */
static X509 *new_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

static SSL_CTX *new_server(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_RSA_gen(2048);
    X509 *certificate = new_certificate(key);
    assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

static SSL_CTX *new_server_with_group(int bits)
{
    SSL_CTX *context = new_server();
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    assert_int_equal(SSL_CTX_set_cipher_list(context, "kDHE"), 1);
    assert_int_equal(SSL_CTX_set0_tmp_dh_pkey(context, new_group(bits)), 1);
    return context;
}

static SSL_CTX *new_client(void)
{
    _cleanup_(error_done) struct error error = {0};
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    for (int i = 0; i < 2; i++) /* as for a context that is used again */
        assert_true(tls_configure(context, &(struct tls_options){.unsafe = true}, &error));
    return context;
}

static void new_pair(SSL_CTX *server_context, SSL_CTX *client_context, SSL **ret_server,
                     SSL **ret_client)
{
    BIO *ends[2];
    assert_int_equal(BIO_new_bio_pair(&ends[0], 1 << 16, &ends[1], 1 << 16), 1);
    *ret_server = SSL_new(server_context);
    *ret_client = SSL_new(client_context);
    SSL_set_bio(*ret_server, ends[0], ends[0]);
    SSL_set_bio(*ret_client, ends[1], ends[1]);
}

/* Both in turn, until one of them is done or has failed. */
static bool handshake_succeeds(SSL_CTX *server_context, SSL_CTX *client_context)
{
    SSL *server;
    SSL *client;
    new_pair(server_context, client_context, &server, &client);
    int reason = SSL_ERROR_WANT_READ;
    while (reason == SSL_ERROR_WANT_READ && !SSL_is_init_finished(client)) {
        reason = SSL_get_error(client, SSL_connect(client));
        SSL_accept(server);
        ERR_clear_error();
    }
    bool is_good = SSL_is_init_finished(client);
    SSL_free(server);
    SSL_free(client);
    return is_good;
}

/* One of 10,000 bits takes a second for each connection. */
static void a_server_may_choose_groups_of_4096_bits_and_no_larger(void **state)
{
    (void)state;
    static const struct {
        int bits;
        bool is_taken;
    } rows[] = {{2048, true}, {4096, true}, {4097, false}, {9000, false}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        SSL_CTX *server = new_server_with_group(rows[i].bits);
        SSL_CTX *client = new_client();
        assert_int_equal(handshake_succeeds(server, client), rows[i].is_taken);
        SSL_CTX_free(client);
        SSL_CTX_free(server);
    }
}

/* Server and client in turn, until the server is done, or the client is not waiting any more. What
 * SSL_get_error() says of it at last. */
static int read_tickets(SSL *server, SSL *client, int *ret_reads)
{
    char byte;
    int reason = SSL_ERROR_WANT_READ;
    for (*ret_reads = 0; reason == SSL_ERROR_WANT_READ; ++*ret_reads) {
        bool is_done = SSL_accept(server) == 1;
        size_t pending = BIO_ctrl_pending(SSL_get_rbio(client));
        if (is_done && pending == 0)
            break;
        reason = SSL_get_error(client, SSL_read(client, &byte, 1));
        ERR_clear_error();
    }
    return reason;
}

/* Tickets cost the client more than the server. */
static void a_server_that_sends_tickets_without_end_is_left(void **state)
{
    (void)state;
    static const struct {
        size_t tickets;
        int reason;
    } rows[] = {
        {2, SSL_ERROR_WANT_READ}, {900, SSL_ERROR_WANT_READ}, {3000, SSL_ERROR_ZERO_RETURN}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        SSL *server;
        SSL *client;
        int reads;
        SSL_CTX *server_context = new_server();
        SSL_CTX *client_context = new_client();
        SSL_CTX_set_num_tickets(server_context, rows[i].tickets);
        new_pair(server_context, client_context, &server, &client);
        SSL_set_connect_state(client);
        assert_int_equal(read_tickets(server, client, &reads), rows[i].reason);
        assert_true((size_t)reads >= MIN(rows[i].tickets, 900)); /* each is seen by the caller */
        SSL_free(server);
        SSL_free(client);
        SSL_CTX_free(client_context);
        SSL_CTX_free(server_context);
    }
}

/* ---- the server's certificates ---- */

static EVP_PKEY *new_rsa_key(int exponent_bits)
{
    EVP_PKEY *key = NULL;
    BIGNUM *exponent = BN_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_int_equal(BN_rand(exponent, exponent_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
    assert_int_equal(EVP_PKEY_keygen_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048), 1);
    assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, exponent), 1);
    assert_int_equal(EVP_PKEY_generate(context, &key), 1);
    EVP_PKEY_CTX_free(context);
    BN_free(exponent);
    return key;
}

/* Behind its own certificate. */
static void show_also(SSL_CTX *server, EVP_PKEY *key, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(SSL_CTX_add_extra_chain_cert(server, new_certificate(key)), 1);
}

static char *pem_of(X509 *certificate)
{
    char *bytes = NULL;
    BIO *pem = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(pem, certificate), 1);
    size_t length = (size_t)BIO_get_mem_data(pem, &bytes);
    char *copy = text_copy_bytes(bytes, length);
    BIO_free(pem);
    return copy;
}

/* That trusts the server's own certificate, and needs no other one. */
static SSL_CTX *new_client_of(SSL_CTX *server, bool is_unsafe)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *ca = pem_of(SSL_CTX_get0_certificate(server));
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_true(
        tls_configure(context, &(struct tls_options){.ca = ca, .unsafe = is_unsafe}, &error));
    SSL_CTX_set_verify(context, is_unsafe ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    return context;
}

/* OpenSSL keeps all of them, decoded, and checks as many as lead from one to the next. */
static void a_server_shows_few_certificates(void **state)
{
    (void)state;
    static const struct {
        int more, exponent_bits;
        bool is_unsafe, is_taken;
    } rows[] = {
        {0, 17, false, true}, {9, 17, false, true},  {10, 17, false, false},
        {2, 64, false, true}, {2, 65, false, false}, {2, 2000, false, false},
        {3, 17, true, true},  {20, 17, true, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        EVP_PKEY *key = new_rsa_key(rows[i].exponent_bits);
        SSL_CTX *server = new_server();
        show_also(server, key, rows[i].more);
        SSL_CTX *client = new_client_of(server, rows[i].is_unsafe);
        if (handshake_succeeds(server, client) != rows[i].is_taken)
            fail_msg("row %zu", i);
        SSL_CTX_free(client);
        SSL_CTX_free(server);
        EVP_PKEY_free(key);
    }
}

/* Of an authority with this key, or with its own. */
static X509 *new_named(EVP_PKEY *key, const char *name, EVP_PKEY *authority_key,
                       const char *authority)
{
    X509 *certificate = new_certificate(key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_NAME_add_entry_by_txt(X509_get_issuer_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)authority, -1, -1, 0);
    X509_set_version(certificate, X509_VERSION_3);
    X509_EXTENSION *is_authority =
        X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    X509_add_ext(certificate, is_authority, -1);
    X509_EXTENSION_free(is_authority);
    assert_true(X509_sign(certificate, authority_key, EVP_sha256()) > 0);
    return certificate;
}

/* A server whose certificate is of the authority "team", and that one's, which is of "root". */
static SSL_CTX *new_server_of_team(char **ret_team)
{
    EVP_PKEY *keys[] = {EVP_RSA_gen(2048), EVP_RSA_gen(2048), EVP_RSA_gen(2048)};
    X509 *team = new_named(keys[1], "team", keys[0], "root");
    X509 *own = new_named(keys[2], "server", keys[1], "team");
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(context, own), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, keys[2]), 1);
    *ret_team = pem_of(team);
    X509_free(team);
    X509_free(own);
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        EVP_PKEY_free(keys[i]);
    return context;
}

/* As Go does. */
static void an_authority_in_ca_needs_no_root(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *team = NULL;
    SSL_CTX *server = new_server_of_team(&team);
    SSL_CTX *clients[] = {SSL_CTX_new(TLS_client_method()), SSL_CTX_new(TLS_client_method())};
    assert_true(tls_configure(clients[0], &(struct tls_options){.ca = team}, &error));
    assert_true(tls_configure(clients[1], &(struct tls_options){0}, &error));
    for (size_t i = 0; i < ARRAY_LENGTH(clients); i++) {
        SSL_CTX_set_verify(clients[i], SSL_VERIFY_PEER, NULL);
        assert_int_equal(handshake_succeeds(server, clients[i]), i == 0);
        SSL_CTX_free(clients[i]);
    }
    SSL_CTX_free(server);
}

/* As a client library makes it. */
static bool library_trusts(SSL_CTX *server, const char *ca)
{
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    assert_true(pem_trust(client, ca));
    SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
    bool is_good = handshake_succeeds(server, client);
    SSL_CTX_free(client);
    return is_good;
}

static void nor_does_one_in_a_context_of_a_library(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *team = NULL;
    _cleanup_(memory_free) char *other = NULL;
    SSL_CTX *server = new_server_of_team(&team);
    SSL_CTX_free(new_server_of_team(&other));
    assert_false(library_trusts(server, team));
    for (int i = 0; i < 2; i++) {
        tls_need_no_root();
        assert_true(library_trusts(server, team));
        assert_false(library_trusts(server, other));
    }
    SSL_CTX_free(server);
}

static void write_authorities(const char *path, int count)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int serial = 1; serial <= count; serial++) {
        X509 *certificate = new_certificate(key);
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                   (const unsigned char *)"authority", -1, -1, serial - 1);
        assert_int_equal(PEM_write_X509(file, certificate), 1);
        X509_free(certificate);
    }
    fclose(file);
    EVP_PKEY_free(key);
}

/* How many authorities of the file a context trusts. */
static int trusted(SSL_CTX *context)
{
    _cleanup_(error_done) struct error error = {0};
    assert_true(tls_configure(context, &(struct tls_options){0}, &error));
    return sk_X509_OBJECT_num(X509_STORE_get0_objects(SSL_CTX_get_cert_store(context)));
}

/* As when no descriptor is free, or a volume is away. */
static int trusted_without_descriptors(SSL_CTX *context)
{
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    int next = dup(STDERR_FILENO);
    close(next);
    const struct rlimit none = {(rlim_t)next, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    int count = trusted(context);
    setrlimit(RLIMIT_NOFILE, &before);
    return count;
}

static void authorities_that_could_not_be_read_are_read_later(void **state)
{
    (void)state;
    char path[] = "/tmp/backlog-authorities-XXXXXX";
    SSL_CTX *contexts[5];
    for (size_t i = 0; i < ARRAY_LENGTH(contexts); i++)
        contexts[i] = SSL_CTX_new(TLS_client_method());
    close(mkstemp(path));
    write_authorities(path, 1);
    setenv(X509_get_default_cert_file_env(), path, 1);
    assert_int_equal(trusted_without_descriptors(contexts[0]), 0);
    assert_int_equal(trusted(contexts[1]), 1);

    write_authorities(path, 2); /* another size, so another file */
    assert_int_equal(trusted_without_descriptors(contexts[2]), 1);
    assert_int_equal(trusted(contexts[3]), 2);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(trusted(contexts[4]), 2);

    unsetenv(X509_get_default_cert_file_env());
    unlink(path);
    for (size_t i = 0; i < ARRAY_LENGTH(contexts); i++)
        SSL_CTX_free(contexts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(authorities_that_could_not_be_read_are_read_later), /* first */
        cmocka_unit_test(a_server_may_choose_groups_of_4096_bits_and_no_larger),
        cmocka_unit_test(a_server_that_sends_tickets_without_end_is_left),
        cmocka_unit_test(a_server_shows_few_certificates),
        cmocka_unit_test(an_authority_in_ca_needs_no_root),
        cmocka_unit_test(nor_does_one_in_a_context_of_a_library), /* last: the process keeps it */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
