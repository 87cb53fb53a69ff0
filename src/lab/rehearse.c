#include "cli/command.h"

#include "base/memory.h"
#include "base/system/listen.h"
#include "cli/common_flags.h"
#include "cli/console.h"
#include "lab/rehearsal.h"
#include "lab/rehearsal_http.h"
#include "lab/rehearsal_objects.h"
#include "lab/rehearsal_output.h"
#include "lab/rehearsal_run.h"

#include <signal.h>
#include <stdio.h>

struct rehearse_flags {
    struct option_list files;
    struct option_list variables;
    const char *server;
    struct http_server server_http;
    double speed;
    int64_t duration_ms;
    int64_t sync_ms;
    int64_t timeout_ms;
    int64_t replicas;
    const char *worker;
    int64_t start_time_ms;
    int64_t grace_ms;
    int stop;
    struct grpc_socket_tls tls;
    const char *plot;
    const char *http;
    int output;
};

enum stop { STOP_NEWEST, STOP_RANDOM };
static const char *const stops[] = {"newest", "random", NULL};

#define FLAG(...) COMMAND_FLAG(struct rehearse_flags, __VA_ARGS__)
#define TIME_LIMITS .limits = {0, 24 * 3600 * 1000.0}

static const struct option table[] = {
    FILES_FLAG(.flags = OPTION_REQUIRED | OPTION_REPEATED, .group = "ScaledObjects and server",
               .doc = "ScaledObjects (YAML): a file, a folder, or - for standard input; may be "
                      "repeated"),
    VARIABLES_FLAG,
    FLAG("server", OPTION_STRING, server, NULL, .value_name = "ADDRESS",
         .doc = "address of the server, HOST:PORT; default: each trigger's scalerAddress"),
    FLAG("server-http", OPTION_STRING, server_http.address, NULL, .value_name = "ADDRESS",
         .doc = "the server's --http port, HOST:PORT or a URL, for what is in flight and for the "
                "server's figures on the dashboard; without it they are unknown"),
    FLAG("http-token-file", OPTION_STRING, server_http.token_file, NULL, .value_name = "FILE",
         .doc = "file with the token of --server-http; --http asks for it, too"),
    FLAG("timeout", OPTION_DURATION, timeout_ms, "10s", .limits = {100, 60 * 1000},
         .doc = "for the calls of one reading"),
    TLS_FLAGS,

    FLAG("speed", OPTION_FLOAT, speed, "1", .limits = {0.1, 1000}, .group = "KEDA and the HPA",
         .doc =
             "how much faster than real time KEDA and the HPA go; holdWindow of the triggers is as "
             "much shorter"),
    FLAG("duration", OPTION_DURATION, duration_ms, "0s", .limits = {0, 720 * 3600 * 1000.0},
         .doc = "of real time; 0s: until Ctrl-C"),
    FLAG("sync-period", OPTION_DURATION, sync_ms, "15s", .limits = {1000, 3600 * 1000.0},
         .doc = "of the HPA"),
    FLAG("replicas", OPTION_INT, replicas, "-1", .limits = {-1, INT32_MAX},
         .doc = "at the beginning; -1: minReplicaCount"),

    FLAG("worker", OPTION_STRING, worker, NULL, .group = "Workers", .value_name = "COMMAND",
         .flags = OPTION_NO_VARIABLE,
         .doc =
             "shell command to run as a replica; $BACKLOG_OBJECT and $BACKLOG_REPLICA say which"),
    FLAG("start-time", OPTION_DURATION, start_time_ms, "0s", TIME_LIMITS,
         .doc = "from the start of a worker until it counts as ready"),
    FLAG("grace", OPTION_DURATION, grace_ms, "30s", TIME_LIMITS,
         .doc = "from SIGTERM to SIGKILL for a worker that is stopped"),
    FLAG("stop", OPTION_CHOICE, stop, "newest", .choices = stops, .doc = "which worker goes first"),

    OUTPUT_FLAG(.doc = "text, or one JSON object per line"),
    FLAG("plot", OPTION_STRING, plot, NULL, .value_name = "FILE", .flags = OPTION_NO_VARIABLE,
         .doc = "SVG file to write at the end"),
    FLAG("http", OPTION_STRING, http, NULL, .value_name = "ADDRESS",
         .doc = "address and port for a dashboard of the triggers and workers, such as "
                "localhost:9092; without it there is none"),
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
    struct sigaction before;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGQUIT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) /* as by nohup(1) */
        sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static struct rehearsal_settings settings_of(const struct rehearse_flags *flags,
                                             const struct scaled_objects *objects)
{
    return (struct rehearsal_settings){
        .objects = objects,
        .server = flags->server,
        .tls = tls_flags_settings(&flags->tls),
        .speed = flags->speed,
        .sync_ms = flags->sync_ms,
        .duration_ms = flags->duration_ms,
        .deadline_ms = flags->timeout_ms,
        .initial_replicas = flags->replicas,
        .worker = flags->worker,
        .workers = {.command = flags->worker,
                    .grace_ms = flags->grace_ms,
                    .startup_ms = flags->start_time_ms,
                    .stops_random = flags->stop == STOP_RANDOM},
        .is_json = flags->output == OUTPUT_JSON,
    };
}

static void warn_of_left_out(const struct scaled_objects *objects)
{
    for (size_t i = 0; i < objects->count; i++)
        if (objects->items[i].left_out > 0) {
            _cleanup_(memory_free) char *name = console_text(objects->items[i].name);
            fprintf(stderr, "backlog rehearse: %s: triggers of type cpu and memory are left out\n",
                    name);
        }
}

static void end_logs(struct worker_logs **logs)
{
    worker_logs_free(*logs);
}

static void end_http(struct rehearsal_http **http)
{
    rehearsal_http_end(*http);
}

static void end_in_flight(struct server_in_flight **in_flight)
{
    server_in_flight_end(*in_flight);
}

static void show(void *context, const struct rehearsal *rehearsal, int64_t now_ms)
{
    rehearsal_http_update(context, rehearsal, now_ms);
}

/* False: the port or a thread cannot be had. */
static bool begin_http(const struct rehearse_flags *flags, struct worker_logs **ret_logs,
                       struct rehearsal_http **ret_http, struct error *error)
{
    if (flags->http == NULL)
        return true;
    *ret_logs = worker_logs_new();
    if (*ret_logs == NULL)
        return error_set(error, ERROR_LIMIT,
                         "the machine has no thread left for the workers' logs");
    return rehearsal_http_begin(flags->http, &flags->server_http, *ret_logs, ret_http, error);
}

static bool rehearse(const struct rehearse_flags *flags, struct error *error)
{
    _cleanup_(end_logs) struct worker_logs *logs = NULL;
    _cleanup_(end_http) struct rehearsal_http *http = NULL;
    _cleanup_(end_in_flight) struct server_in_flight *in_flight = NULL;
    uint64_t last_id = 0;
    _cleanup_(scaled_objects_done) struct scaled_objects objects = {0};
    _cleanup_(rehearsal_done) struct rehearsal rehearsal = {0};
    if (!rehearsal_objects_load(&flags->files, &flags->variables, flags->speed, &objects, error))
        return false;
    if (!begin_http(flags, &logs, &http, error))
        return false;
    if (flags->server_http.address != NULL &&
        !server_in_flight_begin(&flags->server_http, flags->timeout_ms, &objects, &in_flight,
                                error))
        return false;
    struct rehearsal_settings settings = settings_of(flags, &objects);
    settings.workers.logs = logs;
    settings.workers.last_id = &last_id;
    settings.in_flight = in_flight;
    settings.watch = show;
    settings.watch_context = http;
    if (!rehearsal_init(&rehearsal, &settings, error))
        return false;
    warn_of_left_out(&objects);
    catch_signals();
    rehearsal_run(&rehearsal, &stop_requested);
    return flags->plot == NULL || rehearsal_plot(&rehearsal, flags->plot, error);
}

/* As http_client_new() takes it. */
static bool is_http_address(const char *address)
{
    return text_starts_with(address, "http://") || text_starts_with(address, "https://") ||
           listen_is_address(address);
}

static void check_rehearse(const struct command_line *line, struct text *mistakes)
{
    const struct rehearse_flags *flags = line->flags;
    tls_flags_check(&flags->tls, mistakes);
    if (flags->http != NULL && !listen_is_address(flags->http))
        command_mistake(mistakes,
                        "--http \"%s\" must be an address and a port, such as localhost:9092",
                        flags->http);
    if (flags->server_http.address != NULL && !is_http_address(flags->server_http.address))
        command_mistake(mistakes,
                        "--server-http \"%s\" must be an address and a port, such as "
                        "localhost:9091, or a URL of http or https",
                        flags->server_http.address);
}

static int run_rehearse(const struct command_line *line, struct error *error)
{
    return rehearse(line->flags, error) ? 0 : 1;
}

const struct command command_rehearse = {
    .name = "rehearse",
    .summary = "play KEDA and the HPA against a running server",
    .about = "Plays KEDA and the HPA against a running server: what they would do with these "
             "ScaledObjects, second by second. Triggers of KEDA's own types are as after `backlog "
             "migrate`, and KEYFromEnv is taken from the environment of this command (--env). "
             "Without --worker nothing is started or changed: a dry run beside production.",
    .exit_status =
        "0 after --duration or Ctrl-C; 1 a file is invalid, a port cannot be had, or the "
        "output cannot be written",
    .examples = {{"what would happen now",
                  "backlog rehearse -f scaledobject.yaml --server localhost:9090"},
                 {"with real workers, ten times as fast",
                  "backlog rehearse -f so.yaml --speed 10 --start-time 2s --worker ./worker"},
                 {"for a minute, as JSON lines",
                  "backlog rehearse -f so.yaml --duration 1m --output json"}},
    .flags = table,
    .flags_size = sizeof(struct rehearse_flags),
    .check = check_rehearse,
    .run = run_rehearse,
};
