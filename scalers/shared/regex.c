/* A pattern becomes a program, all of whose threads run in step with the text (Thompson, 1968). */
#include "shared/regex.h"

#include "base/memory.h"
#include "base/text.h"

#include <ctype.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_REPETITIONS = 32767, /* RE_DUP_MAX of the C library */
    NO_LIMIT = -1,
};

enum operation {
    MATCHED,
    TAKE, /* a byte of the set */
    FORK, /* goes on at both */
    BEGINNING,
    END,
    WORD_BOUNDARY,
    NO_WORD_BOUNDARY,
    WORD_BEGINNING,
    WORD_END,
};

struct byte_set {
    uint8_t bits[(UCHAR_MAX + 1) / 8];
};

/* Where it goes on is relative, so that a part of a program can be copied. */
struct step {
    enum operation operation;
    uint16_t set; /* of TAKE */
    int16_t next;
    int16_t other; /* of FORK */
};

/* Steps that a text may be at, each once. */
struct threads {
    uint16_t steps[REGEX_MAX_STEPS];
    size_t count;
};

struct regex {
    struct step steps[REGEX_MAX_STEPS];
    size_t count;
    struct byte_set sets[REGEX_MAX_LENGTH + 1];
    size_t set_count;

    /* While it matches. */
    uint32_t seen[REGEX_MAX_STEPS]; /* the generation in which the step was added last */
    uint32_t generation;
    uint16_t pending[REGEX_MAX_STEPS];
    struct threads threads[2];
};

/* ---- compiling ---- */

struct parser {
    struct regex *regex;
    const char *at;
    size_t depth; /* of ( */
    struct error *error;
};

static bool refuse(struct parser *parser, const char *reason)
{
    return error_invalid(parser->error, "is not a POSIX extended regular expression: %s", reason);
}

static bool has_capacity(struct parser *parser, size_t count)
{
    if (count <= REGEX_MAX_STEPS - 1) /* and MATCHED */
        return true;
    return error_invalid(parser->error,
                         "must have at most %d steps with its repetitions written out: repeat less",
                         REGEX_MAX_STEPS - 1);
}

static bool add_step(struct parser *parser, struct step step)
{
    struct regex *regex = parser->regex;
    if (!has_capacity(parser, regex->count + 1))
        return false;
    regex->steps[regex->count++] = step;
    return true;
}

/* Inserts a step at the beginning of what was added since. */
static bool insert_step(struct parser *parser, size_t at, struct step step)
{
    struct regex *regex = parser->regex;
    if (!add_step(parser, step))
        return false;
    memmove(&regex->steps[at + 1], &regex->steps[at], (regex->count - 1 - at) * sizeof(step));
    regex->steps[at] = step;
    return true;
}

/* Each is of one character of the pattern at least, so there is one left. */
static struct byte_set *new_set(struct parser *parser)
{
    return &parser->regex->sets[parser->regex->set_count++];
}

static bool add_set(struct parser *parser, const struct byte_set *set)
{
    uint16_t number = (uint16_t)(set - parser->regex->sets);
    return add_step(parser, (struct step){.operation = TAKE, .set = number, .next = 1});
}

static bool set_has(const struct byte_set *set, int byte)
{
    return (set->bits[byte / 8] >> byte % 8 & 1) != 0;
}

static void set_add(struct byte_set *set, int byte)
{
    set->bits[byte / 8] |= (uint8_t)(1 << byte % 8);
}

static bool add_byte(struct parser *parser, char byte)
{
    struct byte_set *set = new_set(parser);
    set_add(set, (unsigned char)byte);
    return add_set(parser, set);
}

static int is_any(int byte)
{
    return byte != '\0';
}

static int is_word(int byte)
{
    return isalnum(byte) || byte == '_';
}

/* `is_in` is a function of ctype.h, in the C locale. */
static void add_class(struct byte_set *set, int (*is_in)(int), bool wanted)
{
    for (int byte = 1; byte <= UCHAR_MAX; byte++)
        if ((is_in(byte) != 0) == wanted)
            set_add(set, byte);
}

static bool add_class_step(struct parser *parser, int (*is_in)(int), bool wanted)
{
    struct byte_set *set = new_set(parser);
    add_class(set, is_in, wanted);
    return add_set(parser, set);
}

/* ---- brackets ---- */

static bool add_named_class(struct parser *parser, struct byte_set *set, const char *name,
                            size_t length)
{
    static const struct {
        const char *name;
        int (*is_in)(int);
    } classes[] = {
        {"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl},
        {"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
        {"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(classes); i++)
        if (strlen(classes[i].name) == length && memcmp(classes[i].name, name, length) == 0) {
            add_class(set, classes[i].is_in, true);
            return true;
        }
    return refuse(parser, "a class that there is not, in [: :]");
}

/* What a bracket lists: a class, which is added to the set; or a byte, which may begin a range. */
struct element {
    bool is_byte;
    unsigned char byte;
};

static bool parse_element(struct parser *parser, struct byte_set *set, struct element *ret_element)
{
    const char *at = parser->at;
    if (at[0] != '[' || at[1] == '\0' || strchr(".:=", at[1]) == NULL) {
        *ret_element = (struct element){true, (unsigned char)*parser->at++};
        return true;
    }
    const char end[] = {at[1], ']', '\0'};
    const char *name = at + 2;
    const char *name_end = strstr(name, end);
    if (name_end == NULL)
        return refuse(parser, "[ is not closed");
    size_t length = (size_t)(name_end - name);
    parser->at = name_end + 2;
    if (at[1] == ':') {
        *ret_element = (struct element){.is_byte = false};
        return add_named_class(parser, set, name, length);
    }
    if (length != 1)
        return refuse(parser, "[. .] and [= =] have one character here");
    *ret_element = (struct element){at[1] == '.', (unsigned char)name[0]};
    set_add(set, (unsigned char)name[0]);
    return true;
}

static bool parse_range(struct parser *parser, struct byte_set *set, unsigned char first)
{
    struct element last = {0};
    parser->at++;
    if (parser->at[0] == '\0')
        return refuse(parser, "[ is not closed");
    if (!parse_element(parser, set, &last))
        return false;
    if (!last.is_byte || last.byte < first)
        return refuse(parser, "a range in [ ] ends before it begins");
    for (int byte = first; byte <= last.byte; byte++)
        set_add(set, byte);
    return true;
}

static bool parse_list(struct parser *parser, struct byte_set *set)
{
    for (bool is_first = true; is_first || *parser->at != ']'; is_first = false) {
        struct element element = {0};
        if (*parser->at == '\0')
            return refuse(parser, "[ is not closed");
        if (*parser->at == '-' && !is_first && parser->at[1] != ']')
            return refuse(parser, "- is not first, last or in a range of [ ]");
        if (!parse_element(parser, set, &element))
            return false;
        if (element.is_byte)
            set_add(set, element.byte);
        if (element.is_byte && parser->at[0] == '-' && parser->at[1] != ']' &&
            !parse_range(parser, set, element.byte))
            return false;
    }
    parser->at++;
    return true;
}

/* Behind the [. */
static bool parse_bracket(struct parser *parser)
{
    struct byte_set *set = new_set(parser);
    bool is_negated = *parser->at == '^';
    parser->at += is_negated;
    if (!parse_list(parser, set))
        return false;
    for (size_t i = 0; is_negated && i < sizeof(set->bits); i++)
        set->bits[i] = (uint8_t)~set->bits[i];
    return add_set(parser, set);
}

/* ---- repetitions ---- */

static void add_copy(struct regex *regex, size_t start, size_t length)
{
    memcpy(&regex->steps[regex->count], &regex->steps[start], length * sizeof(*regex->steps));
    regex->count += length;
}

/* The part of the program from `start` on, as often as from `min` to `max` times. */
static bool repeat(struct parser *parser, size_t start, int min, int max)
{
    struct regex *regex = parser->regex;
    size_t length = regex->count - start;
    size_t loops = max == NO_LIMIT;
    size_t optional = loops ? min == 0 : (size_t)(max - min);
    if (length == 0)
        return true;
    if (!has_capacity(parser, start + (size_t)min * length + optional * (length + 1) + loops))
        return false;
    struct step fork = {.operation = FORK, .next = 1};
    if (max == 0) {
        regex->count = start;
        return true;
    }
    if (min == 0) { /* the part that is there is the first of those that may be missing */
        fork.other = (int16_t)(optional-- * (length + 1) + loops);
        insert_step(parser, start++, fork);
    }
    for (int i = 1; i < min; i++)
        add_copy(regex, start, length);
    for (; optional > 0; optional--) {
        fork.other = (int16_t)(optional * (length + 1) + loops);
        add_step(parser, fork);
        add_copy(regex, start, length);
    }
    fork.next = (int16_t)(0 - (int)length);
    fork.other = 1;
    return !loops || add_step(parser, fork);
}

/* At most one more than MAX_REPETITIONS; NO_LIMIT: there is none here. */
static int parse_number(struct parser *parser)
{
    int number = NO_LIMIT;
    for (; isdigit((unsigned char)*parser->at); parser->at++) {
        number = (number == NO_LIMIT ? 0 : number * 10) + (*parser->at - '0');
        number = number > MAX_REPETITIONS ? MAX_REPETITIONS + 1 : number;
    }
    return number;
}

/* Behind the {. */
static bool parse_interval(struct parser *parser, size_t start)
{
    int min = parse_number(parser);
    int max = min;
    bool has_comma = *parser->at == ',';
    if (has_comma) {
        parser->at++;
        max = parse_number(parser);
    }
    if (*parser->at != '}' || (min == NO_LIMIT && !has_comma))
        return refuse(parser, "{ } must have a number, or two with a comma between them");
    parser->at++;
    min = min == NO_LIMIT ? 0 : min;
    if (max != NO_LIMIT && max < min)
        return refuse(parser, "the numbers in { } are in the wrong order");
    if (min > MAX_REPETITIONS || max > MAX_REPETITIONS)
        return refuse(parser, "a number in { } is too large");
    return repeat(parser, start, min, max);
}

static bool parse_repetitions(struct parser *parser, size_t start)
{
    for (;;) {
        bool good;
        switch (*parser->at) {
        case '*':
            good = repeat(parser, start, 0, NO_LIMIT);
            break;
        case '+':
            good = repeat(parser, start, 1, NO_LIMIT);
            break;
        case '?':
            good = repeat(parser, start, 0, 1);
            break;
        case '{':
            parser->at++;
            if (!parse_interval(parser, start))
                return false;
            continue;
        default:
            return true;
        }
        if (!good)
            return false;
        parser->at++;
    }
}

/* ---- parts ---- */

static bool parse_alternatives(struct parser *parser);

/* Behind the (. */
static bool parse_group(struct parser *parser)
{
    parser->depth++;
    if (!parse_alternatives(parser))
        return false;
    parser->depth--;
    if (*parser->at != ')')
        return refuse(parser, "( is not closed");
    parser->at++;
    return true;
}

/* What is behind a backslash, where it is no assertion. */
static bool parse_escaped(struct parser *parser)
{
    char byte = *parser->at;
    if (byte == '\0')
        return refuse(parser, "a backslash is last");
    if (isdigit((unsigned char)byte))
        return error_invalid(parser->error, "must have no back-reference");
    parser->at++;
    switch (byte) {
    case 'w':
    case 'W':
        return add_class_step(parser, is_word, byte == 'w');
    case 's':
    case 'S':
        return add_class_step(parser, isspace, byte == 's');
    default:
        return add_byte(parser, byte);
    }
}

/* Of the characters at *at, how many are an assertion; 0: none. */
static size_t find_assertion(const char *at, enum operation *ret_operation)
{
    static const struct {
        const char *text;
        enum operation operation;
    } assertions[] = {
        {"^", BEGINNING},        {"$", END},
        {"\\`", BEGINNING},      {"\\'", END},
        {"\\b", WORD_BOUNDARY},  {"\\B", NO_WORD_BOUNDARY},
        {"\\<", WORD_BEGINNING}, {"\\>", WORD_END},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(assertions); i++)
        if (strncmp(at, assertions[i].text, strlen(assertions[i].text)) == 0) {
            *ret_operation = assertions[i].operation;
            return strlen(assertions[i].text);
        }
    return 0;
}

/* What may be repeated; a ) that closes nothing, and a }, stand for themselves. */
static bool parse_atom(struct parser *parser)
{
    switch (*parser->at) {
    case '*':
    case '+':
    case '?':
    case '{':
        return refuse(parser, "there is nothing that *, +, ? or { could repeat");
    case '(':
        parser->at++;
        return parse_group(parser);
    case '[':
        parser->at++;
        return parse_bracket(parser);
    case '\\':
        parser->at++;
        return parse_escaped(parser);
    case '.':
        parser->at++;
        return add_class_step(parser, is_any, true);
    default:
        return add_byte(parser, *parser->at++);
    }
}

/* An assertion cannot be repeated. */
static bool parse_branch(struct parser *parser)
{
    while (*parser->at != '\0' && *parser->at != '|' &&
           !(*parser->at == ')' && parser->depth > 0)) {
        enum operation operation;
        size_t start = parser->regex->count;
        size_t assertion = find_assertion(parser->at, &operation);
        parser->at += assertion;
        if (!(assertion > 0 ? add_step(parser, (struct step){.operation = operation, .next = 1})
                            : parse_atom(parser) && parse_repetitions(parser, start)))
            return false;
    }
    return true;
}

/* A fork to the first and the second, and behind the first a jump over the second. */
static bool parse_alternatives(struct parser *parser)
{
    struct regex *regex = parser->regex;
    size_t start = regex->count;
    if (!parse_branch(parser))
        return false;
    while (*parser->at == '|') {
        size_t length = regex->count - start;
        struct step fork = {.operation = FORK, .next = 1, .other = (int16_t)(length + 2)};
        struct step jump = {.operation = FORK};
        parser->at++;
        if (!insert_step(parser, start, fork) || !add_step(parser, jump))
            return false;
        size_t second = regex->count;
        if (!parse_branch(parser))
            return false;
        struct step *over = &regex->steps[second - 1];
        over->next = over->other = (int16_t)(regex->count - second + 1);
    }
    return true;
}

bool regex_compile(const char *pattern, struct regex **ret_regex, struct error *error)
{
    if (strlen(pattern) > REGEX_MAX_LENGTH)
        return error_invalid(error, "must have at most %d characters", REGEX_MAX_LENGTH);
    struct regex *regex = memory_new(sizeof(*regex));
    struct parser parser = {.regex = regex, .at = pattern, .error = error};
    if (!parse_alternatives(&parser)) {
        free(regex);
        return false;
    }
    regex->steps[regex->count++] = (struct step){.operation = MATCHED};
    *ret_regex = regex;
    return true;
}

void regex_free(struct regex **regex)
{
    free(TAKE(*regex));
}

/* ---- matching ---- */

/* A place in the text, between two bytes. */
struct place {
    const char *text;
    const char *at;
};

static bool holds(enum operation operation, const struct place *place)
{
    bool is_behind_word = place->at > place->text && is_word((unsigned char)place->at[-1]);
    bool is_before_word = is_word((unsigned char)*place->at);
    switch (operation) {
    case BEGINNING:
        return place->at == place->text;
    case END:
        return *place->at == '\0';
    case WORD_BOUNDARY:
        return is_behind_word != is_before_word;
    case NO_WORD_BOUNDARY:
        return is_behind_word == is_before_word;
    case WORD_BEGINNING:
        return !is_behind_word && is_before_word;
    case WORD_END:
        return is_behind_word && !is_before_word;
    default:
        return false;
    }
}

static void push(struct regex *regex, size_t *pending, size_t step)
{
    if (regex->seen[step] == regex->generation)
        return;
    regex->seen[step] = regex->generation;
    regex->pending[(*pending)++] = (uint16_t)step;
}

/* Adds the steps that take the next byte, as far as `first` leads to them. True: it leads to the
 * end. */
static bool advance(struct regex *regex, struct threads *threads, size_t first,
                    const struct place *place)
{
    size_t pending = 0;
    push(regex, &pending, first);
    while (pending > 0) {
        size_t number = regex->pending[--pending];
        const struct step *step = &regex->steps[number];
        switch (step->operation) {
        case MATCHED:
            return true;
        case TAKE:
            threads->steps[threads->count++] = (uint16_t)number;
            break;
        case FORK:
            push(regex, &pending, number + (size_t)step->next);
            push(regex, &pending, number + (size_t)step->other);
            break;
        default:
            if (holds(step->operation, place))
                push(regex, &pending, number + 1);
            break;
        }
    }
    return false;
}

static bool take_byte(struct regex *regex, const struct threads *from, struct threads *to,
                      unsigned char byte, const struct place *place)
{
    to->count = 0;
    regex->generation++;
    for (size_t i = 0; i < from->count; i++) {
        const struct step *step = &regex->steps[from->steps[i]];
        if (set_has(&regex->sets[step->set], byte) &&
            advance(regex, to, (size_t)(step - regex->steps) + 1, place))
            return true;
    }
    return false;
}

bool regex_matches(struct regex *regex, const char *text)
{
    struct threads *from = &regex->threads[0];
    struct threads *to = &regex->threads[1];
    bool is_anchored = regex->steps[0].operation == BEGINNING;
    struct place place = {text, text};
    from->count = 0;
    if (regex->generation > UINT32_MAX / 2) { /* long before it wraps around */
        regex->generation = 0;
        memset(regex->seen, 0, sizeof(regex->seen));
    }
    regex->generation++;
    /* A match may begin anywhere. */
    while (!advance(regex, from, 0, &place)) {
        if (*place.at == '\0' || (is_anchored && from->count == 0))
            return false;
        place.at++;
        if (take_byte(regex, from, to, (unsigned char)place.at[-1], &place))
            return true;
        struct threads *last = from;
        from = to;
        to = last;
    }
    return true;
}
