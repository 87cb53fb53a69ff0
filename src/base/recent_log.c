#include "base/recent_log.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct {
    pthread_mutex_t lock;
    bool is_on;
    uint64_t last; /* the number of the last line */
    struct recent_line lines[RECENT_LOG_LINES];
} recent = {.lock = PTHREAD_MUTEX_INITIALIZER};

void recent_log_start(void)
{
    pthread_mutex_lock(&recent.lock);
    recent.is_on = true;
    pthread_mutex_unlock(&recent.lock);
}

void recent_log_add(int level, const char *text)
{
    pthread_mutex_lock(&recent.lock);
    if (recent.is_on) {
        struct recent_line *line = &recent.lines[++recent.last % RECENT_LOG_LINES];
        free(line->text);
        *line = (struct recent_line){
            .number = recent.last,
            .unix_ms = clock_now_ms() + (int64_t)clock_unix_offset_ms(),
            .level = level,
            .text = text_copy_bytes(text, text_cut(text, RECENT_LOG_BYTES)),
        };
        text_make_utf8(line->text);
    }
    pthread_mutex_unlock(&recent.lock);
}

size_t recent_log_read(uint64_t after, struct recent_line *ret_lines, size_t room)
{
    size_t count = 0;
    pthread_mutex_lock(&recent.lock);
    uint64_t first = recent.last < RECENT_LOG_LINES ? 1 : recent.last - RECENT_LOG_LINES + 1;
    if (after + 1 > first)
        first = after + 1;
    for (uint64_t number = first; number <= recent.last && count < room; number++) {
        const struct recent_line *line = &recent.lines[number % RECENT_LOG_LINES];
        ret_lines[count] = *line;
        ret_lines[count++].text = text_copy(line->text);
    }
    pthread_mutex_unlock(&recent.lock);
    return count;
}

void recent_line_done(struct recent_line *line)
{
    free(line->text);
    *line = (struct recent_line){0};
}
