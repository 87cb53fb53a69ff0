#include "daemon/serve_check.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/system/listen.h"
#include "base/text.h"
#include "config/kubernetes_name.h"
#include "daemon/certificates.h"
#include "daemon/peers.h"

void serve_warn(const struct serve_flags *flags)
{
    enum { KEDA_COOLDOWN_MS = 300000, KEDA_POLLING_MS = 30000 };
    if (flags->call_timeout_ms < flags->measure_timeout_ms)
        log_warning("--call-timeout is below --measure-timeout: a call fails although its first "
                    "measurement may still succeed");
    if (flags->heartbeat_ms > KEDA_COOLDOWN_MS)
        log_warning("--heartbeat is above %d s, KEDA's default cooldownPeriod: a ScaledObject that "
                    "is active may be "
                    "scaled to 0 between two pushes",
                    KEDA_COOLDOWN_MS / 1000);
    if (flags->forget_ms < KEDA_POLLING_MS)
        log_warning("--forget is below %d s, KEDA's default pollingInterval: triggers are dropped "
                    "between two calls, with the reading that --hold would answer",
                    KEDA_POLLING_MS / 1000);
    if (flags->grace_ms < flags->call_timeout_ms)
        log_warning("--grace is below --call-timeout: calls in progress may be cancelled at "
                    "shutdown");
    if (flags->all_in_agents && flags->max_agents < flags->max_connections)
        log_warning("--all-in-agents: of --max-connections %lld only --max-agents %lld can be made",
                    (long long)flags->max_connections, (long long)flags->max_agents);
    bool has_authentications = flags->kubernetes && flags->kubernetes_allow_authentications;
    if (flags->kubernetes_cluster_authentications != NULL && !flags->kubernetes)
        log_warning("--kubernetes-cluster-authentications without --kubernetes has no effect");
    if (flags->kubernetes_allow_authentications && !flags->kubernetes)
        log_warning("--kubernetes-allow-authentications without --kubernetes has no effect");
    if (flags->kubernetes_hpa && !flags->kubernetes)
        log_warning("--kubernetes-hpa without --kubernetes has no effect");
    if (flags->deny_inline && flags->config == NULL && !has_authentications)
        log_warning("--deny-inline-connections without --config or "
                    "--kubernetes-allow-authentications: every trigger is refused");
}

/* Before anything is made: the C core takes 443 for a port that is missing, without an error. */
static void check_address(const char *flag, const char *address, struct text *mistakes)
{
    if (address != NULL && !listen_is_address(address))
        command_mistake(
            mistakes,
            "--%s \"%s\" must be HOST:PORT or :PORT, such as [::]:9090, the port at most "
            "65535",
            flag, address);
}

static void check_workers(const struct serve_flags *flags, struct text *mistakes)
{
    for (size_t i = 0; i < flags->workers.count; i++)
        if (!kubernetes_name_is_namespace(flags->workers.items[i]))
            command_mistake(mistakes,
                            "--workers \"%s\" must be the name of a namespace: lower case, digits "
                            "and -",
                            flags->workers.items[i]);
    if (flags->workers.count > 0 && flags->http == NULL)
        command_mistake(mistakes, "--workers needs --http, which shows them");
}

void serve_check(const struct command_line *line, struct text *mistakes)
{
    const struct serve_flags *flags = line->flags;
    const struct server_options options = serve_server_options(flags);
    _cleanup_(error_done) struct error error = {0};
    check_address("listen", flags->listen, mistakes);
    check_address("http", flags->http, mistakes);
    check_address("probes", flags->probes, mistakes);
    check_workers(flags, mistakes);
    if (flags->http_token_file != NULL && flags->http == NULL)
        command_mistake(mistakes, "--http-token-file needs --http, which asks for it");
    if (!peers_check(&flags->peers, &error))
        command_mistake(mistakes, "%s", error_text(&error));
    error_done(&error);
    certificates_check_flags(&flags->tls, mistakes);
    if (!serve_transport(flags)->check(&options, &error))
        command_mistake(mistakes, "%s", error_text(&error));
}
