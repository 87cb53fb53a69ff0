#include "lab/plot.h"

#include "base/memory.h"
#include "cli/console.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    WIDTH = 960,
    PANEL_HEIGHT = 200,
    LEFT = 70,
    RIGHT = 20,
    TOP = 50,
    GAP = 60,
    LINE = 18,        /* of the legend */
    MAX_POINTS = 800, /* of a curve */
};

/* Okabe and Ito's colours, which the colour-blind can distinguish. */
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#000000", "#8c8c00"};

static const char *colour(size_t series)
{
    return colours[series % (sizeof(colours) / sizeof(colours[0]))];
}

/* XML must be UTF-8, and has neither control characters nor U+FFFE and U+FFFF. */
static void add_escaped(struct text *svg, const char *string)
{
    _cleanup_(memory_free) char *clean = console_text(string);
    for (const char *at = clean; *at != '\0'; at++)
        if (*at == '<')
            text_add(svg, "&lt;");
        else if (*at == '>')
            text_add(svg, "&gt;");
        else if (*at == '&')
            text_add(svg, "&amp;");
        else if (text_starts_with(at, "\xEF\xBF\xBE") || text_starts_with(at, "\xEF\xBF\xBF")) {
            text_add(svg, "?");
            at += 2;
        } else
            text_add_bytes(svg, at, 1);
}

static void add_label(struct text *svg, double x, double y, const char *anchor, const char *label)
{
    text_addf(svg, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"%s\">", x, y, anchor);
    add_escaped(svg, label);
    text_add(svg, "</text>\n");
}

/* The next of 1, 2, 5, 10, 20, ... that makes at most `parts` of the range. */
static double round_step(double range, int parts)
{
    double step = pow(10, floor(log10(range / parts)));
    static const double factors[] = {1, 2, 5, 10};
    for (size_t i = 0; i < 4; i++)
        if (range / (step * factors[i]) <= parts)
            return step * factors[i];
    return step * 10;
}

static double largest_of(const struct plot_panel *panel, size_t values)
{
    double largest = 1;
    for (size_t i = 0; i < panel->series_count; i++)
        for (size_t value = 0; value < values; value++)
            largest = fmax(largest, panel->series[i].values[value]);
    return largest;
}

static double x_of(const struct plot *plot, double value)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * value / (double)plot->values;
}

size_t plot_bucket(size_t values)
{
    return (values + MAX_POINTS - 1) / MAX_POINTS;
}

/* Of a bucket of values the largest is drawn: a short peak is what one looks for. Where all are
 * unknown is a gap. */
static void draw_series(const struct plot *plot, const struct plot_series *series, double top,
                        double largest, const char *stroke, struct text *svg)
{
    size_t bucket = plot_bucket(plot->values);
    bool is_open = false;
    for (size_t first = 0; first < plot->values; first += bucket) {
        double peak = NAN;
        for (size_t i = first; i < first + bucket && i < plot->values; i++)
            peak = fmax(peak, series->values[i]);
        if (is_open && isnan(peak))
            text_add(svg, "\"/>\n");
        else if (!is_open && !isnan(peak))
            text_addf(svg, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"",
                      stroke);
        is_open = !isnan(peak);
        if (!is_open)
            continue;
        text_addf(svg, "%.1f,%.1f ", x_of(plot, (double)first),
                  top + PANEL_HEIGHT * (1 - fmax(0, peak) / largest));
    }
    if (is_open)
        text_add(svg, "\"/>\n");
}

static void draw_time_axis(const struct plot *plot, double top, struct text *svg)
{
    char label[64];
    double minutes = (double)plot->values * plot->value_seconds / 60;
    if (minutes <= 0)
        return;
    double step = round_step(minutes, 8);
    for (int i = 0; i * step <= minutes; i++) {
        snprintf(label, sizeof(label), "%.10g min", i * step);
        add_label(svg, x_of(plot, i * step * 60 / plot->value_seconds), top + PANEL_HEIGHT + 16,
                  "middle", label);
    }
}

static void draw_axes(const struct plot *plot, const struct plot_panel *panel, double top,
                      double largest, struct text *svg)
{
    char label[64];
    double step = round_step(largest, 5);
    for (int i = 0; i * step <= largest; i++) {
        double value = i * step;
        double y = top + PANEL_HEIGHT * (1 - value / largest);
        text_addf(svg, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>\n", LEFT, y,
                  WIDTH - RIGHT, y);
        snprintf(label, sizeof(label), "%.10g", value);
        add_label(svg, LEFT - 8, y + 4, "end", label);
    }
    draw_time_axis(plot, top, svg);
    add_label(svg, LEFT, top - 8, "start", panel->title);
}

static void draw_legend(const struct plot_panel *panel, double top, struct text *svg)
{
    for (size_t i = 0; panel->series_count > 1 && i < panel->series_count; i++) {
        double y = top + LINE * (double)(i + 1);
        text_addf(svg, "<rect x=\"%d\" y=\"%.0f\" width=\"12\" height=\"3\" fill=\"%s\"/>\n",
                  LEFT + 10, y - 5, colour(i));
        add_label(svg, LEFT + 28, y, "start", panel->series[i].name);
    }
}

void plot_draw(const struct plot *plot, struct text *svg)
{
    double height = TOP + (double)plot->panel_count * (PANEL_HEIGHT + GAP);
    text_addf(svg,
              "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
              "viewBox=\"0 0 %d %.0f\" font-family=\"sans-serif\" font-size=\"12\">\n"
              "<style>line{stroke:#ddd}</style>\n"
              "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
              WIDTH, height, WIDTH, height);
    add_label(svg, WIDTH / 2.0, 20, "middle", plot->title);
    for (size_t i = 0; i < plot->panel_count; i++) {
        const struct plot_panel *panel = &plot->panels[i];
        double top = TOP + (double)i * (PANEL_HEIGHT + GAP);
        double largest = largest_of(panel, plot->values);
        draw_axes(plot, panel, top, largest, svg);
        for (size_t series = 0; series < panel->series_count; series++)
            draw_series(plot, &panel->series[series], top, largest, colour(series), svg);
        draw_legend(panel, top, svg);
    }
    text_add(svg, "</svg>\n");
}

bool plot_write(const struct plot *plot, const char *path, struct error *error)
{
    struct text svg = {0};
    plot_draw(plot, &svg);
    FILE *file = fopen(path, "we");
    bool good = file != NULL && fwrite(svg.bytes, 1, svg.length, file) == svg.length;
    good = (file == NULL || fclose(file) == 0) && good;
    text_done(&svg);
    return good || error_invalid(error, "--plot %s: cannot be written: %s", path, strerror(errno));
}
