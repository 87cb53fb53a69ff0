#include "daemon/certificates.h"

#include "base/memory.h"
#include "base/system/file_watch.h"
#include "cli/command.h"
#include "daemon/retry.h"

#include <stdlib.h>

struct certificates {
    const struct certificates_flags *flags;
    struct client_rule rule;
    struct file_watch *watch;
    struct retry retry;
    struct reload_stats stats;
};

void certificates_check_flags(const struct certificates_flags *flags, struct text *mistakes)
{
    const struct tls_files *files = &flags->files;
    if (files->certificate != NULL && files->key == NULL)
        command_mistake(mistakes, "--tls-cert needs --tls-key");
    if (files->key != NULL && files->certificate == NULL)
        command_mistake(mistakes, "--tls-key needs --tls-cert");
    if (files->client_ca != NULL && files->certificate == NULL)
        command_mistake(mistakes, "--tls-client-ca needs --tls-cert and --tls-key");
    if (flags->client_names.count > 0 && files->client_ca == NULL)
        command_mistake(
            mistakes,
            "--tls-client-names needs --tls-client-ca: without it no client proves a name");
}

static struct file_watch *watch_files(const struct tls_files *tls)
{
    const char *const files[] = {tls->certificate, tls->key, tls->client_ca};
    struct file_watch *watch = file_watch_new();
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
        if (files[i] != NULL)
            file_watch_add(watch, files[i]);
    return watch;
}

struct certificates *certificates_begin(const struct certificates_flags *flags)
{
    struct certificates *certificates = memory_new(sizeof(*certificates));
    certificates->flags = flags;
    certificates->rule = (struct client_rule){flags->client_names.items, flags->client_names.count};
    certificates->watch = watch_files(&flags->files);
    reload_stats_good(&certificates->stats); /* or the server does not start */
    return certificates;
}

void certificates_end(struct certificates *certificates)
{
    if (certificates == NULL)
        return;
    file_watch_free(certificates->watch);
    retry_done(&certificates->retry);
    free(certificates);
}

const struct tls_files *certificates_files(const struct certificates *certificates)
{
    const struct tls_files *files = &certificates->flags->files;
    return files->certificate == NULL ? NULL : files;
}

const struct reload_stats *certificates_stats(const struct certificates *certificates)
{
    return certificates_files(certificates) == NULL ? NULL : &certificates->stats;
}

const struct client_rule *certificates_rule(const struct certificates *certificates)
{
    return &certificates->rule;
}

void certificates_check(struct certificates *certificates, bool is_requested, struct server *server,
                        int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    const struct tls_files *files = certificates_files(certificates);
    bool has_changed = file_watch_has_changed(certificates->watch) || is_requested;
    if (!has_changed && file_watch_is_restless(certificates->watch))
        return; /* the end of the change is near, and is read */
    if (files == NULL || !retry_is_due(&certificates->retry, has_changed, now_ms))
        return;
    if (server_reload_tls(server, files, &error)) {
        retry_done(&certificates->retry);
        reload_stats_good(&certificates->stats);
        return;
    }
    reload_stats_failed(&certificates->stats);
    error_prefix(&error, "TLS");
    retry_failed(&certificates->retry, &error, "the former certificate stays in use",
                 now_ms + RETRY_MS);
}
