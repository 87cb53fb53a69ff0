#include "web/port.h"

#include "base/error.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

void write_greeting(void *context, const struct page_request *request,
                    struct page_response *response)
{
    const char *name = page_request_parameter(request, "name");
    text_addf(&response->body, "%s %s", (const char *)context, name == NULL ? "nobody" : name);
}

atomic_int silent_readers;

static void *open_silent(void *context, bool has_session)
{
    (void)has_session;
    silent_readers++;
    return context;
}

static void close_silent(void *context, void *reader)
{
    (void)context;
    (void)reader;
    silent_readers--;
}

static int64_t update_rarely(void *context)
{
    (void)context;
    return 1000;
}

static bool write_nothing(void *context, void *reader, struct text *piece)
{
    (void)context;
    (void)reader;
    (void)piece;
    return false;
}

static void forget_nothing(void *context)
{
    (void)context;
}

const struct web_stream_hooks silent_stream = {.opened = open_silent,
                                               .closed = close_silent,
                                               .update = update_rarely,
                                               .write = write_nothing,
                                               .forget = forget_nothing};

int set_up_port(void **state, const struct web_page *pages, int64_t connection_ms)
{
    static const char *const names[] = {"backlog.keda.svc", "*.example", "Backlog.Example.COM"};
    _cleanup_(error_done) struct error error = {0};
    const struct web_settings settings = {.listen = "127.0.0.1:0",
                                          .pages = pages,
                                          .hosts = {names, ARRAY_LENGTH(names)},
                                          .connection_ms = connection_ms};
    signal(SIGPIPE, SIG_IGN);
    return web_start(&settings, (struct web **)state, &error) ? 0 : -1;
}

int teardown(void **state)
{
    web_stop(*state);
    return 0;
}

int connect_from(const struct web *web, uint32_t own)
{
    const struct sockaddr_in from = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + own)};
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)web_port(web)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&from, sizeof(from)), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

int connect_to(const struct web *web)
{
    return connect_from(web, 1);
}

void send_text(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void finish(int fd, struct text *response)
{
    char buffer[65536];
    ssize_t length;
    while ((length = recv(fd, buffer, sizeof(buffer), 0)) > 0)
        text_add_bytes(response, buffer, (size_t)length);
    close(fd);
}

char *fetch(const struct web *web, const char *request)
{
    struct text response = {0};
    int fd = connect_to(web);
    send_text(fd, request);
    finish(fd, &response);
    return text_take(&response);
}

void assert_response(void **state, const char *request, const char *begin, const char *end)
{
    _cleanup_(memory_free) char *response = fetch(*state, request);
    if (!text_starts_with(response, begin) || !text_ends_with(response, end))
        fail_msg("the response to %s is:\n%s", request, response);
}

bool is_answered_with(int fd, const char *begin)
{
    char buffer[64] = "";
    ssize_t length = recv(fd, buffer, sizeof(buffer) - 1, 0);
    return length > 0 && text_starts_with(buffer, begin);
}
