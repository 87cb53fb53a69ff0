#include "client/http_client.h"

#include "base/http_head.h"
#include "base/json_cleanup.h"
#include "base/memory.h"
#include "base/system/file.h"
#include "base/url.h"

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    LARGEST_BODY = 64 << 20,
    LONGEST_SHOWN = 200,
    LONGEST_TOKEN = 2048, /* with the white space around it */
    MAX_WAIT_MS = 1000,
    SILENCE_S = 30 /* of an answer that goes on */
};

struct http_client {
    CURL *curl;
    CURLM *multi; /* of this one: a wait for it can be ended by another thread */
    char *url;
    char *shown_url; /* without user and password, for people */
    const char *token_file;
    const char *hint;
    int64_t timeout_ms;
    struct http_head head;
    struct text body;
    bool is_too_large;
    bool (*follow)(void *context, const char *bytes, size_t length); /* NULL: it goes into `body` */
    void *follow_context;
    atomic_bool is_cancelled;
    char why[CURL_ERROR_SIZE];
};

static void set_up(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t take(char *bytes, size_t size, size_t count, void *context)
{
    struct http_client *client = context;
    if (client->follow != NULL)
        return client->follow(client->follow_context, bytes, size * count) ? size * count : 0;
    client->is_too_large = client->body.length + size * count > LARGEST_BODY;
    if (client->is_too_large)
        return 0;
    text_add_bytes(&client->body, bytes, size * count);
    return size * count;
}

void http_client_cancel(struct http_client *client)
{
    atomic_store(&client->is_cancelled, true);
    curl_multi_wakeup(client->multi);
}

static char *without_user(const char *url)
{
    struct url_places places = url_find(url, strlen(url));
    return text_format("%.*s%s", (int)places.user, url, url + places.host);
}

struct http_client *http_client_new(const struct http_server *server, int64_t timeout_ms)
{
    const char *address = server->address;
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up);
    struct http_client *client = memory_new(sizeof(*client));
    bool is_url = strstr(address, "://") != NULL;
    client->timeout_ms = timeout_ms;
    client->token_file = server->token_file;
    client->hint = server->hint == NULL ? "is it the server's --http port?" : server->hint;
    client->url = text_format("%s%s%s", is_url ? "" : "http://",
                              address[0] == ':' ? "localhost" : "", address);
    size_t length = strlen(client->url);
    if (length > 0 && client->url[length - 1] == '/')
        client->url[length - 1] = '\0';
    client->shown_url = without_user(client->url);
    client->curl = curl_easy_init();
    client->multi = curl_multi_init();
    if (client->curl == NULL || client->multi == NULL)
        abort(); /* out of memory */
    curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(client->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(client->curl, CURLOPT_PROXY,
                     ""); /* a proxy of the environment is for elsewhere */
    curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, client->why);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, client);
    curl_easy_setopt(client->curl, CURLOPT_HEADERFUNCTION, http_head_take);
    curl_easy_setopt(client->curl, CURLOPT_HEADERDATA, &client->head);
    return client;
}

void http_client_free(struct http_client *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    curl_multi_cleanup(client->multi);
    text_done(&client->body);
    free(client->url);
    free(client->shown_url);
    free(client);
}

const char *http_client_url(const struct http_client *client)
{
    return client->shown_url;
}

static bool refuse(const struct http_client *client, CURLcode code, struct error *error)
{
    if (client->is_too_large)
        return error_unavailable(error, "%s: the answer is larger than %d bytes", client->shown_url,
                                 LARGEST_BODY);
    return error_unavailable(error, "%s: %s: %s", client->shown_url,
                             client->why[0] == '\0' ? curl_easy_strerror(code) : client->why,
                             client->hint);
}

/* As curl_easy_perform(), but for a cancellation, which ends it at once. */
static CURLcode perform(struct http_client *client)
{
    CURLcode code = CURLE_ABORTED_BY_CALLBACK;
    int running = 1, left = 0;
    curl_multi_add_handle(client->multi, client->curl);
    while (running > 0 && !atomic_load(&client->is_cancelled)) {
        if (curl_multi_perform(client->multi, &running) != CURLM_OK)
            break;
        if (running > 0)
            curl_multi_poll(client->multi, NULL, 0, MAX_WAIT_MS, NULL);
    }
    const CURLMsg *message = running > 0 ? NULL : curl_multi_info_read(client->multi, &left);
    if (message != NULL)
        code = message->data.result;
    curl_multi_remove_handle(client->multi, client->curl);
    return code;
}

/* What curl wants to know of the token; false: it cannot be read. */
static bool set_token(struct http_client *client, struct error *error)
{
    static const char space[] = " \t\r\n";
    _cleanup_(text_done) struct text content = {0};
    if (client->token_file == NULL)
        return true;
    if (!file_read(client->token_file, LONGEST_TOKEN, &content, error))
        return error_prefix(error, "--http-token-file");
    const char *bytes = content.bytes == NULL ? "" : content.bytes;
    const char *begin = bytes + strspn(bytes, space);
    _cleanup_(memory_free) char *token = text_copy_bytes(begin, strcspn(begin, space));
    curl_easy_setopt(client->curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
    curl_easy_setopt(client->curl, CURLOPT_XOAUTH2_BEARER, token); /* which it copies */
    return true;
}

/* False, with the error, where it got no answer. */
static bool request(struct http_client *client, const char *path, int64_t timeout_ms,
                    struct error *error)
{
    if (!set_token(client, error))
        return false;
    _cleanup_(memory_free) char *url = text_format("%s%s", client->url, path);
    text_clear(&client->body);
    client->why[0] = '\0';
    client->is_too_large = false;
    client->head = (struct http_head){0};
    curl_easy_setopt(client->curl, CURLOPT_URL, url);
    curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    CURLcode code = perform(client);
    return code == CURLE_OK || refuse(client, code, error);
}

bool http_client_fetch(struct http_client *client, const char *path, long *ret_status,
                       char **ret_type, struct text *ret_body, struct error *error)
{
    const char *type = NULL;
    if (!request(client, path, client->timeout_ms, error))
        return false;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, ret_status);
    curl_easy_getinfo(client->curl, CURLINFO_CONTENT_TYPE, &type);
    *ret_type = text_copy(type);
    text_add_bytes(ret_body, client->body.bytes == NULL ? "" : client->body.bytes,
                   client->body.length);
    return true;
}

const char *http_client_header(const struct http_client *client, const char *name)
{
    struct curl_header *header;
    CURLHcode code = curl_easy_header(client->curl, name, 0, CURLH_HEADER, -1, &header);
    return code == CURLHE_OK ? header->value : NULL;
}

bool http_client_get(struct http_client *client, const char *path, struct text *ret_body,
                     struct error *error)
{
    long status = 0;
    _cleanup_(memory_free) char *type = NULL;
    _cleanup_(text_done) struct text body = {0};
    if (!http_client_fetch(client, path, &status, &type, &body, error))
        return false;
    const char *bytes = body.bytes == NULL ? "" : body.bytes;
    if (status == 200) {
        text_add_bytes(ret_body, bytes, body.length);
        return true;
    }
    _cleanup_(json_done) json_t *reply = json_loadb(bytes, body.length, 0, NULL);
    const char *words = json_string_value(json_object_get(reply, "error"));
    if (words == NULL)
        words = bytes;
    return error_unavailable(error, "%s%s: HTTP %ld: %.*s", client->shown_url, path, status,
                             (int)text_cut(words, LONGEST_SHOWN), words);
}

void http_client_follow(struct http_client *client, const char *path,
                        bool (*into)(void *context, const char *bytes, size_t length),
                        void *context, struct error *error)
{
    client->follow = into;
    client->follow_context = context;
    curl_easy_setopt(client->curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(client->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(client->curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
    bool is_closed = request(client, path, 0, error);
    curl_easy_setopt(client->curl, CURLOPT_FAILONERROR, 0L);
    curl_easy_setopt(client->curl, CURLOPT_LOW_SPEED_TIME, 0L);
    client->follow = NULL;
    if (is_closed)
        error_unavailable(error, "%s: the connection was closed", client->shown_url);
}

char *http_client_escape(const char *part)
{
    char *escaped = curl_easy_escape(NULL, part, 0);
    char *copy = text_copy(escaped == NULL ? "" : escaped);
    curl_free(escaped);
    return copy;
}
