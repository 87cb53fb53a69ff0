#include "serve/grpc_core/library.h"

#include "base/memory.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#define CORE_FUNCTION_ROW(name) {#name, offsetof(struct core_library, name)},

static const struct {
    const char *name;
    size_t offset;
} functions[] = {CORE_FUNCTIONS(CORE_FUNCTION_ROW)};

struct core_library core;

bool core_library_load(struct error *error)
{
    if (core.grpc_init != NULL)
        return true;
    void *library = dlopen(BACKLOG_GRPC_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return error_set(error, ERROR_INTERNAL, "cannot load the gRPC C core: %s", dlerror());

    struct core_library found;
    for (size_t i = 0; i < ARRAY_LENGTH(functions); i++) {
        void *function = dlsym(library, functions[i].name);
        if (function == NULL)
            return error_set(error, ERROR_INTERNAL, "%s has no function %s", BACKLOG_GRPC_LIBRARY,
                             functions[i].name);
        memcpy((char *)&found + functions[i].offset, &function, sizeof(function));
    }
    core = found;
    return true;
}
