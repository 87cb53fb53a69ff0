#include "cli/command.h"

#include "base/clock.h"
#include "base/memory.h"
#include "cli/common_flags.h"
#include "cli/console.h"
#include "commands/watch_fetcher.h"
#include "commands/watch_form.h"
#include "commands/watch_screen.h"

#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    FLAG("workers", OPTION_BOOL, workers, "false", .alias = "w",
         .doc = "the pods of the ScaledObjects and ScaledJobs instead, which a server with "
                "--workers lists, or the workers of a rehearsal"),
    FLAG("interval", OPTION_DURATION, interval_ms, "2s", .limits = {100, 3600 * 1000},
         .doc = "between two refreshes"),
    FLAG("filter", OPTION_STRING, filter, NULL,
         .doc = "only triggers with this in their name, scaler, metric or state, or workers with "
                "this in their object, name, state or reason"),
    SERVER_HTTP_FLAGS,
    OUTPUT_FLAG(.doc = "text, or one JSON object per trigger and line, once"),
    {0},
};

struct watch {
    const struct watch_form *form;
    const char *url; /* of the server */
    struct watch_fetcher *fetcher;
    struct watch_view view;
    void *content; /* NULL: nothing was fetched yet */
    struct error error;
    int64_t fetched_ms; /* 0: never */
    bool is_paused, is_typing, is_over;
    size_t shown, page; /* items that the view has, and that the screen has room for */
};

/* What comes while it is paused is not shown. */
static void take_news(struct watch *watch)
{
    const struct watch_form *form = watch->form;
    void *content = NULL;
    _cleanup_(error_done) struct error error = {0};
    if (!watch_fetcher_take(watch->fetcher, &content, &error))
        return;
    if (watch->is_paused) {
        form->free(content);
        return;
    }
    if (content != NULL) {
        if (form->compare != NULL && watch->content != NULL)
            form->compare(content, watch->content);
        form->free(watch->content);
        watch->content = content;
        watch->fetched_ms = clock_now_ms();
    }
    error_done(&watch->error);
    error_move(&watch->error, &error);
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
    text_addf(&line, "backlog %s  ", watch->url);
    if (watch->content != NULL) {
        watch->form->sum(watch->content, &line);
        text_addf(&line, "  %.0f s ago", (double)(clock_now_ms() - watch->fetched_ms) / 1000);
    }
    text_add(&line, watch->is_paused ? "  paused" : "");
    text_add(frame, console_begin(stdout, CONSOLE_BOLD));
    add_cut(frame, line.bytes, width);
    if (error_is_set(&watch->error)) {
        text_add(frame, console_begin(stdout, CONSOLE_RED));
        _cleanup_(memory_free) char *clean = console_text(error_text(&watch->error));
        add_cut(frame, clean, width);
    } else
        text_add(frame, watch->content == NULL ? "fetching ...\n" : "\n");
}

static void add_foot(const struct watch *watch, size_t width, struct text *frame)
{
    _cleanup_(text_done) struct text line = {0};
    const struct watch_form *form = watch->form;
    size_t end = watch->view.first + watch->page;
    if (watch->is_typing)
        text_addf(&line, "filter: %s_", watch->view.filter);
    else
        text_addf(&line, "%zu to %zu of %zu  q quit%s  / filter%s%s%s%s  p pause",
                  watch->shown == 0 ? 0 : watch->view.first + 1,
                  end < watch->shown ? end : watch->shown, watch->shown, form->sort_keys,
                  watch->view.filter[0] == '\0' ? "" : " ", watch->view.filter, form->failing_keys,
                  watch->view.only_failing ? " (on)" : "");
    text_add(frame, console_begin(stdout, CONSOLE_DIM));
    text_add_bytes(frame, line.bytes, text_cut(line.bytes, width));
}

static void draw(struct watch *watch)
{
    size_t rows, width;
    const struct watch_form *form = watch->form;
    _cleanup_(text_done) struct text frame = {0};
    _cleanup_(memory_free) const void **items = NULL;
    watch->shown = 0;
    if (watch->content != NULL)
        items = form->list(&watch->view, watch->content, &watch->shown);
    screen_size(&rows, &width);
    watch->page = rows > LINES_AROUND ? rows - LINES_AROUND : 1;
    if (watch->view.first + watch->page > watch->shown) /* there may be fewer than before */
        watch->view.first = watch->shown > watch->page ? watch->shown - watch->page : 0;
    size_t label = form->label_width(items, watch->shown, width);
    add_head(watch, width, &frame);
    text_add(&frame, console_begin(stdout, CONSOLE_BOLD));
    form->write(NULL, label, width, &frame);
    text_add(&frame, "\n");
    for (size_t i = watch->view.first; i < watch->view.first + watch->page; i++) {
        if (i < watch->shown) {
            text_add(&frame, form->color(items[i]));
            form->write(items[i], label, width, &frame);
        }
        text_add(&frame, "\n");
    }
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

/* A server that is still reading is asked until it has read, or for --timeout. NULL with the
 * error. */
static void *fetch_all(const struct watch_form *form, struct http_client *client,
                       int64_t timeout_ms, struct error *error)
{
    enum { AGAIN_MS = 200 };
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    void *content;
    while ((content = form->fetch(client, error)) != NULL) {
        if (form->is_complete == NULL || form->is_complete(content))
            return content;
        form->free(content);
        if (clock_now_ms() >= deadline_ms || poll(NULL, 0, AGAIN_MS) != 0) {
            error_unavailable(error, "%s: %s", http_client_url(client), form->unread);
            return NULL;
        }
    }
    return NULL;
}

static void print_text(const struct watch_form *form, const void *content, const void *const *items,
                       size_t count)
{
    _cleanup_(text_done) struct text page = {0};
    size_t label = form->label_width(items, count, WIDE);
    form->sum(content, &page);
    text_add(&page, "\n");
    form->write(NULL, label, WIDE, &page);
    text_add(&page, "\n");
    for (size_t i = 0; i < count; i++) {
        form->write(items[i], label, WIDE, &page);
        text_add(&page, "\n");
    }
    fputs(page.bytes, stdout);
}

static bool print_once(const struct watch_flags *flags, const struct watch_form *form,
                       const struct watch_view *view, struct error *error)
{
    struct http_client *client = http_client_new(&flags->server_http, flags->timeout_ms);
    void *content = fetch_all(form, client, flags->timeout_ms, error);
    http_client_free(client);
    if (content == NULL)
        return false;
    size_t count = 0;
    _cleanup_(memory_free) const void **items = form->list(view, content, &count);
    if (flags->output == OUTPUT_TEXT)
        print_text(form, content, items, count);
    for (size_t i = 0; flags->output == OUTPUT_JSON && i < count; i++)
        console_print_json(form->json(items[i]));
    form->free(content);
    return true;
}

static bool watch_until_quit(const struct watch_flags *flags, const struct watch_form *form,
                             const struct watch_view *view, struct error *error)
{
    if (!screen_begin(error))
        return false;
    struct http_client *client = http_client_new(&flags->server_http, flags->timeout_ms);
    struct watch watch = {
        .form = form,
        .url = http_client_url(client),
        .fetcher = watch_fetcher_start(client, form, flags->interval_ms),
        .view = *view,
    };
    while (!watch.is_over && !screen_is_ending()) {
        draw(&watch);
        int key = screen_wait(watch_fetcher_descriptor(watch.fetcher), REDRAW_MS);
        take_news(&watch);
        if (key != SCREEN_NONE)
            handle_key(&watch, key);
    }
    screen_end();
    watch_fetcher_stop(watch.fetcher);
    form->free(watch.content);
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
    const struct watch_form *form = flags->workers ? &watch_workers : &watch_triggers;
    bool good = is_once ? print_once(flags, form, &view, error)
                        : watch_until_quit(flags, form, &view, error);
    return good ? 0 : 1;
}

const struct command command_watch = {
    .name = "watch",
    .summary = "show the triggers of a server, as a table that redraws",
    .about = "Shows every trigger that KEDA has called a server for: its value, how fast that "
             "changes, target, wanted replicas, and errors. With --workers: the pods behind "
             "them, with state, restarts, age, jobs done, CPU and memory.\n\n"
             "Keys: q quits; 1 to 9 sort by a column, again in reverse; / filters (Esc ends it); f "
             "shows refused and held triggers only; p pauses; arrows, PgUp and PgDn scroll.",
    .exit_status = "0 shown; 1 the server did not answer (with --once)",
    .examples = {{"behind `kubectl -n keda port-forward deploy/backlog 9091`", "backlog watch"},
                 {"the workers, and why some wait", "backlog watch --workers"},
                 {"once, for a script",
                  "backlog watch --server-http backlog.keda.svc:9091 --once --output json"}},
    .flags = table,
    .flags_size = sizeof(struct watch_flags),
    .run = run_watch,
};
