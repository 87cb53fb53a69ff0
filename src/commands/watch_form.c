#include "commands/watch_form.h"

#include <math.h>
#include <stdio.h>

void watch_add_number(struct text *line, double value, int width, const char *format)
{
    char text[32] = "-";
    if (!isnan(value))
        snprintf(text, sizeof(text), format, value);
    text_addf(line, " %*s", width, text);
}
