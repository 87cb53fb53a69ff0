#include "serve/transport/tls.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/pem.h"
#include "base/system/file.h"
#include "base/text.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LARGEST_FILE = 1 << 20 };

static void bio_release(BIO **bio)
{
    BIO_free(*bio);
}

static void key_release(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

/* ---- the context ---- */

/* Nothing but HTTP/2: who offers only something else is refused at the handshake. */
static int choose_protocol(SSL *tls, const unsigned char **ret_chosen, unsigned char *ret_length,
                           const unsigned char *offered, unsigned length, void *context)
{
    static const unsigned char h2[] = "\x02h2";
    unsigned char *chosen = NULL;
    (void)tls;
    (void)context;
    int found = SSL_select_next_proto(&chosen, ret_length, h2, sizeof(h2) - 1, offered, length);
    *ret_chosen = chosen;
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/*
 * A session is never resumed: that would pass by the client's certificate, and so by an authority
 * that was exchanged meanwhile, to save a handshake of connections that live for days.
 */
static SSL_CTX *new_context(void)
{
    /* Of a client, which need not be one of ours: OpenSSL reads all of its certificates, and their
     * keys, before it looks for their authority; 32 KiB of them took 20 ms of the loop. KEDA's has
     * one, perhaps with two intermediate ones, of at most 2 KiB each. As TLS_MAX_MESSAGE_BYTES
     * (h2/tls_bio.h). */
    enum { MAX_CERTIFICATES_BYTES = 8 << 10 };
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    /* What RFC 9113, 9.2.2, leaves of TLS 1.2. */
    SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_max_cert_list(context, MAX_CERTIFICATES_BYTES);
    /* One record a read: what needs no answer must not keep the loop from others. */
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    return context;
}

/* ---- the files ---- */

static bool read_text(const char *path, char **ret_text, struct error *error)
{
    _cleanup_(text_done) struct text text = {0};
    if (!file_read(path, LARGEST_FILE, &text, error))
        return false;
    *ret_text = text_take(&text);
    return true;
}

static bool read_files(const struct tls_files *files, struct tls *tls, struct error *error)
{
    return read_text(files->certificate, &tls->certificate, error) &&
           read_text(files->key, &tls->key, error) &&
           (files->client_ca == NULL || read_text(files->client_ca, &tls->client_ca, error));
}

static bool use_pair(const struct tls_files *files, const struct tls *tls, struct error *error)
{
    _cleanup_(key_release) EVP_PKEY *key = pem_key(tls->key, NULL);
    if (key == NULL)
        return error_invalid(error, "%s must hold a PEM private key that is not encrypted",
                             files->key);
    if (!pem_show(tls->context, tls->certificate))
        return error_invalid(error, "%s must hold a PEM certificate, and behind it its chain",
                             files->certificate);
    return pem_use_key(tls->context, key) ||
           error_invalid(error, "%s is not the private key of the certificate in %s", files->key,
                         files->certificate);
}

static bool demand_certificate(const struct tls_files *files, const struct tls *tls,
                               struct error *error)
{
    if (tls->client_ca == NULL)
        return true;
    if (!pem_trust(tls->context, tls->client_ca))
        return error_invalid(error, "%s must hold PEM certificates: it has none, or a broken one",
                             files->client_ca);
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return true;
}

static int64_t end_of(const X509 *certificate)
{
    struct tm utc = {0};
    ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &utc);
    return timegm(&utc);
}

/* An expired certificate may still serve clients that do not look; it is logged. */
static void describe(const struct tls_files *files, const struct tls *tls)
{
    const X509 *certificate = SSL_CTX_get0_certificate(tls->context);
    const ASN1_TIME *end = X509_get0_notAfter(certificate);
    _cleanup_(bio_release) BIO *bio = BIO_new(BIO_s_mem());
    char *date = NULL;
    ASN1_TIME_print(bio, end);
    int length = (int)BIO_get_mem_data(bio, &date);
    if (X509_cmp_current_time(end) < 0)
        log_warning("TLS: the certificate in %s has expired: valid until %.*s", files->certificate,
                    length, date);
    else if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
        log_warning("TLS: the certificate in %s is not valid yet", files->certificate);
    else
        log_info("TLS: using the certificate in %s, valid until %.*s", files->certificate, length,
                 date);
}

bool tls_load(const struct tls_files *files, struct tls **ret_tls, struct error *error)
{
    struct tls *tls = memory_new(sizeof(*tls));
    tls->context = new_context();
    if (!read_files(files, tls, error) || !use_pair(files, tls, error) ||
        !demand_certificate(files, tls, error)) {
        tls_free(tls);
        return false;
    }
    describe(files, tls);
    tls->ends_s = end_of(SSL_CTX_get0_certificate(tls->context));
    *ret_tls = tls;
    return true;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    free(tls->certificate);
    free(tls->key);
    free(tls->client_ca);
    SSL_CTX_free(tls->context);
    free(tls);
}
