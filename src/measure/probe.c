#include "measure/scaler.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdarg.h>

static void end(struct probe *probe, const struct reading *reading, const struct error *error)
{
    if (probe->ended)
        return;
    probe->ended = true;
    probe->end(probe, reading, error);
}

void probe_answer(struct probe *probe, const struct reading *reading)
{
    end(probe, reading, NULL);
}

void probe_fail(struct probe *probe, const struct error *error)
{
    end(probe, NULL, error);
}

void probe_failf(struct probe *probe, const char *format, ...)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(text_done) struct text text = {0};
    va_list arguments;
    va_start(arguments, format);
    text_addv(&text, format, arguments);
    va_end(arguments);

    error_unavailable(&error, "%s", text.bytes == NULL ? "" : text.bytes);
    end(probe, NULL, &error);
}

void waker_wake(const struct waker *waker)
{
    waker->wake(waker->context, waker->id);
}

bool probe_wants_arm(const struct probe *probe)
{
    return probe->waker.id != 0;
}

void probe_armed(struct probe *probe)
{
    probe->armed = true;
}

void probe_cannot_arm(struct probe *probe, const struct error *error)
{
    if (probe_wants_arm(probe))
        error_copy(&probe->arm_error, error);
}
