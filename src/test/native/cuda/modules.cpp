// Modules are shared objects that the shim's NVRTC made. A kernel is called through a function that NVRTC generated
// for it.
#include "driver.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <unistd.h>

namespace shim {
Module::~Module() {
    if (library != nullptr) dlclose(library);
}

namespace {
// An object in memory says how long it is: its table of sections is its end. 0: it is none.
std::size_t image_bytes(const void *image) {
    auto *header = (const Elf64_Ehdr *) image;
    if (std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_machine != EM_X86_64) return 0;
    return header->e_shoff + (std::size_t) header->e_shnum * header->e_shentsize;
}

void *open_image(const void *image, std::size_t bytes) {
    const char *folder = std::getenv("TMPDIR");
    std::string path = std::string(folder == nullptr ? "/tmp" : folder) + "/stepd-shim-XXXXXX";
    int file = mkstemp(path.data());
    if (file < 0) return nullptr;
    std::size_t written = 0;
    while (written < bytes) {
        auto n = write(file, (const char *) image + written, bytes - written);
        if (n <= 0) break;
        written += (std::size_t) n;
    }
    close(file);
    void *library = written == bytes ? dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (library == nullptr) say("a module cannot be loaded: %s", dlerror());
    unlink(path.c_str());
    return library;
}

template <class T> T symbol(void *library, const std::string &name) { return (T) dlsym(library, name.c_str()); }

// A kernel's own, and those of functions that it may call.
void find_shared(Function &function) {
    link_map *map = nullptr;
    function.static_shared = 0;
    if (dlinfo(function.module->library, RTLD_DI_LINKMAP, &map) != 0) return;
    for (const auto &variable : function.module->shared) {
        bool others = variable.owner != function.name
                && dlsym(function.module->library, ("shim_call_" + variable.owner).c_str()) != nullptr;
        if (others) continue;
        function.shared.push_back({(char *) map->l_addr + variable.offset, variable.bytes});
        function.static_shared += (unsigned) variable.bytes;
    }
}

CUresult load(Call &call, Module **handle, const void *image) {
    if (image == nullptr) return INVALID_VALUE;
    std::size_t bytes = image_bytes(image);
    if (bytes == 0) return INVALID_IMAGE;
    void *library = open_image(image, bytes);
    if (library == nullptr) return INVALID_IMAGE;
    auto describe = symbol<void (*)(ModuleVariables *)>(library, "shim_module");
    auto *architecture = symbol<const int *>(library, "shim_architecture");
    if (describe == nullptr || architecture == nullptr) {
        dlclose(library);
        return INVALID_IMAGE;
    }
    // code for one architecture runs on the same with no lower minor number; negative: portable code, for any no
    // lower
    int have = driver().capability, needs = *architecture;
    if (needs > 0 ? needs / 10 != have / 10 || needs > have : -needs > have) {
        dlclose(library);
        return NO_BINARY_FOR_GPU;
    }
    auto module = std::make_shared<Module>();
    module->context = call.context;
    module->library = library;
    describe(&module->variables);
    module->shared = shared_variables(image);
    module->dynamic_shared = symbol<char *>(library, "shim_dynamic_shared");
    call.context->modules[module.get()] = module;
    *handle = module.get();
    return SUCCESS;
}

bool known(Context &context, Function *function) { return context.functions.contains(function); }

// Copies the arguments as they are now: a launch's own.
CUresult take_arguments(Launch &launch, void **parameters, void **extra) {
    const auto &p = launch.function->parameters;
    std::size_t total = 0;
    for (unsigned i = 0; i < p.count; i++) {
        total = (total + p.align[i] - 1) / p.align[i] * p.align[i];
        launch.offsets.push_back(total);
        total += p.size[i];
    }
    if (total > 4096) return INVALID_VALUE;
    launch.bytes.resize(total / 8 + 2);
    if (((std::uintptr_t) launch.bytes.data() & 15) != 0) {
        // vectors of 16 bytes among the arguments must lie as they would on the device
        launch.bytes.resize(total / 8 + 3);
        std::size_t shift = ((std::uintptr_t) launch.bytes.data() & 15) != 0 ? 8 : 0;
        for (auto &offset : launch.offsets) offset += shift;
    }
    if (p.count == 0) return SUCCESS;
    auto *bytes = (char *) launch.bytes.data();
    std::size_t shift = launch.offsets[0];
    if (parameters != nullptr) {
        for (unsigned i = 0; i < p.count; i++) {
            if (parameters[i] == nullptr) return INVALID_VALUE;
            std::memcpy(bytes + launch.offsets[i], parameters[i], p.size[i]);
        }
        return SUCCESS;
    }
    const void *buffer = nullptr;
    std::size_t length = 0;
    for (; extra != nullptr && *extra != nullptr; extra += 2) {
        if (*extra == (void *) 1) buffer = extra[1];
        else if (*extra == (void *) 2) length = *(std::size_t *) extra[1];
        else return INVALID_VALUE;
    }
    if (buffer == nullptr || length < total) return INVALID_VALUE;
    std::memcpy(bytes + shift, buffer, total);
    return SUCCESS;
}

CUresult check(const Launch &launch) {
    const Function &f = *launch.function;
    uint3 g = launch.grid, b = launch.block;
    if (g.x == 0 || g.y == 0 || g.z == 0 || b.x == 0 || b.y == 0 || b.z == 0) return INVALID_VALUE;
    if (g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535 || b.x > 1024 || b.y > 1024 || b.z > 64) return INVALID_VALUE;
    if ((std::uint64_t) b.x * b.y * b.z > f.launch_bound) {
        say("kernel %s: %u x %u x %u threads, at most %u in a block", f.name.c_str(), b.x, b.y, b.z, f.launch_bound);
        return INVALID_VALUE;
    }
    if (launch.shared > f.dynamic_shared_max) {
        say("kernel %s: %u bytes of dynamic shared memory, at most %u", f.name.c_str(), launch.shared, f.dynamic_shared_max);
        return INVALID_VALUE;
    }
    return SUCCESS;
}

std::size_t rounded_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

int blocks_at_once(const Function &f, int threads, std::size_t dynamic) {
    if (threads < 1 || threads > (int) f.launch_bound) return 0;
    std::size_t by_threads = 2048 / rounded_up((std::size_t) threads, 32);
    std::size_t by_shared = (228u << 10) / rounded_up(f.static_shared + dynamic + 1024, 128);
    return (int) std::min({by_threads, by_shared, (std::size_t) 32});
}
}  // namespace
}  // namespace shim

using namespace shim;

EXPORT CUresult cuModuleLoadData(Module **module, const void *image) {
    ENTER("cuModuleLoadData", CONTEXT);
    return load(call, module, image);
}
EXPORT CUresult cuModuleLoadDataEx(Module **module, const void *image, unsigned, int *, void **) {
    ENTER("cuModuleLoadDataEx", CONTEXT);
    return load(call, module, image);
}
EXPORT CUresult cuModuleUnload(Module *module) {
    ENTER("cuModuleUnload", CONTEXT);
    if (!call.context->modules.contains(module)) return INVALID_HANDLE;
    module->unloaded = true;
    for (auto &[_, function] : module->functions) call.context->functions.erase(function.get());
    call.context->modules.erase(module);
    return SUCCESS;
}
EXPORT CUresult cuModuleGetLoadingMode(int *mode) {
    ENTER("cuModuleGetLoadingMode", INIT);
    *mode = 1;
    return SUCCESS;
}
EXPORT CUresult cuModuleGetFunction(Function **function, Module *module, const char *name) {
    ENTER("cuModuleGetFunction", CONTEXT);
    if (!call.context->modules.contains(module)) return INVALID_HANDLE;
    auto &known = module->functions[name];
    if (!known) {
        auto invoke = symbol<void (*)(void **)>(module->library, std::string("shim_call_") + name);
        auto describe = symbol<void (*)(KernelParameters *, unsigned *)>(module->library, std::string("shim_describe_") + name);
        if (invoke == nullptr || describe == nullptr) {
            module->functions.erase(name);
            return NOT_FOUND;
        }
        known = std::make_unique<Function>();
        known->module = module;
        known->name = name;
        known->call = invoke;
        describe(&known->parameters, &known->launch_bound);
        find_shared(*known);
        known->dynamic_shared_max = (48u << 10) - std::min(48u << 10, known->static_shared);
        call.context->functions.insert(known.get());
    }
    *function = known.get();
    return SUCCESS;
}
EXPORT CUresult cuModuleGetGlobal_v2(CUdeviceptr *address, std::size_t *bytes, Module *module, const char *name) {
    ENTER("cuModuleGetGlobal", CONTEXT);
    if (!call.context->modules.contains(module)) return INVALID_HANDLE;
    void *found = dlsym(module->library, name);
    Dl_info info;
    const Elf64_Sym *entry = nullptr;
    if (found == nullptr || dladdr1(found, &info, (void **) &entry, RTLD_DL_SYMENT) == 0 || entry == nullptr
            || ELF64_ST_TYPE(entry->st_info) != STT_OBJECT || std::strncmp(name, "shim_", 5) == 0) {
        return NOT_FOUND;
    }
    module->globals[(std::uintptr_t) found] = entry->st_size;
    if (address != nullptr) *address = (CUdeviceptr) found;
    if (bytes != nullptr) *bytes = entry->st_size;
    return SUCCESS;
}

EXPORT CUresult cuFuncGetAttribute(int *value, int attribute, Function *function) {
    ENTER("cuFuncGetAttribute", CONTEXT);
    if (!known(*call.context, function)) return INVALID_HANDLE;
    switch (attribute) {
        case 0: *value = (int) function->launch_bound; break;
        case 1: *value = (int) function->static_shared; break;
        case 4: *value = 32; break;
        case 5: case 6: *value = driver().capability; break;
        case 8: *value = (int) function->dynamic_shared_max; break;
        case 9: *value = -1; break;
        default:
            if (attribute < 0 || attribute > 15) return INVALID_VALUE;
            *value = 0;
    }
    return SUCCESS;
}
EXPORT CUresult cuFuncSetAttribute(Function *function, int attribute, int value) {
    ENTER("cuFuncSetAttribute", CONTEXT);
    if (!known(*call.context, function)) return INVALID_HANDLE;
    if (attribute == 8) {
        if (value < 0 || (unsigned) value + function->static_shared > 227u << 10) return INVALID_VALUE;
        function->dynamic_shared_max = (unsigned) value;
        return SUCCESS;
    }
    return attribute == 9 ? SUCCESS : INVALID_VALUE;
}
EXPORT CUresult cuFuncSetCacheConfig(Function *, int) { return SUCCESS; }
EXPORT CUresult cuFuncGetModule(Module **module, Function *function) {
    ENTER("cuFuncGetModule", CONTEXT);
    if (!known(*call.context, function)) return INVALID_HANDLE;
    *module = function->module;
    return SUCCESS;
}
EXPORT CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, Function *function, int threads, std::size_t dynamic) {
    ENTER("cuOccupancyMaxActiveBlocksPerMultiprocessor", CONTEXT);
    if (!known(*call.context, function)) return INVALID_HANDLE;
    *blocks = blocks_at_once(*function, threads, dynamic);
    return SUCCESS;
}
EXPORT CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, Function *function, int threads,
                                                                      std::size_t dynamic, unsigned) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, threads, dynamic);
}

EXPORT CUresult cuLaunchKernel(Function *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                               unsigned shared, void *stream, void **parameters, void **extra) {
    ENTER("cuLaunchKernel", CONTEXT);
    if (!known(*call.context, function)) return INVALID_HANDLE;
    auto launch = std::make_shared<Launch>();
    launch->module = call.context->modules[function->module];
    launch->function = function;
    launch->grid = {gx, gy, gz};
    launch->block = {bx, by, bz};
    launch->shared = shared;
    if (auto error = check(*launch)) return error;
    if (auto error = take_arguments(*launch, parameters, extra)) return error;
    Node node{0, "kernel " + function->name, [launch] {
        std::uint64_t seed;
        {
            std::lock_guard guard(driver().lock);
            if (launch->module->unloaded) {
                say("kernel %s ran when its module was unloaded", launch->function->name.c_str());
                return LAUNCH_FAILED;
            }
            seed = driver().random.next();
        }
        return run(*launch, seed);
    }, {}, launch};
    return submit(call.lock, *call.context, stream, std::move(node));
}
