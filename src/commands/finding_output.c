#include "commands/finding_output.h"

#include "cli/console.h"

static void print_json(const struct finding *finding)
{
    console_print_json(
        json_pack("{s:s, s:o, s:I, s:s, s:o, s:o}", "type", "finding", "path",
                  console_json_text(finding->path), "line", (json_int_t)finding->line, "level",
                  finding_level_names[finding->level], "object", console_json_text(finding->object),
                  "text", console_json_text(finding->text)));
}

static void print_text(FILE *file, const struct finding *finding)
{
    static const enum console_color colors[FINDING_LEVELS] = {[FINDING_ERROR] = CONSOLE_RED,
                                                              [FINDING_WARNING] = CONSOLE_YELLOW,
                                                              [FINDING_NOTE] = CONSOLE_DIM};
    console_print(file, finding->path);
    if (finding->line > 0)
        fprintf(file, ":%zu", finding->line);
    fprintf(file, ": %s%s:%s ", console_begin(file, colors[finding->level]),
            finding_level_names[finding->level], console_end(file));
    console_print(file, finding->object);
    fputs(finding->object[0] == '\0' ? "" : ": ", file);
    console_print(file, finding->text);
    fputs("\n", file);
}

void findings_print(const struct findings *findings, FILE *file, bool is_json, bool hides_notes)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        if (finding->level == FINDING_NOTE && hides_notes)
            continue;
        if (is_json)
            print_json(finding);
        else
            print_text(file, finding);
    }
}
