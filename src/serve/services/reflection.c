#include "serve/services/reflection.h"

#include "base/memory.h"
#include "base/text.h"
#include "descriptors.h"
#include "reflection.pb-c.h"
#include "serve/services/message.h"
#include "serve/services/wire_field.h"

#include <string.h>

/* Fields of google.protobuf.FileDescriptorSet and its like. */
enum {
    FILE_OF_SET = 1,
    NAME_OF_ANY = 1,
    PACKAGE_OF_FILE = 2,
    MESSAGE_OF_FILE = 4,
    ENUM_OF_FILE = 5,
    SERVICE_OF_FILE = 6,
    MESSAGE_OF_MESSAGE = 3,
    ENUM_OF_MESSAGE = 4,
    METHOD_OF_SERVICE = 2,
};

enum { MAX_SERVICES = 16 }; /* more than there are protos */

/* Which fields of a descriptor hold the descriptors of what it declares. */
struct scope {
    struct {
        uint64_t field;
        const struct scope *scope;
    } declared[3];
};

static const struct scope leaf = {0};
static const struct scope message_scope = {
    {{MESSAGE_OF_MESSAGE, &message_scope}, {ENUM_OF_MESSAGE, &leaf}}};
static const struct scope service_scope = {{{METHOD_OF_SERVICE, &leaf}}};
static const struct scope file_scope = {
    {{MESSAGE_OF_FILE, &message_scope}, {ENUM_OF_FILE, &leaf}, {SERVICE_OF_FILE, &service_scope}}};
static const struct scope types_scope = {{{MESSAGE_OF_FILE, &message_scope}}};

typedef Grpc__Reflection__V1__ServerReflectionRequest reflection_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflection_response;

/* ---- the descriptors ---- */

static struct bytes all_files(void)
{
    return (struct bytes){descriptors, descriptors_length};
}

/* Moves behind the next field of this number. */
static bool take(struct bytes *rest, uint64_t number, struct bytes *ret_content)
{
    struct wire_field field;
    while (wire_field_take(rest, &field))
        if (field.number == number) {
            *ret_content = field.content;
            return true;
        }
    return false;
}

static struct bytes get(struct bytes descriptor, uint64_t number)
{
    struct bytes content = {(const uint8_t *)"", 0};
    take(&descriptor, number, &content);
    return content;
}

static bool is_named(struct bytes descriptor, const char *name)
{
    struct bytes its = get(descriptor, NAME_OF_ANY);
    return its.length == strlen(name) && memcmp(its.data, name, its.length) == 0;
}

/* What follows `part` in a dotted name: "" if that is all; NULL where the name does not begin with
 * it. */
static const char *behind(const char *name, struct bytes part)
{
    if (strncmp(name, (const char *)part.data, part.length) != 0)
        return NULL;
    const char *rest = name + part.length;
    if (rest[0] == '.' && rest[1] != '\0')
        return rest + 1;
    return rest[0] == '\0' ? rest : NULL;
}

static bool declares(struct bytes descriptor, const struct scope *scope, const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(scope->declared) && scope->declared[i].field != 0; i++) {
        struct bytes rest = descriptor;
        struct bytes inner;
        while (take(&rest, scope->declared[i].field, &inner)) {
            const char *inside = behind(name, get(inner, NAME_OF_ANY));
            if (inside == NULL)
                continue;
            if (inside[0] == '\0' || declares(inner, scope->declared[i].scope, inside))
                return true;
        }
    }
    return false;
}

static bool find_file_of(const char *symbol, const struct scope *scope, struct bytes *ret_file)
{
    struct bytes rest = all_files();
    while (take(&rest, FILE_OF_SET, ret_file)) {
        const char *name = behind(symbol, get(*ret_file, PACKAGE_OF_FILE));
        if (name != NULL && declares(*ret_file, scope, name))
            return true;
    }
    return false;
}

static bool find_file(const char *name, struct bytes *ret_file)
{
    struct bytes rest = all_files();
    while (take(&rest, FILE_OF_SET, ret_file))
        if (is_named(*ret_file, name))
            return true;
    return false;
}

/* ---- the answers ---- */

static void answer(struct rpc *rpc, const reflection_request *request,
                   reflection_response *response, int kind)
{
    response->valid_host = request->host;
    response->original_request = (reflection_request *)request;
    response->message_response_case =
        (Grpc__Reflection__V1__ServerReflectionResponse__MessageResponseCase)kind;
    message_send(rpc->call, &response->base);
}

#define ANSWER(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

static void refuse(struct rpc *rpc, const reflection_request *request, enum status status,
                   const char *text)
{
    reflection_response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;
    error.error_code = status;
    error.error_message = (char *)text;
    response.error_response = &error;
    answer(rpc, request, &response, ANSWER(ERROR_RESPONSE));
}

static void refuse_name(struct rpc *rpc, const reflection_request *request, const char *kind,
                        const char *name)
{
    _cleanup_(memory_free) char *text =
        text_format("there is no %s \"%.*s\"", kind, (int)text_cut(name, 128), name);
    refuse(rpc, request, STATUS_NOT_FOUND, text);
}

/* None of our protos imports another, so that one file is all. */
static void answer_file(struct rpc *rpc, const reflection_request *request, struct bytes file)
{
    reflection_response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    Grpc__Reflection__V1__FileDescriptorResponse files =
        GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
    ProtobufCBinaryData content = {.len = file.length, .data = (uint8_t *)file.data};
    files.file_descriptor_proto = &content;
    files.n_file_descriptor_proto = 1;
    response.file_descriptor_response = &files;
    answer(rpc, request, &response, ANSWER(FILE_DESCRIPTOR_RESPONSE));
}

static void answer_services(struct rpc *rpc, const reflection_request *request)
{
    reflection_response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    Grpc__Reflection__V1__ListServiceResponse list =
        GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
    Grpc__Reflection__V1__ServiceResponse services[MAX_SERVICES];
    Grpc__Reflection__V1__ServiceResponse *pointers[MAX_SERVICES];
    struct bytes files = all_files();
    struct bytes file;
    struct bytes service;
    list.service = pointers;
    while (take(&files, FILE_OF_SET, &file)) {
        struct bytes package = get(file, PACKAGE_OF_FILE);
        while (list.n_service < MAX_SERVICES && take(&file, SERVICE_OF_FILE, &service)) {
            struct bytes name = get(service, NAME_OF_ANY);
            pointers[list.n_service] = &services[list.n_service];
            grpc__reflection__v1__service_response__init(pointers[list.n_service]);
            pointers[list.n_service]->name =
                text_format("%.*s.%.*s", (int)package.length, (const char *)package.data,
                            (int)name.length, (const char *)name.data);
            list.n_service++;
        }
    }
    response.list_services_response = &list;
    answer(rpc, request, &response, ANSWER(LIST_SERVICES_RESPONSE));
    for (size_t i = 0; i < list.n_service; i++)
        memory_free(&services[i].name);
}

/* proto3 knows no extensions but those of descriptors, and ours have none. */
static void answer_extensions(struct rpc *rpc, const reflection_request *request, const char *type)
{
    reflection_response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    Grpc__Reflection__V1__ExtensionNumberResponse numbers =
        GRPC__REFLECTION__V1__EXTENSION_NUMBER_RESPONSE__INIT;
    struct bytes file;
    if (!find_file_of(type, &types_scope, &file)) {
        refuse_name(rpc, request, "type", type);
        return;
    }
    numbers.base_type_name = (char *)type;
    response.all_extension_numbers_response = &numbers;
    answer(rpc, request, &response, ANSWER(ALL_EXTENSION_NUMBERS_RESPONSE));
}

#define REQUEST(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name

static void handle_request(struct rpc *rpc, const ProtobufCMessage *message, int64_t now_ms)
{
    (void)now_ms;
    const reflection_request *request = (const reflection_request *)message;
    struct bytes file;
    switch (request->message_request_case) {
    case REQUEST(LIST_SERVICES):
        answer_services(rpc, request);
        return;
    case REQUEST(FILE_BY_FILENAME):
        if (find_file(request->file_by_filename, &file))
            answer_file(rpc, request, file);
        else
            refuse_name(rpc, request, "file", request->file_by_filename);
        return;
    case REQUEST(FILE_CONTAINING_SYMBOL):
        if (find_file_of(request->file_containing_symbol, &file_scope, &file))
            answer_file(rpc, request, file);
        else
            refuse_name(rpc, request, "symbol", request->file_containing_symbol);
        return;
    case REQUEST(ALL_EXTENSION_NUMBERS_OF_TYPE):
        answer_extensions(rpc, request, request->all_extension_numbers_of_type);
        return;
    case REQUEST(FILE_CONTAINING_EXTENSION):
        refuse(rpc, request, STATUS_NOT_FOUND, "there are no extensions");
        return;
    default:
        refuse(rpc, request, STATUS_INVALID_ARGUMENT, "unknown kind of request");
    }
}

/* One answer at a time: the next request is read when it has left. */
static void read_next(struct rpc *rpc)
{
    call_read(rpc->call);
}

#define REFLECTION(package)                                                                        \
    {                                                                                              \
        .name = package ".ServerReflection",                                                       \
        .methods =                                                                                 \
            &(const struct method){"/" package ".ServerReflection/ServerReflectionInfo",           \
                                   &grpc__reflection__v1__server_reflection_request__descriptor,   \
                                   handle_request, METHOD_BIDI_STREAM},                            \
        .method_count = 1,                                                                         \
        .rpc_bytes = sizeof(struct rpc),                                                           \
        .writable = read_next,                                                                     \
    }

const struct rpc_service reflection_v1 = REFLECTION("grpc.reflection.v1");
const struct rpc_service reflection_v1alpha = REFLECTION("grpc.reflection.v1alpha");
