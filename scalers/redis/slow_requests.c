#include "redis/slow_requests.h"

static size_t find(const struct redis_slow_requests *slow, uint64_t hash)
{
    size_t i = 0;
    while (i < slow->count && slow->hashes[i] != hash)
        i++;
    return i;
}

bool redis_slow_requests_have(const struct redis_slow_requests *slow,
                              const struct redis_requests *requests, const struct task *task)
{
    return slow->count > 0 && find(slow, requests->hash_of(task)) < slow->count;
}

void redis_slow_requests_note(struct redis_slow_requests *slow,
                              const struct redis_requests *requests, const struct task *task,
                              bool is_slow)
{
    if (!is_slow && slow->count == 0)
        return;
    uint64_t hash = requests->hash_of(task);
    size_t place = find(slow, hash);
    bool is_noted = place < slow->count;
    if (is_slow == is_noted)
        return;
    if (!is_slow) {
        slow->hashes[place] = slow->hashes[--slow->count];
        return;
    }
    if (slow->count < REDIS_MAX_SLOW_REQUESTS) {
        slow->hashes[slow->count++] = hash;
        return;
    }
    slow->hashes[slow->next] = hash;
    slow->next = (slow->next + 1) % REDIS_MAX_SLOW_REQUESTS;
}
