#include "cli/common_flags.h"

#include "cli/command.h"

const char *const output_formats[] = {"text", "json", NULL};

void tls_flags_check(const struct grpc_socket_tls *flags, struct text *mistakes)
{
    if (flags->certificate != NULL && flags->key == NULL)
        command_mistake(mistakes, "--tls-cert needs --tls-key");
    if (flags->key != NULL && flags->certificate == NULL)
        command_mistake(mistakes, "--tls-key needs --tls-cert");
}

struct grpc_socket_tls tls_flags_settings(const struct grpc_socket_tls *flags)
{
    struct grpc_socket_tls settings = *flags;
    settings.is_on = flags->is_on || flags->ca != NULL || flags->certificate != NULL ||
                     flags->server_name != NULL || flags->skips_verification;
    return settings;
}
