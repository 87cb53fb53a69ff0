#include "base/tls_name.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>

void tls_expect_name(SSL *session, const char *name)
{
    unsigned char ip[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name);
        return;
    }
    SSL_set_tlsext_host_name(session, name);
    SSL_set1_host(session, name);
}
