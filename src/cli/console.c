#include "cli/console.h"

#include "base/memory.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool has_colors(FILE *file)
{
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    bool is_wanted = no_color == NULL || no_color[0] == '\0';
    return is_wanted && terminal != NULL && !text_equal(terminal, "dumb") && isatty(fileno(file));
}

const char *console_begin(FILE *file, enum console_color color)
{
    static const char *const sequences[] = {
        [CONSOLE_RED] = "\033[31m",  [CONSOLE_GREEN] = "\033[32m", [CONSOLE_YELLOW] = "\033[33m",
        [CONSOLE_BLUE] = "\033[34m", [CONSOLE_BOLD] = "\033[1m",   [CONSOLE_DIM] = "\033[2m"};
    return has_colors(file) ? sequences[color] : "";
}

const char *console_end(FILE *file)
{
    return has_colors(file) ? "\033[0m" : "";
}

void console_clean(char *text)
{
    for (char *at = text; *at != '\0'; at++) {
        size_t length = text_control(at);
        memset(at, '?', length);
        at += length > 0 ? length - 1 : 0;
    }
}

char *console_text(const char *text)
{
    char *clean = text_copy(text == NULL ? "" : text);
    text_make_utf8(clean);
    console_clean(clean);
    return clean;
}

void console_print(FILE *file, const char *text)
{
    _cleanup_(memory_free) char *clean = console_text(text);
    fputs(clean, file);
}

json_t *console_json_text(const char *text)
{
    _cleanup_(memory_free) char *valid = text_copy(text);
    text_make_utf8(valid);
    return json_string(valid);
}

json_t *console_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

void console_write_json(const json_t *json, size_t flags)
{
    json_dumpf(json, stdout, flags | JSON_ENSURE_ASCII);
    printf("\n");
}

void console_print_json(json_t *object)
{
    console_write_json(object, JSON_COMPACT | JSON_REAL_PRECISION(10));
    json_decref(object);
}
