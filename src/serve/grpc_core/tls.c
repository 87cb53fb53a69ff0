/*
 * TLS on the C core: it fetches the certificate to show at each handshake, and gives the names in
 * the client's certificate for each call.
 */
#include "serve/grpc_core/tls.h"

#include <grpc/grpc_security_constants.h>

/* Without roots the core aborts, even where clients need no certificate: then any root will do. */
static grpc_ssl_server_certificate_config *new_config(const struct tls *tls)
{
    const grpc_ssl_pem_key_cert_pair pair = {.private_key = tls->key,
                                             .cert_chain = tls->certificate};
    const char *roots = tls->client_ca == NULL ? tls->certificate : tls->client_ca;
    return core.grpc_ssl_server_certificate_config_create(roots, &pair, 1);
}

static grpc_ssl_certificate_config_reload_status
fetch(void *context, grpc_ssl_server_certificate_config **ret_config)
{
    struct core_server *server = context;
    pthread_mutex_lock(&server->tls_lock);
    bool is_new = server->tls_is_new;
    server->tls_is_new = false;
    if (is_new)
        *ret_config = new_config(server->tls);
    pthread_mutex_unlock(&server->tls_lock);
    return is_new ? GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW
                  : GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
}

grpc_server_credentials *core_tls_credentials(struct core_server *server)
{
    if (server->tls == NULL)
        return core.grpc_insecure_server_credentials_create();
    grpc_ssl_client_certificate_request_type demand =
        server->tls->client_ca == NULL ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                       : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
    server->tls_is_new = true;
    return core.grpc_ssl_server_credentials_create_with_options(
        core.grpc_ssl_server_credentials_create_options_using_config_fetcher(demand, fetch,
                                                                             server));
}

void core_tls_use(struct server *base, struct tls *tls)
{
    struct core_server *server = (struct core_server *)base;
    pthread_mutex_lock(&server->tls_lock);
    struct tls *old = server->tls;
    server->tls = tls;
    server->tls_is_new = true;
    pthread_mutex_unlock(&server->tls_lock);
    tls_free(old);
}

static void add_names(struct client_names *names, const grpc_auth_context *context,
                      const char *property)
{
    grpc_auth_property_iterator all =
        core.grpc_auth_context_find_properties_by_name(context, property);
    const grpc_auth_property *found;
    while ((found = core.grpc_auth_property_iterator_next(&all)) != NULL)
        client_names_add(names, found->value, found->value_length);
}

struct client_names *core_tls_peer(grpc_call *call)
{
    grpc_auth_context *context = core.grpc_call_auth_context(call);
    struct client_names *names = NULL;
    if (context != NULL && core.grpc_auth_context_peer_is_authenticated(context) != 0) {
        names = client_names_new();
        add_names(names, context, GRPC_PEER_DNS_PROPERTY_NAME);
        add_names(names, context, GRPC_PEER_URI_PROPERTY_NAME);
        if (names->given == 0)
            add_names(names, context, GRPC_X509_CN_PROPERTY_NAME);
    }
    core.grpc_auth_context_release(context);
    return names;
}
