#include "cli/subcommands.h"

#include "base/memory.h"
#include "cli/flags.h"
#include "cli/operands.h"
#include "cli/rehearsal.h"
#include "cli/rehearsal_output.h"

#include <signal.h>
#include <stdio.h>

static const char about[] =
    "Usage: backlog rehearse -f scaledobject.yaml [--server HOST:PORT] [--FLAG VALUE ...]\n\n"
    "Plays KEDA and the HPA against a running server: what they would do with these "
    "ScaledObjects,\n"
    "second by second. Without --worker nothing is started or changed: a dry run beside "
    "production.";

struct rehearse_flags {
    const char *file;
    const char *server;
    double speed;
    int64_t duration_ms;
    int64_t sync_ms;
    int64_t deadline_ms;
    int64_t replicas;
    const char *worker;
    int64_t startup_ms;
    int64_t grace_ms;
    int stop;
    bool tls;
    struct grpc_socket_tls files;
    const char *plot;
    int output;
};

enum output { OUTPUT_TEXT, OUTPUT_JSON };
enum stop { STOP_NEWEST, STOP_RANDOM };
static const char *const outputs[] = {"text", "json", NULL};
static const char *const stops[] = {"newest", "random", NULL};

#define FLAG(name, kind, field, standard, ...)                                                     \
    {.key = (name),                                                                                \
     .type = (kind),                                                                               \
     .offset = offsetof(struct rehearse_flags, field),                                             \
     .default_value = (standard),                                                                  \
     __VA_ARGS__}
#define TIME_LIMITS .limits = {0, 24 * 3600 * 1000.0}

static const struct option table[] = {
    FLAG("file", OPTION_STRING, file, NULL, .doc = "ScaledObjects (YAML); also -f"),
    FLAG("server", OPTION_STRING, server, NULL,
         .doc = "address of the server; default: each trigger's scalerAddress"),
    FLAG("speed", OPTION_FLOAT, speed, "1", .limits = {0.1, 1000},
         .doc = "how much faster than real time KEDA and the HPA go"),
    FLAG("duration", OPTION_DURATION, duration_ms, "0s", .limits = {0, 720 * 3600 * 1000.0},
         .doc = "of real time; 0s: until Ctrl-C"),
    FLAG("sync-period", OPTION_DURATION, sync_ms, "15s", .limits = {1000, 3600 * 1000.0},
         .doc = "of the HPA"),
    FLAG("call-deadline", OPTION_DURATION, deadline_ms, "10s", .limits = {100, 60 * 1000},
         .doc = "for the calls of one reading"),
    FLAG("replicas", OPTION_INT, replicas, "-1", .limits = {-1, INT32_MAX},
         .doc = "that there are at the beginning; -1: minReplicaCount"),
    FLAG("worker", OPTION_STRING, worker, NULL,
         .doc =
             "shell command to run as a replica; $BACKLOG_OBJECT and $BACKLOG_REPLICA say which"),
    FLAG("startup", OPTION_DURATION, startup_ms, "0s", TIME_LIMITS,
         .doc = "from the start of a worker until it counts as ready"),
    FLAG("grace", OPTION_DURATION, grace_ms, "30s", TIME_LIMITS,
         .doc = "from SIGTERM to SIGKILL for a worker that is stopped"),
    FLAG("stop", OPTION_CHOICE, stop, "newest", .choices = stops, .doc = "which worker goes first"),
    FLAG("tls", OPTION_BOOL, tls, "false", .doc = "TLS to the server; each --tls-* implies it"),
    FLAG("tls-ca", OPTION_STRING, files.ca, NULL,
         .doc = "PEM file: authorities of the server; default: those of this machine"),
    FLAG("tls-cert", OPTION_STRING, files.certificate, NULL,
         .doc = "PEM file: the certificate to show the server"),
    FLAG("tls-key", OPTION_STRING, files.key, NULL, .doc = "PEM file: its private key"),
    FLAG("tls-server-name", OPTION_STRING, files.server_name, NULL,
         .doc = "that the server must prove; default: the host of its address"),
    FLAG("tls-skip-verify", OPTION_BOOL, files.skips_verification, "false",
         .doc = "take any certificate of the server"),
    FLAG("plot", OPTION_STRING, plot, NULL, .doc = "SVG file to write at the end"),
    FLAG("output", OPTION_CHOICE, output, "text", .choices = outputs,
         .doc = "text, or one JSON object per line"),
    {0},
};

static volatile sig_atomic_t stop_requested;

static void on_signal(int number)
{
    (void)number;
    stop_requested = 1;
}

/* Without SA_RESTART, so that a signal ends the wait, too. */
static void catch_signals(void)
{
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static struct rehearsal_settings settings_of(const struct rehearse_flags *flags,
                                             const struct scaled_objects *objects)
{
    struct rehearsal_settings settings = {
        .objects = objects,
        .server = flags->server,
        .tls = flags->files,
        .speed = flags->speed,
        .sync_ms = flags->sync_ms,
        .duration_ms = flags->duration_ms,
        .deadline_ms = flags->deadline_ms,
        .initial_replicas = flags->replicas,
        .worker = flags->worker,
        .replicas = {.command = flags->worker,
                     .grace_ms = flags->grace_ms,
                     .startup_ms = flags->startup_ms,
                     .stops_random = flags->stop == STOP_RANDOM},
        .is_json = flags->output == OUTPUT_JSON,
    };
    const struct grpc_socket_tls *files = &flags->files;
    settings.tls.is_on = flags->tls || files->ca != NULL || files->certificate != NULL ||
                         files->server_name != NULL || files->skips_verification;
    return settings;
}

static void warn_of_left_out(const struct scaled_objects *objects)
{
    for (size_t i = 0; i < objects->count; i++)
        if (objects->items[i].left_out > 0)
            fprintf(stderr, "backlog rehearse: %s: triggers of type cpu and memory are left out\n",
                    objects->items[i].name);
}

static bool run(const struct rehearse_flags *flags, struct error *error)
{
    _cleanup_(scaled_objects_done) struct scaled_objects objects = {0};
    _cleanup_(rehearsal_done) struct rehearsal rehearsal = {0};
    if (flags->file == NULL)
        return error_invalid(error, "-f is missing: a YAML file with ScaledObjects");
    if (!scaled_objects_load(flags->file, &objects, error))
        return false;
    const struct rehearsal_settings settings = settings_of(flags, &objects);
    if (!rehearsal_init(&rehearsal, &settings, error))
        return false;
    warn_of_left_out(&objects);
    catch_signals();
    rehearsal_run(&rehearsal, &stop_requested);
    return flags->plot == NULL || rehearsal_plot(&rehearsal, flags->plot, error);
}

int rehearse_main(int argc, char **argv)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(operands_done) struct operands operands;
    struct option_values *values = NULL;
    bool helped = false;
    int code = 0;
    operands_split(argc, argv, &operands);
    if (operands.count > 0) {
        fprintf(stderr, "backlog rehearse: \"%s\" is not a flag: give the file with -f\n",
                operands.items[0]);
        return 2;
    }
    if (!flags_parse(operands.argc, operands.argv, table, sizeof(struct rehearse_flags), about,
                     &values, &helped, &error)) {
        fprintf(stderr, "backlog rehearse: %s\n", error_text(&error));
        return 2;
    }
    if (!helped && !run(values->data, &error)) {
        fprintf(stderr, "backlog rehearse: %s\n", error_text(&error));
        code = 1;
    }
    option_values_free(values);
    return code;
}
