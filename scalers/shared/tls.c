#include "shared/tls.h"

#include "base/pem.h"
#include "shared/tls_key.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    MAX_DH_BITS = 4096,
    MAX_HANDSHAKE_MESSAGES = 1000, /* of one connection: its own ten, tickets, new keys */
    /* Of a server's certificates, which are kept, decoded, as long as the connection lives: 100 KiB
     * of them, OpenSSL's limit, become a megabyte. */
    MAX_CHAIN_BYTES = 16 << 10,
    MAX_UNVERIFIED_BYTES = 8 << 10,
    MAX_CHAIN = 10,
    MAX_EXPONENT_BITS = 64, /* of RSA: a check takes as many times as long as there are bits */
};

typedef int (*security_callback)(const SSL *ssl, const SSL_CTX *context, int operation, int bits,
                                 int id, void *other, void *data);

static bool use_key(SSL_CTX *context, const struct tls_options *options, struct error *error)
{
    EVP_PKEY *private = tls_key_read(options, error);
    if (private == NULL)
        return false;
    bool good = pem_use_key(context, private);
    EVP_PKEY_free(private);
    return good || error_invalid(error, "key must be the private key of cert: it is another's");
}

/* OpenSSL's own, which is the same for all contexts. */
static _Atomic(security_callback) usual_security;

/* A server may choose a group of 10,000 bits, which takes a second of CPU time for each connection.
 */
static int check_security(const SSL *ssl, const SSL_CTX *context, int operation, int bits, int id,
                          void *other, void *data)
{
    security_callback usual = atomic_load(&usual_security);
    if (operation == SSL_SECOP_TMP_DH && other != NULL && EVP_PKEY_get_bits(other) > MAX_DH_BITS)
        return 0;
    return usual(ssl, context, operation, bits, id, other, data);
}

static int messages_index;

static void make_messages_index(void)
{
    messages_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

/* Of OpenSSL's: 888 session tickets in one record take it ten milliseconds. A server that goes on
 * sending them has its connection closed. */
static void count_message(int written, int version, int kind, const void *message, size_t length,
                          SSL *ssl, void *argument)
{
    (void)version, (void)message, (void)length, (void)argument;
    if (written || kind != SSL3_RT_HANDSHAKE)
        return;
    uintptr_t count = (uintptr_t)SSL_get_ex_data(ssl, messages_index) + 1;
    SSL_set_ex_data(ssl, messages_index, (void *)count);
    if (count > MAX_HANDSHAKE_MESSAGES)
        SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

/* What is no data makes SSL_read() return, so that its caller sees the time. */
static void bound_messages(SSL_CTX *context)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_messages_index);
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_msg_callback(context, count_message);
}

/* ---- the server's certificates ---- */

static bool has_large_exponent(const X509 *certificate)
{
    BIGNUM *exponent = NULL;
    const EVP_PKEY *key = X509_get0_pubkey(certificate);
    bool is_rsa = key != NULL && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent);
    bool is_large = is_rsa && BN_num_bits(exponent) > MAX_EXPONENT_BITS;
    BN_free(exponent);
    ERR_clear_error(); /* of what is no RSA */
    return is_large;
}

/* Seventy links of RSA with exponents of 3,071 bits took half a second of CPU. */
static int verify_chain(X509_STORE_CTX *store, void *argument)
{
    (void)argument;
    const STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(store);
    int error = sk_X509_num(chain) > MAX_CHAIN ? X509_V_ERR_CERT_CHAIN_TOO_LONG : X509_V_OK;
    for (int i = 0; error == X509_V_OK && i < sk_X509_num(chain); i++)
        if (has_large_exponent(sk_X509_value(chain, i)))
            error = X509_V_ERR_APPLICATION_VERIFICATION;
    X509_STORE_CTX_set_error(store, error);
    return error == X509_V_OK ? X509_verify_cert(store) : 0;
}

/* ---- the system's authorities ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static X509_STORE *authorities; /* guarded, as the next one */
static struct stat authorities_file;

static bool is_same_file(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino &&
           one->st_size == other->st_size && one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
           one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
}

/* With the lock. The file may be replaced while we run. One that is there and cannot be read now,
 * as no descriptor is free or its volume is away, or that has no certificate, is tried again for
 * the next context; until then the former authorities count. */
static void read_authorities(void)
{
    const char *path = getenv(X509_get_default_cert_file_env());
    if (path == NULL)
        path = X509_get_default_cert_file();
    struct stat file = {0};
    bool is_there = stat(path, &file) == 0 || errno != ENOENT;
    if (authorities != NULL && is_same_file(&file, &authorities_file))
        return;
    X509_STORE *store = X509_STORE_new();
    bool is_read = X509_STORE_load_file(store, path) == 1;
    X509_LOOKUP_add_dir(X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir()), NULL,
                        X509_FILETYPE_DEFAULT);
    ERR_clear_error(); /* there need not be any */
    if (is_there && !is_read && authorities != NULL) {
        X509_STORE_free(store);
        return;
    }
    X509_STORE_free(authorities);
    authorities = store;
    authorities_file = is_read ? file : (struct stat){0};
}

/* They take a megabyte, and ten milliseconds: all contexts have the same ones. One that trusts
 * others besides has a list of its own, so that they are trusted by no other. */
static void trust_system(SSL_CTX *context, bool is_own)
{
    pthread_mutex_lock(&lock);
    read_authorities();
    if (!is_own) {
        SSL_CTX_set1_cert_store(context, authorities);
        pthread_mutex_unlock(&lock);
        return;
    }
    X509_STORE_lock(authorities); /* a check of a certificate adds some to it */
    const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(authorities);
    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *authority = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        if (authority != NULL)
            X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority);
    }
    X509_STORE_unlock(authorities);
    pthread_mutex_unlock(&lock);
    SSL_CTX_set_default_verify_dir(context);
    ERR_clear_error();
}

/* `ca` may have an authority without those above it: to Go, and so to KEDA, each certificate that
 * is trusted ends a chain, to OpenSSL only one that signs itself. */
static const unsigned long any_authority = X509_V_FLAG_PARTIAL_CHAIN;

static void add_default(void)
{
    static const char name[] = "default"; /* OpenSSL's, of which each context has the flags, too */
    X509_VERIFY_PARAM *own = X509_VERIFY_PARAM_new();
    X509_VERIFY_PARAM_set1(own, X509_VERIFY_PARAM_lookup(name));
    X509_VERIFY_PARAM_set1_name(own, name);
    X509_VERIFY_PARAM_set_flags(own, any_authority);
    X509_VERIFY_PARAM_add0_table(own);
}

void tls_need_no_root(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, add_default);
}

bool tls_configure(SSL_CTX *context, const struct tls_options *options, struct error *error)
{
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS); /* 34 KiB of each that is idle */
    bound_messages(context);
    SSL_CTX_set_max_cert_list(context, options->unsafe ? MAX_UNVERIFIED_BYTES : MAX_CHAIN_BYTES);
    SSL_CTX_set_cert_verify_callback(context, verify_chain, NULL);
    trust_system(context, options->ca != NULL);
    if (SSL_CTX_get_security_callback(context) != check_security) {
        atomic_store(&usual_security, SSL_CTX_get_security_callback(context));
        SSL_CTX_set_security_callback(context, check_security);
    }
    if (options->ca != NULL && !pem_trust(context, options->ca))
        return error_invalid(error, "ca must hold PEM certificates: it has none, or a broken one");
    if (options->ca != NULL)
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), any_authority);
    if (options->cert != NULL && !pem_show(context, options->cert))
        return error_invalid(error, "cert must hold a PEM certificate");
    return options->key == NULL || use_key(context, options, error);
}
