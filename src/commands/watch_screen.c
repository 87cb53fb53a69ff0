#include "commands/watch_screen.h"

#include "base/memory.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static volatile sig_atomic_t is_begun, is_ending, is_stopping;

static const char enter[] =
    "\033[?1049h\033[?25l\033[?7l"; /* second buffer, no cursor, no wrapping */
static const char leave[] = "\033[?7h\033[?25h\033[?1049l";

static void write_all(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, length);
        if (written < 0 && errno != EINTR && errno != EAGAIN)
            return;
        bytes += written < 0 ? 0 : written;
        length -= written < 0 ? 0 : (size_t)written;
    }
}

static void take_terminal(void)
{
    struct termios raw = saved;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_iflag &= ~(tcflag_t)(ICRNL | IXON);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    write_all(enter, strlen(enter));
}

/* Only what a signal handler may call. */
void screen_end(void)
{
    if (!is_begun)
        return;
    is_begun = 0;
    write_all(leave, strlen(leave));
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
}

static void on_end(int number)
{
    (void)number;
    is_ending = 1;
}

static void on_stop(int number)
{
    (void)number;
    is_stopping = 1;
}

static void on_resize(int number)
{
    (void)number; /* it ends the wait */
}

/* The handler is taken away before it runs: the signal comes again, and ends the process. */
static void on_crash(int number)
{
    screen_end();
    raise(number);
}

static void catch (int number, void (*handler)(int), int flags)
{
    const struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(number, &action, NULL);
}

static void catch_signals(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++)
        catch (ends[i], on_end, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(crashes); i++)
        catch (crashes[i], on_crash, (int)SA_RESETHAND | SA_NODEFER);
    catch (SIGTSTP, on_stop, 0);
    catch (SIGWINCH, on_resize, 0);
    catch (SIGPIPE, SIG_IGN, 0);
}

bool screen_begin(struct error *error)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &saved) != 0)
        return error_invalid(error, "this is no terminal: use --once");
    catch_signals();
    atexit(screen_end);
    is_begun = 1;
    take_terminal();
    return true;
}

void screen_size(size_t *ret_rows, size_t *ret_columns)
{
    struct winsize size = {0};
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    *ret_rows = size.ws_row == 0 ? 24 : size.ws_row;
    *ret_columns = size.ws_col == 0 ? 80 : size.ws_col;
}

bool screen_is_ending(void)
{
    return is_ending;
}

/* Ctrl-Z: the shell has the terminal as it was, until `fg`. */
static void stop(void)
{
    is_stopping = 0;
    screen_end();
    raise(SIGSTOP);
    is_begun = 1;
    take_terminal();
}

static int read_key(void)
{
    static const struct {
        const char *sequence;
        int key;
    } keys[] = {{"[A", SCREEN_UP},   {"[B", SCREEN_DOWN},     {"OA", SCREEN_UP},
                {"OB", SCREEN_DOWN}, {"[5~", SCREEN_PAGE_UP}, {"[6~", SCREEN_PAGE_DOWN},
                {"[H", SCREEN_HOME}, {"[F", SCREEN_END},      {"[1~", SCREEN_HOME},
                {"[4~", SCREEN_END}};
    char bytes[16] = {0};
    ssize_t count = read(STDIN_FILENO, bytes, 1);
    if (count <= 0)
        return SCREEN_NONE;
    if (bytes[0] != SCREEN_ESCAPE)
        return bytes[0] == '\b'   ? SCREEN_BACKSPACE
               : bytes[0] == '\n' ? SCREEN_ENTER
                                  : (unsigned char)bytes[0];
    count = read(STDIN_FILENO, bytes, sizeof(bytes) - 1); /* the rest of a sequence is there */
    for (size_t i = 0; count > 0 && i < ARRAY_LENGTH(keys); i++)
        if (strcmp(bytes, keys[i].sequence) == 0)
            return keys[i].key;
    return count > 0 ? SCREEN_NONE : SCREEN_ESCAPE;
}

int screen_wait(int fd, int timeout_ms)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    if (is_stopping)
        stop();
    if (is_ending)
        return SCREEN_NONE;
    poll(fds, ARRAY_LENGTH(fds), timeout_ms);
    if (fds[0].revents & (POLLHUP | POLLERR)) /* the terminal is gone */
        is_ending = 1;
    return fds[0].revents & POLLIN ? read_key() : SCREEN_NONE;
}

void screen_show(const struct text *frame)
{
    _cleanup_(text_done) struct text output = {0};
    text_add(&output, "\033[H");
    for (const char *line = frame->bytes; line != NULL && *line != '\0';) {
        size_t length = strcspn(line, "\n");
        text_add_bytes(&output, line, length);
        text_add(&output, "\033[0m\033[K");
        line += length + (line[length] == '\n');
        if (*line != '\0')
            text_add(&output, "\r\n");
    }
    text_add(&output, "\033[J");
    write_all(output.bytes, output.length);
}
