#include "kafka/login/kerberos_config.h"

#include "base/memory.h"
#include "base/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* The Kerberos library takes what is behind 2,047 bytes for a line of its own. */
enum { MAX_LINE = 1000, MAX_DEPTH = 4, MAX_SHOWN = 40, MAX_MISTAKES_LENGTH = 1024 };

enum verdict {
    REFUSED,
    TAKEN,
    PASSED_OVER, /* has no effect on a client with a keytab */
};

/* What a value looks like; none is the path of a file. */
enum shape {
    NAME,          /* a realm, a host, a domain */
    NAME_OR_EMPTY, /* "" */
    FLAG,
    NUMBER, /* or a time */
    WORDS,  /* names with spaces or commas between them */
    ADDRESS,
};

/* A section, or a key of one; `keys` is of a section: NULL means any name, with a name as its
 * value. */
struct rule {
    const char *name;
    enum verdict verdict;
    enum shape shape;
    const struct rule *keys;
    bool is_grouped; /* its keys are in groups: NAME = { key = value } */
};

/* https://web.mit.edu/kerberos/krb5-latest/doc/admin/conf_files/krb5_conf.html */
static const struct rule libdefaults[] = {
    {.name = "default_realm", .verdict = TAKEN},
    {.name = "allow_des3", .verdict = TAKEN, .shape = FLAG},
    {.name = "allow_rc4", .verdict = TAKEN, .shape = FLAG},
    {.name = "allow_weak_crypto", .verdict = TAKEN, .shape = FLAG},
    {.name = "ap_req_checksum_type", .verdict = TAKEN, .shape = NUMBER},
    {.name = "canonicalize", .verdict = TAKEN, .shape = FLAG},
    {.name = "clockskew", .verdict = TAKEN, .shape = NUMBER},
    {.name = "default_tgs_enctypes", .verdict = TAKEN, .shape = WORDS},
    {.name = "default_tkt_enctypes", .verdict = TAKEN, .shape = WORDS},
    {.name = "disable_encrypted_timestamp", .verdict = TAKEN, .shape = FLAG},
    {.name = "dns_canonicalize_hostname", .verdict = TAKEN},
    {.name = "dns_lookup_kdc", .verdict = TAKEN, .shape = FLAG},
    {.name = "dns_lookup_realm", .verdict = TAKEN, .shape = FLAG},
    {.name = "dns_uri_lookup", .verdict = TAKEN, .shape = FLAG},
    {.name = "enforce_ok_as_delegate", .verdict = TAKEN, .shape = FLAG},
    {.name = "extra_addresses", .verdict = TAKEN, .shape = ADDRESS},
    {.name = "forwardable", .verdict = TAKEN, .shape = FLAG},
    {.name = "kdc_default_options", .verdict = TAKEN, .shape = NUMBER},
    {.name = "kdc_req_checksum_type", .verdict = TAKEN, .shape = NUMBER},
    {.name = "kdc_timesync", .verdict = TAKEN, .shape = NUMBER},
    {.name = "noaddresses", .verdict = TAKEN, .shape = FLAG},
    {.name = "permitted_enctypes", .verdict = TAKEN, .shape = WORDS},
    {.name = "preferred_preauth_types", .verdict = TAKEN, .shape = WORDS},
    {.name = "proxiable", .verdict = TAKEN, .shape = FLAG},
    {.name = "qualify_shortname", .verdict = TAKEN, .shape = NAME_OR_EMPTY},
    {.name = "rdns", .verdict = TAKEN, .shape = FLAG},
    {.name = "realm_try_domains", .verdict = TAKEN, .shape = NUMBER},
    {.name = "renew_lifetime", .verdict = TAKEN, .shape = NUMBER},
    {.name = "request_timeout", .verdict = TAKEN, .shape = NUMBER},
    {.name = "safe_checksum_type", .verdict = TAKEN, .shape = NUMBER},
    {.name = "spake_preauth_groups", .verdict = TAKEN, .shape = WORDS},
    {.name = "ticket_lifetime", .verdict = TAKEN, .shape = NUMBER},
    {.name = "udp_preference_limit", .verdict = TAKEN, .shape = NUMBER},
    {.name = "ccache_type", .verdict = PASSED_OVER},
    {.name = "default_ccache_name", .verdict = PASSED_OVER}, /* ours is in memory */
    {.name = "err_fmt", .verdict = PASSED_OVER},
    {.name = "fcc-mit-ticketflags", .verdict = PASSED_OVER},
    {.name = "ignore_acceptor_hostname", .verdict = PASSED_OVER},
    {.name = "pkinit_anchors", .verdict = PASSED_OVER}, /* there is a keytab */
    {.name = "verify_ap_req_nofail", .verdict = PASSED_OVER},
    {0},
};
static const struct rule realms[] = {
    {.name = "kdc", .verdict = TAKEN, .shape = ADDRESS},
    {.name = "master_kdc", .verdict = TAKEN, .shape = ADDRESS},
    {.name = "primary_kdc", .verdict = TAKEN, .shape = ADDRESS},
    {.name = "default_domain", .verdict = TAKEN},
    {.name = "disable_encrypted_timestamp", .verdict = TAKEN, .shape = FLAG},
    {.name = "admin_server", .verdict = PASSED_OVER},
    {.name = "auth_to_local", .verdict = PASSED_OVER},
    {.name = "auth_to_local_names", .verdict = PASSED_OVER},
    {.name = "kpasswd_server", .verdict = PASSED_OVER},
    {.name = "pkinit_anchors", .verdict = PASSED_OVER},
    {0},
};
static const struct rule sections[] = {
    {.name = "libdefaults", .verdict = TAKEN, .keys = libdefaults},
    {.name = "realms", .verdict = TAKEN, .keys = realms, .is_grouped = true},
    {.name = "domain_realm", .verdict = TAKEN},
    {.name = "capaths", .verdict = TAKEN, .is_grouped = true},
    {.name = "appdefaults", .verdict = PASSED_OVER},
    {.name = "logging", .verdict = PASSED_OVER},
    {0},
};
static const struct rule refused = {.verdict = REFUSED};

struct config_parser {
    size_t line;
    const struct rule *section; /* NULL: none yet */
    size_t depth;               /* of { */
    size_t ignored_depth; /* what is in braces from this depth on is passed over; 0: nothing is */
    struct text result;
    struct error *mistakes;
    bool has_failed;
};

/* Shows no value, and no name that is longer than any key: it may be a secret that went astray. */
static void mistake(struct config_parser *parser, const char *name, const char *words)
{
    parser->has_failed = true;
    const char *shown = strlen(name) > MAX_SHOWN ? "it" : name;
    if (strlen(error_text(parser->mistakes)) < MAX_MISTAKES_LENGTH)
        error_add(parser->mistakes, "kerberosConfig: line %zu: %s%s%s", parser->line, shown,
                  name[0] == '\0' ? "" : " ", words);
}

static const struct rule *find(const struct rule *rules, const char *name)
{
    for (; rules->name != NULL; rules++)
        if (text_equal(rules->name, name))
            return rules;
    return &refused;
}

static bool has_only(const char *text, const char *others)
{
    for (; *text != '\0'; text++)
        if (!isascii(*text) || (!isalnum((unsigned char)*text) && strchr(others, *text) == NULL))
            return false;
    return true;
}

/* The library takes a line that begins with "include " for a directive wherever it stands, also
 * where = follows. */
static bool is_directive(const char *key)
{
    return text_equal(key, "include") || text_equal(key, "includedir") || text_equal(key, "module");
}

/* How a mistake names a line where no key belongs. Its first word may be the keytab's. */
static const char *shown_word(const char *word)
{
    bool is_known =
        is_directive(word) || find(libdefaults, word) != &refused || find(realms, word) != &refused;
    return is_known ? word : "it";
}

/* A realm, a host, a key. */
static bool is_name(const char *text)
{
    return text[0] != '\0' && has_only(text, "._-") && !is_directive(text);
}

static bool is_flag(const char *text)
{
    static const char *const flags[] = {"true", "false", "yes", "no", "on", "off",
                                        "1",    "0",     "t",   "y",  "n",  "nil"};
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++)
        if (strcasecmp(text, flags[i]) == 0)
            return true;
    return false;
}

/* 300, 24h, 1d 12h, 10:30:00, -1, 0x10 */
static bool is_number(const char *text)
{
    size_t digits = strspn(text + (text[0] == '-'), "0123456789");
    return digits > 0 && strspn(text, "0123456789abcdefABCDEFhmsxHMSX:- ") == strlen(text);
}

static bool is_value(enum shape shape, const char *text)
{
    switch (shape) {
    case NAME:
        return is_name(text);
    case NAME_OR_EMPTY:
        return text[0] == '\0' || is_name(text);
    case FLAG:
        return is_flag(text);
    case NUMBER:
        return is_number(text);
    case WORDS:
        return isalnum((unsigned char)text[0]) && has_only(text, " \t,._-+");
    case ADDRESS:
        /* A quoted value may begin with a blank, which the library passes over. */
        return (isalnum((unsigned char)text[0]) || text[0] == '[') &&
               has_only(text, " \t._-:/[],") && strncasecmp(text, "FILE:", 5) != 0 &&
               strncasecmp(text, "DIR:", 4) != 0 && strncasecmp(text, "unix:", 5) != 0;
    }
    return false;
}

static const char *const shape_words[] = {
    [NAME] = "must be a name",
    [NAME_OR_EMPTY] = "must be a name, or \"\"",
    [FLAG] = "must be true or false",
    [NUMBER] = "must be a number or a time",
    [WORDS] = "must be names, with spaces or commas between them",
    [ADDRESS] = "must be an address, and no path of a file",
};

static void read_section(struct config_parser *parser, char *line)
{
    size_t length = strlen(line);
    if (length > 1 && line[length - 1] == '*') /* final: no other file is read after it */
        line[--length] = '\0';
    if (line[length - 1] != ']' || parser->depth > 0) {
        mistake(parser, "", "a section is [name], outside of braces");
        return;
    }
    line[length - 1] = '\0';
    const struct rule *section = find(sections, line + 1);
    if (section->verdict == REFUSED)
        mistake(parser, line + 1,
                "is not allowed as a section: there are libdefaults, realms, domain_realm and "
                "capaths");
    parser->section = section;
    if (section->verdict == TAKEN)
        text_addf(&parser->result, "[%s]\n", section->name);
}

static void open_group(struct config_parser *parser, const char *name)
{
    bool is_ignored = parser->ignored_depth > 0 || parser->section->verdict != TAKEN;
    if (++parser->depth > MAX_DEPTH) {
        mistake(parser, name, "is in too many braces");
        return;
    }
    if (is_directive(name)) {
        mistake(parser, name, "cannot have braces here");
        return;
    }
    if (is_ignored)
        return;
    if (parser->depth == 1 && parser->section->is_grouped && is_name(name)) {
        text_addf(&parser->result, "%s = {\n", name);
        return;
    }
    if (parser->section->keys != NULL && find(parser->section->keys, name)->verdict == PASSED_OVER)
        parser->ignored_depth = parser->depth;
    else
        mistake(parser, name, "cannot have braces here");
}

static void close_group(struct config_parser *parser)
{
    if (parser->depth == 0 || parser->section == NULL) {
        mistake(parser, "}", "closes nothing");
        return;
    }
    bool is_ignored = parser->ignored_depth > 0 || parser->section->verdict != TAKEN;
    if (parser->ignored_depth == parser->depth)
        parser->ignored_depth = 0;
    parser->depth--;
    if (!is_ignored)
        text_add(&parser->result, "}\n");
}

/* The rule for a key where the parser is; NULL in what is passed over. */
static const struct rule *key_rule(const struct config_parser *parser, const char *key)
{
    static const struct rule any = {.verdict = TAKEN, .shape = NAME};
    if (is_directive(key) || parser->section->verdict == REFUSED)
        return &refused;
    if (parser->section->verdict != TAKEN || parser->ignored_depth > 0)
        return NULL;
    if (parser->section->keys != NULL)
        return find(parser->section->keys, key);
    return is_name(key) ? &any : &refused;
}

static void read_value(struct config_parser *parser, const char *key, const char *value)
{
    const struct rule *rule = key_rule(parser, key);
    if (rule == NULL || rule->verdict == PASSED_OVER)
        return;
    if (rule->verdict == REFUSED && text_ends_with(key, "keytab_name"))
        mistake(parser, key, "is not allowed: the key keytab has the keytab");
    else if (rule->verdict == REFUSED)
        mistake(parser, key, "is not allowed here: it is unknown, or names files of the server");
    else if (parser->section->is_grouped != (parser->depth == 1))
        mistake(parser, key, "is not where it belongs: realms and capaths have NAME = { }");
    else if (!is_value(rule->shape, value))
        mistake(parser, key, shape_words[rule->shape]);
    else /* without the quotes the library takes the next line for a group */
        text_addf(&parser->result, "%s = %s\n", rule->name == NULL ? key : rule->name,
                  value[0] == '\0' ? "\"\"" : value);
}

/* `"a b"` is a b. */
static char *unquoted(char *value)
{
    size_t length = strlen(value);
    if (length < 2 || value[0] != '"' || value[length - 1] != '"')
        return value;
    value[length - 1] = '\0';
    return value + 1;
}

static void read_relation(struct config_parser *parser, char *line)
{
    char *equals = strchr(line, '=');
    size_t word = strcspn(line, " \t=");
    if (equals == NULL || line + word + strspn(line + word, " \t") != equals) {
        line[word] = '\0';
        mistake(parser, shown_word(line),
                "is not allowed: a line is [section], key = value or a comment");
        return;
    }
    line[word] = '\0';
    if (word > 0 && line[word - 1] == '*')
        line[word - 1] = '\0';
    char *value = equals + 1 + strspn(equals + 1, " \t");
    if (parser->section == NULL)
        mistake(parser, shown_word(line), "is outside of a section");
    else if (text_equal(value, "{"))
        open_group(parser, line);
    else
        read_value(parser, line, unquoted(value));
}

static void read_line(struct config_parser *parser, const char *bytes, size_t length)
{
    _cleanup_(memory_free) char *raw = text_copy_bytes(bytes, length);
    _cleanup_(memory_free) char *line = text_trimmed(raw);
    parser->line++;
    if (length > MAX_LINE) {
        _cleanup_(memory_free) char *words =
            text_format("a line must have at most %d bytes", MAX_LINE);
        mistake(parser, "", words);
        return;
    }
    if (line[0] == '\0' || line[0] == '#' || line[0] == ';')
        return;
    if (line[0] == '[')
        read_section(parser, line);
    else if (line[0] == '}')
        close_group(parser);
    else
        read_relation(parser, line);
}

char *kafka_kerberos_config(const char *text, struct error *mistakes)
{
    struct config_parser parser = {.mistakes = mistakes};
    while (*text != '\0') {
        size_t length = strcspn(text, "\r\n");
        read_line(&parser, text, length);
        text += length + strspn(text + length, "\r");
        text += *text == '\n';
    }
    if (parser.depth > 0)
        mistake(&parser, "", "a { is not closed");
    char *result = text_take(&parser.result);
    if (parser.has_failed)
        free(TAKE(result));
    return result;
}
