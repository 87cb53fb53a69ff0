#include "cli/command.h"

#include "base/clock.h"
#include "base/memory.h"
#include "cli/common_flags.h"
#include "cli/console.h"
#include "commands/watch_screen.h"
#include "commands/watch_table.h"
#include "commands/watch_workers.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct watch_flags {
    struct http_server server_http;
    bool once;
    bool workers;
    int64_t interval_ms;
    int64_t timeout_ms;
    const char *filter;
    int output;
};

enum { WIDE = 1000, LINES_AROUND = 4, REDRAW_MS = 1000 };

#define FLAG(...) COMMAND_FLAG(struct watch_flags, __VA_ARGS__)

static const struct option table[] = {
    FLAG("once", OPTION_BOOL, once, "false", .group = "The table",
         .doc = "print the table once, and end; also where the output is no terminal"),
    FLAG("workers", OPTION_BOOL, workers, "false",
         .doc = "the pods of the ScaledObjects and ScaledJobs instead, which a server with "
                "--workers lists"),
    FLAG("interval", OPTION_DURATION, interval_ms, "2s", .limits = {100, 3600 * 1000},
         .doc = "between two refreshes"),
    FLAG("filter", OPTION_STRING, filter, NULL,
         .doc = "only triggers with this in their name, scaler, metric or state, or workers with "
                "this in their object, name, state or reason"),
    SERVER_HTTP_FLAGS,
    OUTPUT_FLAG(.doc = "text, or one JSON object per trigger and line, once"),
    {0},
};

/* A thread fetches, so that keys are answered at once while the server is slow. */
struct fetcher {
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    struct watch_rows rows;
    struct watch_workers workers; /* instead of rows, with --workers */
    struct error error;
    bool is_fresh;
    struct http_client *client; /* the thread's */
    bool is_of_workers;
    int64_t interval_ms;
    int news_fd, stop_fd;
};

struct watch {
    struct fetcher fetcher;
    struct watch_view view;
    struct watch_rows rows;
    struct watch_workers workers;
    struct error error;
    int64_t fetched_ms; /* 0: never */
    bool is_paused, is_typing, is_over;
    size_t shown, page; /* rows that the view has, and that the screen has room for */
};

/* ---- fetching ---- */

static void signal_fd(int fd)
{
    const uint64_t one = 1;
    while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

static void hand_over(struct fetcher *fetcher, struct watch_rows *rows,
                      struct watch_workers *workers, struct error *error)
{
    pthread_mutex_lock(&fetcher->lock);
    if (!error_is_set(error)) {
        watch_rows_done(&fetcher->rows);
        fetcher->rows = *rows;
        watch_workers_done(&fetcher->workers);
        fetcher->workers = *workers;
    }
    error_move(&fetcher->error, error);
    fetcher->is_fresh = true;
    pthread_mutex_unlock(&fetcher->lock);
    signal_fd(fetcher->news_fd);
}

static void *fetch(void *context)
{
    struct fetcher *fetcher = context;
    struct pollfd stop = {.fd = fetcher->stop_fd, .events = POLLIN};
    do {
        struct watch_rows rows = {0};
        struct watch_workers workers = {0};
        struct error error = {0};
        if (fetcher->is_of_workers)
            watch_workers_fetch(fetcher->client, &workers, &error);
        else
            watch_rows_fetch(fetcher->client, &rows, &error);
        hand_over(fetcher, &rows, &workers, &error);
        error_done(&error);
    } while (poll(&stop, 1, (int)fetcher->interval_ms) == 0);
    return NULL;
}

static void fetcher_start(struct fetcher *fetcher, const struct watch_flags *flags)
{
    sigset_t all, before;
    *fetcher = (struct fetcher){.client = http_client_new(&flags->server_http, flags->timeout_ms),
                                .interval_ms = flags->interval_ms,
                                .is_of_workers = flags->workers,
                                .news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                                .stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    pthread_mutex_init(&fetcher->lock, NULL);
    sigfillset(&all); /* signals come to the main thread, and end its wait */
    pthread_sigmask(SIG_BLOCK, &all, &before);
    if (pthread_create(&fetcher->thread, NULL, fetch, fetcher) != 0)
        abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void fetcher_stop(struct fetcher *fetcher)
{
    http_client_cancel(fetcher->client);
    signal_fd(fetcher->stop_fd);
    pthread_join(fetcher->thread, NULL);
    pthread_mutex_destroy(&fetcher->lock);
    watch_rows_done(&fetcher->rows);
    watch_workers_done(&fetcher->workers);
    error_done(&fetcher->error);
    http_client_free(fetcher->client);
    close(fetcher->news_fd);
    close(fetcher->stop_fd);
}

static void take_news(struct watch *watch)
{
    struct fetcher *fetcher = &watch->fetcher;
    uint64_t count;
    if (read(fetcher->news_fd, &count, sizeof(count)) < 0 || watch->is_paused)
        return;
    pthread_mutex_lock(&fetcher->lock);
    if (fetcher->is_fresh) {
        if (!error_is_set(&fetcher->error)) {
            struct watch_rows rows = fetcher->rows;
            fetcher->rows = (struct watch_rows){0};
            watch_rows_compare(&rows, &watch->rows);
            watch_rows_done(&watch->rows);
            watch->rows = rows;
            watch_workers_done(&watch->workers);
            watch->workers = fetcher->workers;
            fetcher->workers = (struct watch_workers){0};
            watch->fetched_ms = clock_now_ms();
        }
        error_done(&watch->error);
        watch->error = (struct error){0};
        error_copy(&watch->error, &fetcher->error);
        fetcher->is_fresh = false;
    }
    pthread_mutex_unlock(&fetcher->lock);
}

/* ---- the frame ---- */

static void add_cut(struct text *frame, const char *line, size_t width)
{
    text_add_bytes(frame, line, text_cut(line, width));
    text_add(frame, "\n");
}

static void add_head(const struct watch *watch, size_t width, struct text *frame)
{
    _cleanup_(text_done) struct text line = {0};
    text_addf(&line, "backlog %s  ", http_client_url(watch->fetcher.client));
    if (watch->fetcher.is_of_workers)
        watch_workers_sum(&watch->workers, &line);
    else
        watch_rows_sum(&watch->rows, &line);
    if (watch->fetched_ms > 0)
        text_addf(&line, "  %.0f s ago", (double)(clock_now_ms() - watch->fetched_ms) / 1000);
    text_add(&line, watch->is_paused ? "  paused" : "");
    text_add(frame, console_begin(stdout, CONSOLE_BOLD));
    add_cut(frame, line.bytes, width);
    if (error_is_set(&watch->error)) {
        text_add(frame, console_begin(stdout, CONSOLE_RED));
        add_cut(frame, error_text(&watch->error), width);
    } else
        text_add(frame, watch->fetched_ms == 0 ? "fetching ...\n" : "\n");
}

static void add_foot(const struct watch *watch, size_t width, struct text *frame)
{
    _cleanup_(text_done) struct text line = {0};
    bool is_of_workers = watch->fetcher.is_of_workers;
    if (watch->is_typing)
        text_addf(&line, "filter: %s_", watch->view.filter);
    else
        text_addf(&line, "%zu to %zu of %zu  q quit%s  / filter%s%s%s%s  p pause",
                  watch->shown == 0 ? 0 : watch->view.first + 1,
                  watch->view.first + watch->page < watch->shown ? watch->view.first + watch->page
                                                                 : watch->shown,
                  watch->shown, is_of_workers ? "" : "  1-9 sort  r reverse",
                  watch->view.filter[0] == '\0' ? "" : " ", watch->view.filter,
                  is_of_workers ? "" : "  f failing", watch->view.only_failing ? " (on)" : "");
    text_add(frame, console_begin(stdout, CONSOLE_DIM));
    text_add_bytes(frame, line.bytes, text_cut(line.bytes, width));
}

static const char *color_of(const struct watch_row *row)
{
    return text_equal(row->state, "refused") ? console_begin(stdout, CONSOLE_RED)
           : text_equal(row->state, "held")  ? console_begin(stdout, CONSOLE_YELLOW)
           : row->is_active                  ? console_begin(stdout, CONSOLE_GREEN)
                                             : "";
}

/* Within the rows, of which there may be fewer than before. */
static void keep_first(struct watch *watch)
{
    if (watch->view.first + watch->page > watch->shown)
        watch->view.first = watch->shown > watch->page ? watch->shown - watch->page : 0;
}

static void add_triggers(struct watch *watch, size_t width, struct text *frame)
{
    _cleanup_(memory_free) const struct watch_row **shown =
        watch_view_rows(&watch->view, &watch->rows, &watch->shown);
    keep_first(watch);
    size_t label = watch_label_width(shown, watch->shown, width);
    add_head(watch, width, frame);
    text_add(frame, console_begin(stdout, CONSOLE_BOLD));
    watch_row_write(NULL, label, width, frame);
    text_add(frame, "\n");
    for (size_t i = 0; i < watch->page; i++) {
        size_t row = watch->view.first + i;
        if (row < watch->shown) {
            text_add(frame, color_of(shown[row]));
            watch_row_write(shown[row], label, width, frame);
        }
        text_add(frame, "\n");
    }
}

static const char *color_of_worker(const struct watch_worker *worker)
{
    return worker->is_wrong                       ? console_begin(stdout, CONSOLE_RED)
           : text_equal(worker->state, "Pending") ? console_begin(stdout, CONSOLE_YELLOW)
           : text_equal(worker->state, "Running") ? console_begin(stdout, CONSOLE_GREEN)
                                                  : "";
}

static void add_workers(struct watch *watch, size_t width, struct text *frame)
{
    const struct watch_workers *workers = &watch->workers;
    size_t at = 0, lines = 0;
    watch->shown = 0;
    for (size_t i = 0; i < workers->count; i++)
        watch->shown += watch_worker_has(&workers->items[i], watch->view.filter);
    keep_first(watch);
    add_head(watch, width, frame);
    text_add(frame, console_begin(stdout, CONSOLE_BOLD));
    watch_worker_write(NULL, width, frame);
    text_add(frame, "\n");
    for (size_t i = 0; i < workers->count && lines < watch->page; i++) {
        if (!watch_worker_has(&workers->items[i], watch->view.filter) || at++ < watch->view.first)
            continue;
        text_add(frame, color_of_worker(&workers->items[i]));
        watch_worker_write(&workers->items[i], width, frame);
        text_add(frame, "\n");
        lines++;
    }
    for (; lines < watch->page; lines++)
        text_add(frame, "\n");
}

static void draw(struct watch *watch)
{
    size_t rows, width;
    _cleanup_(text_done) struct text frame = {0};
    screen_size(&rows, &width);
    watch->page = rows > LINES_AROUND ? rows - LINES_AROUND : 1;
    if (watch->fetcher.is_of_workers)
        add_workers(watch, width, &frame);
    else
        add_triggers(watch, width, &frame);
    add_foot(watch, width, &frame);
    screen_show(&frame);
}

/* ---- keys ---- */

static void type_key(struct watch *watch, int key)
{
    char *filter = watch->view.filter;
    size_t length = strlen(filter);
    if (key == SCREEN_ENTER)
        watch->is_typing = false;
    else if (key == SCREEN_ESCAPE) {
        watch->is_typing = false;
        filter[0] = '\0';
    } else if (key == SCREEN_BACKSPACE && length > 0)
        filter[length - 1] = '\0';
    else if (key < 256 && isprint(key) && length + 1 < sizeof(watch->view.filter)) {
        filter[length] = (char)key;
        filter[length + 1] = '\0';
    }
    watch->view.first = 0;
}

static void scroll(struct watch *watch, ptrdiff_t lines)
{
    ptrdiff_t first = (ptrdiff_t)watch->view.first + lines;
    watch->view.first = first < 0 ? 0 : (size_t)first; /* draw() keeps it within the rows */
}

static void handle_key(struct watch *watch, int key)
{
    if (watch->is_typing) {
        type_key(watch, key);
        return;
    }
    if (key >= '1' && key < '1' + WATCH_COLUMNS) {
        enum watch_column sort = (enum watch_column)(key - '1');
        watch->view.is_reversed = sort == watch->view.sort && !watch->view.is_reversed;
        watch->view.sort = sort;
        return;
    }
    switch (key) {
    case 'q':
        watch->is_over = true;
        break;
    case 'r':
        watch->view.is_reversed = !watch->view.is_reversed;
        break;
    case '/':
        watch->is_typing = true;
        break;
    case SCREEN_ESCAPE:
        watch->view.filter[0] = '\0';
        break;
    case 'f':
        watch->view.only_failing = !watch->view.only_failing;
        break;
    case 'p':
        watch->is_paused = !watch->is_paused;
        break;
    case 'j':
    case SCREEN_DOWN:
        scroll(watch, 1);
        break;
    case 'k':
    case SCREEN_UP:
        scroll(watch, -1);
        break;
    case ' ':
    case SCREEN_PAGE_DOWN:
        scroll(watch, (ptrdiff_t)watch->page);
        break;
    case SCREEN_PAGE_UP:
        scroll(watch, -(ptrdiff_t)watch->page);
        break;
    case SCREEN_HOME:
        watch->view.first = 0;
        break;
    case SCREEN_END:
        watch->view.first = watch->shown;
        break;
    default:
        break;
    }
}

/* ---- the command ---- */

static bool print_once(const struct watch_flags *flags, struct watch_view *view,
                       struct error *error)
{
    struct watch_rows rows = {0};
    struct http_client *client = http_client_new(&flags->server_http, flags->timeout_ms);
    bool good = watch_rows_fetch(client, &rows, error);
    size_t count = 0;
    _cleanup_(memory_free) const struct watch_row **shown = watch_view_rows(view, &rows, &count);
    size_t label = watch_label_width(shown, count, WIDE);
    for (size_t i = 0; good && flags->output == OUTPUT_JSON && i < count; i++)
        console_print_json(watch_row_json(shown[i]));
    if (good && flags->output == OUTPUT_TEXT) {
        _cleanup_(text_done) struct text page = {0};
        watch_rows_sum(&rows, &page);
        text_add(&page, "\n");
        watch_row_write(NULL, label, WIDE, &page);
        text_add(&page, "\n");
        for (size_t i = 0; i < count; i++) {
            watch_row_write(shown[i], label, WIDE, &page);
            text_add(&page, "\n");
        }
        fputs(page.bytes, stdout);
    }
    watch_rows_done(&rows);
    http_client_free(client);
    return good;
}

/* The server begins to read when somebody asks: it is asked until it has read, or for --timeout. */
static bool print_workers(const struct watch_flags *flags, const struct watch_view *view,
                          struct error *error)
{
    enum { AGAIN_MS = 200 };
    struct watch_workers workers = {0};
    struct http_client *client = http_client_new(&flags->server_http, flags->timeout_ms);
    int64_t deadline_ms = clock_now_ms() + flags->timeout_ms;
    bool good;
    do {
        watch_workers_done(&workers);
        good = watch_workers_fetch(client, &workers, error);
    } while (good && !workers.is_read && clock_now_ms() < deadline_ms &&
             poll(NULL, 0, AGAIN_MS) == 0);
    if (good && !workers.is_read)
        good = error_unavailable(error, "%s: the workers were not read within --timeout",
                                 http_client_url(client));
    _cleanup_(text_done) struct text page = {0};
    watch_workers_sum(&workers, &page);
    text_add(&page, "\n");
    watch_worker_write(NULL, WIDE, &page);
    text_add(&page, "\n");
    for (size_t i = 0; good && i < workers.count; i++) {
        if (!watch_worker_has(&workers.items[i], view->filter))
            continue;
        if (flags->output == OUTPUT_JSON)
            console_print_json(watch_worker_json(&workers.items[i]));
        watch_worker_write(&workers.items[i], WIDE, &page);
        text_add(&page, "\n");
    }
    if (good && flags->output == OUTPUT_TEXT)
        fputs(page.bytes, stdout);
    watch_workers_done(&workers);
    http_client_free(client);
    return good;
}

static bool watch_until_quit(const struct watch_flags *flags, const struct watch_view *view,
                             struct error *error)
{
    struct watch watch = {.view = *view};
    if (!screen_begin(error))
        return false;
    fetcher_start(&watch.fetcher, flags);
    while (!watch.is_over && !screen_is_ending()) {
        draw(&watch);
        int key = screen_wait(watch.fetcher.news_fd, REDRAW_MS);
        take_news(&watch);
        if (key != SCREEN_NONE)
            handle_key(&watch, key);
    }
    screen_end();
    fetcher_stop(&watch.fetcher);
    watch_rows_done(&watch.rows);
    watch_workers_done(&watch.workers);
    error_done(&watch.error);
    return true;
}

static int run_watch(const struct command_line *line, struct error *error)
{
    const struct watch_flags *flags = line->flags;
    struct watch_view view = {.sort = WATCH_LABEL};
    if (flags->filter != NULL)
        snprintf(view.filter, sizeof(view.filter), "%s", flags->filter);
    bool is_once = flags->once || flags->output == OUTPUT_JSON || !isatty(STDOUT_FILENO) ||
                   !isatty(STDIN_FILENO);
    bool good = !is_once         ? watch_until_quit(flags, &view, error)
                : flags->workers ? print_workers(flags, &view, error)
                                 : print_once(flags, &view, error);
    return good ? 0 : 1;
}

const struct command command_watch = {
    .name = "watch",
    .summary = "show the triggers of a server, as a table that redraws",
    .about = "Shows every trigger that KEDA has called a server for: its value, how fast that "
             "changes, target, wanted replicas, and errors. With --workers: the pods behind "
             "them, with state, restarts, age, jobs done, CPU and memory.\n\n"
             "Keys: q quits; 1 to 9 sort by a column, again in reverse; / filters (Esc ends it); f "
             "shows failing triggers only; p pauses; arrows, PgUp and PgDn scroll.",
    .exit_status = "0 shown; 1 the server did not answer (with --once)",
    .examples = {{"behind `kubectl -n keda port-forward deploy/backlog 9091`", "backlog watch"},
                 {"the workers, and why some wait", "backlog watch --workers"},
                 {"once, for a script",
                  "backlog watch --server-http backlog.keda.svc:9091 --once --output json"}},
    .flags = table,
    .flags_size = sizeof(struct watch_flags),
    .run = run_watch,
};
