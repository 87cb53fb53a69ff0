/*
 * Bytes on the HTTP port: whatever they are, the server outlives them, and serves the next client.
 */
#include "base/memory.h"
#include "require.h"
#include "web/pages/explain.h"
#include "web/pages/history_page.h"
#include "web/web.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* There is only one thread that asks. */
static bool run_at_once(void *context, void (*call)(void *call_context), void *call_context)
{
    (void)context;
    call(call_context);
    return true;
}

static struct web *start(void)
{
    static struct trigger_walk walk;
    static struct web_page pages[4];
    _cleanup_(error_done) struct error error = {0};
    static const struct scaler *const none[] = {NULL};
    struct web *web = NULL;
    signal(SIGPIPE, SIG_IGN);
    walk = (struct trigger_walk){
        .triggers = triggers_new(&(struct triggers_settings){
            .scalers = none, .rules = {.interval_ms = 5000, .hold_ms = 60000}, .max = 10}),
        .run = run_at_once,
    };
    struct option_entry entry = {"scaler", "none"};
    struct trigger_ref ref = {.name = "worker", .namespace = "shop", .entries = &entry, .count = 1};
    struct trigger *trigger;
    require(triggers_find(walk.triggers, &ref, 0, &trigger, &error));
    pages[0] = (struct web_page){"/api/triggers", explain_list, &walk};
    pages[1] = (struct web_page){"/api/triggers/", explain_one, &walk};
    pages[2] = (struct web_page){"/api/history/", history_page, &walk};
    const struct web_settings settings = {.listen = "127.0.0.1:0", .pages = pages};
    require(web_start(&settings, &web, &error));
    return web;
}

/* -1: the machine has no port left for a while, so many were used; or the fuzzer's timer went off.
 */
static int connect_to(const struct web *web)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)web_port(web)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct linger at_once = {1, 0}; /* or the machine is full of connections that linger */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        require(errno == EADDRNOTAVAIL || errno == EINTR);
        close(fd);
        usleep(100000);
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct web *web;
    static unsigned count;
    char answer[4096];
    if (web == NULL)
        web = start();

    int fd = connect_to(web);
    if (fd < 0)
        return 0;
    send(fd, data, size, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    while (recv(fd, answer, sizeof(answer), 0) > 0)
        ;
    close(fd);

    if (++count % 64 != 0)
        return 0;
    static const char question[] =
        "GET /api/triggers/shop/worker HTTP/1.1\r\nHost: localhost\r\n\r\n";
    fd = connect_to(web);
    if (fd < 0)
        return 0;
    send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL);
    ssize_t length = recv(fd, answer, 12, MSG_WAITALL);
    require((length == 12 && memcmp(answer, "HTTP/1.1 200", 12) == 0) || errno == EINTR);
    close(fd);
    return 0;
}
