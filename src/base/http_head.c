#include "base/http_head.h"

size_t http_head_take(char *line, size_t size, size_t count, void *head)
{
    struct http_head *taken = head;
    (void)line;
    taken->lines++;
    taken->bytes += size * count;
    return http_head_is_too_large(taken) ? 0 : size * count;
}

bool http_head_is_too_large(const struct http_head *head)
{
    return head->lines > HTTP_HEAD_MAX_LINES || head->bytes > HTTP_HEAD_MAX_BYTES;
}
