// Memory of the device and pinned memory of the host: guarded by patterns and by pages that cannot be touched.
#include "driver.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace shim {
namespace {
constexpr std::size_t PAGE = 4096;
constexpr std::size_t GUARD = 512;  // bytes of pattern before and at least after each allocation
constexpr unsigned char PATTERN = 0xA5;
constexpr unsigned char FRESH = 0xCD;
constexpr std::size_t QUARANTINE = 512;

// Freed mappings, which stay reserved for a while: whoever still uses them is caught by the processor.
struct Freed { char *mapping; std::size_t mapped; };
auto &quarantine = *new std::deque<Freed>;

CUresult allocate(Context &context, Kind kind, std::size_t bytes, unsigned flags, char *&data) {
    std::size_t inner = (GUARD + bytes + GUARD + PAGE - 1) / PAGE * PAGE;
    std::size_t mapped = inner + 2 * PAGE;
    void *mapping = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) return OUT_OF_MEMORY;
    char *start = (char *) mapping + PAGE;
    if (mprotect(start, inner, PROT_READ | PROT_WRITE) != 0) {
        munmap(mapping, mapped);
        return OUT_OF_MEMORY;
    }
    data = start + GUARD;
    std::memset(start, PATTERN, GUARD);
    std::memset(data, FRESH, bytes);
    std::memset(data + bytes, PATTERN, inner - GUARD - bytes);
    context.memory[(std::uintptr_t) data] = {kind, &context, data, bytes, (char *) mapping, mapped, flags};
    return SUCCESS;
}

// The first byte of the guard zones that is not as it was, or null.
const char *damage(const Allocation &a) {
    if (a.kind == Kind::REGISTERED) return nullptr;
    static const auto pattern = [] {
        std::array<unsigned char, GUARD> bytes;
        bytes.fill(PATTERN);
        return bytes;
    }();
    const char *zones[] = {a.data - GUARD, a.data + a.bytes};
    for (const char *zone : zones) {
        if (std::memcmp(zone, pattern.data(), GUARD) == 0) continue;
        for (std::size_t i = 0; i < GUARD; i++) if ((unsigned char) zone[i] != PATTERN) return zone + i;
    }
    return nullptr;
}

bool report(const Allocation &a, const std::string &after) {
    const char *where = damage(a);
    if (where == nullptr) return false;
    say("%s wrote outside an allocation: %zu bytes at %p, written at offset %td", after.c_str(), a.bytes, (void *) a.data,
        where - a.data);
    return true;
}

Allocation *find(Context &context, std::uintptr_t address) {
    auto after = context.memory.upper_bound(address);
    if (after == context.memory.begin()) return nullptr;
    Allocation &a = std::prev(after)->second;
    return address - (std::uintptr_t) a.data < std::max<std::size_t>(a.bytes, 1) ? &a : nullptr;
}
}  // namespace

bool in_one_allocation(Context &context, CUdeviceptr address, std::size_t bytes) {
    if (Allocation *a = find(context, address)) return address - (std::uintptr_t) a->data + bytes <= a->bytes;
    for (auto &[_, module] : context.modules) {
        for (auto [start, size] : module->globals) {
            if (address >= start && address - start + bytes <= size) return true;
        }
    }
    return false;
}

CUresult check_guards(Context &context, const std::string &after) {
    // some at a time where there are many; each is looked at when it is freed, too
    auto next = context.memory.upper_bound(context.checked);
    for (std::size_t left = std::min<std::size_t>(context.memory.size(), 64); left > 0; left--, ++next) {
        if (next == context.memory.end()) next = context.memory.begin();
        context.checked = next->first;
        if (report(next->second, after)) return context.sticky = ILLEGAL_ADDRESS;
    }
    return SUCCESS;
}

void release(Allocation &a) {
    if (a.kind == Kind::REGISTERED) return;
    madvise(a.mapping, a.mapped, MADV_DONTNEED);
    mprotect(a.mapping, a.mapped, PROT_NONE);
    quarantine.push_back({a.mapping, a.mapped});
    if (quarantine.size() > QUARANTINE) {
        munmap(quarantine.front().mapping, quarantine.front().mapped);
        quarantine.pop_front();
    }
}

std::string describe_address(Context &context, std::uintptr_t address) {
    char text[200];
    for (auto &freed : quarantine) {
        if (address - (std::uintptr_t) freed.mapping < freed.mapped) {
            std::snprintf(text, sizeof text, "0x%zx is in memory that was freed", (std::size_t) address);
            return text;
        }
    }
    for (auto &[_, a] : context.memory) {
        if (a.kind != Kind::REGISTERED && address - (std::uintptr_t) a.mapping < a.mapped) {
            std::snprintf(text, sizeof text, "0x%zx is at offset %td of an allocation of %zu bytes", (std::size_t) address,
                          (char *) address - a.data, a.bytes);
            return text;
        }
    }
    std::snprintf(text, sizeof text, "0x%zx is in no allocation", (std::size_t) address);
    return text;
}
}  // namespace shim

using namespace shim;

// ---- the device's

EXPORT CUresult cuMemGetInfo_v2(std::size_t *free, std::size_t *total) {
    ENTER("cuMemGetInfo", CONTEXT);
    std::size_t now = *call.context->used, all = driver().memory_bytes;
    *free = now > all ? 0 : all - now;
    *total = all;
    return SUCCESS;
}

EXPORT CUresult cuMemAlloc_v2(CUdeviceptr *address, std::size_t bytes) {
    ENTER("cuMemAlloc", CONTEXT);
    if (auto refused = refuse_in_capture(*call.context)) return refused;
    if (bytes == 0 || address == nullptr) return INVALID_VALUE;
    std::size_t &now = *call.context->used;
    if (bytes > driver().memory_bytes || now > driver().memory_bytes - bytes) return OUT_OF_MEMORY;
    char *data;
    if (auto error = allocate(*call.context, Kind::DEVICE, bytes, 0, data)) return error;
    now += bytes;
    *address = (CUdeviceptr) data;
    return SUCCESS;
}

static CUresult free_memory(Context &context, std::uintptr_t address, Kind kind, const char *name) {
    auto found = context.memory.find(address);
    if (found == context.memory.end() || found->second.kind != kind) {
        say("%s of what is not allocated: %s", name, describe_address(context, address).c_str());
        return INVALID_VALUE;
    }
    bool damaged = report(found->second, std::string("something before ") + name);
    if (kind == Kind::DEVICE) *context.used -= found->second.bytes;
    release(found->second);
    context.memory.erase(found);
    // as on the device, where whoever calls next learns of it
    if (damaged) context.sticky = ILLEGAL_ADDRESS;
    return SUCCESS;
}

EXPORT CUresult cuMemFree_v2(CUdeviceptr address) {
    ENTER("cuMemFree", CONTEXT);
    if (auto refused = refuse_in_capture(*call.context)) return refused;
    return address == 0 ? SUCCESS : free_memory(*call.context, address, Kind::DEVICE, "cuMemFree");
}

EXPORT CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, std::size_t *bytes, CUdeviceptr address) {
    ENTER("cuMemGetAddressRange", CONTEXT);
    Allocation *a = find(*call.context, address);
    if (a == nullptr) return NOT_FOUND;
    if (base != nullptr) *base = (CUdeviceptr) a->data;
    if (bytes != nullptr) *bytes = a->bytes;
    return SUCCESS;
}

// ---- the host's

EXPORT CUresult cuMemHostAlloc(void **address, std::size_t bytes, unsigned flags) {
    ENTER("cuMemHostAlloc", CONTEXT);
    if (auto refused = refuse_in_capture(*call.context)) return refused;
    if (bytes == 0 || (flags & ~7u) != 0) return INVALID_VALUE;
    char *data;
    if (auto error = allocate(*call.context, Kind::PINNED, bytes, flags, data)) return error;
    *address = data;
    return SUCCESS;
}
EXPORT CUresult cuMemAllocHost_v2(void **address, std::size_t bytes) { return cuMemHostAlloc(address, bytes, 0); }

EXPORT CUresult cuMemFreeHost(void *address) {
    ENTER("cuMemFreeHost", CONTEXT);
    if (auto refused = refuse_in_capture(*call.context)) return refused;
    return free_memory(*call.context, (std::uintptr_t) address, Kind::PINNED, "cuMemFreeHost");
}

EXPORT CUresult cuMemHostRegister_v2(void *address, std::size_t bytes, unsigned flags) {
    ENTER("cuMemHostRegister", CONTEXT);
    if (address == nullptr || bytes == 0) return INVALID_VALUE;
    auto start = (std::uintptr_t) address;
    for (auto &[at, a] : call.context->memory) {
        if (at < start + bytes && start < at + a.bytes) return HOST_MEMORY_ALREADY_REGISTERED;
    }
    call.context->memory[start] = {Kind::REGISTERED, call.context, (char *) address, bytes, nullptr, 0, flags};
    return SUCCESS;
}

EXPORT CUresult cuMemHostUnregister(void *address) {
    ENTER("cuMemHostUnregister", CONTEXT);
    auto found = call.context->memory.find((std::uintptr_t) address);
    if (found == call.context->memory.end() || found->second.kind != Kind::REGISTERED) return HOST_MEMORY_NOT_REGISTERED;
    call.context->memory.erase(found);
    return SUCCESS;
}

EXPORT CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *device, void *address, unsigned flags) {
    ENTER("cuMemHostGetDevicePointer", CONTEXT);
    Allocation *a = find(*call.context, (std::uintptr_t) address);
    if (flags != 0 || a == nullptr || a->kind == Kind::DEVICE) return INVALID_VALUE;
    *device = (CUdeviceptr) address;
    return SUCCESS;
}

EXPORT CUresult cuMemHostGetFlags(unsigned *flags, void *address) {
    ENTER("cuMemHostGetFlags", CONTEXT);
    Allocation *a = find(*call.context, (std::uintptr_t) address);
    if (a == nullptr || a->kind == Kind::DEVICE) return INVALID_VALUE;
    *flags = a->flags;
    return SUCCESS;
}

// ---- copies

namespace {
struct Copy {
    void *to;
    const void *from;
    std::size_t bytes;
    bool to_device, from_device;  // whether these must lie in the device's memory
};

bool outside(Context &context, const Copy &c) {
    return (c.to_device && !in_one_allocation(context, (CUdeviceptr) c.to, c.bytes))
            || (c.from_device && !in_one_allocation(context, (CUdeviceptr) c.from, c.bytes));
}

// `wait_for_it`: whether the function returns when all is done
CUresult copy(Call &call, const char *name, const Copy &c, void *stream, bool wait_for_it) {
    Context &context = *call.context;
    if (c.bytes == 0) return SUCCESS;
    if (wait_for_it) {
        if (auto refused = refuse_in_capture(context)) return refused;
    }
    if (outside(context, c)) {
        CUdeviceptr end = c.to_device && !in_one_allocation(context, (CUdeviceptr) c.to, c.bytes) ? (CUdeviceptr) c.to
                                                                                                  : (CUdeviceptr) c.from;
        say("%s of %zu bytes: %s", name, c.bytes, describe_address(context, end).c_str());
        return INVALID_VALUE;
    }
    std::string what = name;
    Node node{1, what, [&context, c, what] {
        {
            std::lock_guard guard(driver().lock);
            if (outside(context, c)) {
                say("%s ran when its memory was gone: %p to %p, %zu bytes", what.c_str(), c.from, c.to, c.bytes);
                return ILLEGAL_ADDRESS;
            }
        }
        CUresult error = SUCCESS;
        std::string message;
        if (guarded([&] { std::memmove(c.to, c.from, c.bytes); }, error, message)) return SUCCESS;
        say("%s: %s", what.c_str(), message.c_str());
        return error;
    }, {}, nullptr};
    if (auto error = submit(call.lock, context, stream, std::move(node))) return error;
    if (wait_for_it) {
        wait(call.lock, {context.null_stream->last});
        return context.sticky;
    }
    return SUCCESS;
}

CUresult fill(Call &call, const char *name, CUdeviceptr to, std::uint64_t value, int width, std::size_t count, void *stream) {
    Context &context = *call.context;
    std::size_t bytes = count * (std::size_t) width;
    if (count == 0) return SUCCESS;
    if (to % (CUdeviceptr) width != 0 || !in_one_allocation(context, to, bytes)) {
        say("%s of %zu bytes: %s", name, bytes, describe_address(context, to).c_str());
        return INVALID_VALUE;
    }
    std::string what = name;
    Node node{2, what, [=, &context] {
        {
            std::lock_guard guard(driver().lock);
            if (!in_one_allocation(context, to, bytes)) {
                say("%s ran when its memory was gone", what.c_str());
                return ILLEGAL_ADDRESS;
            }
        }
        auto *bytes_of = (char *) to;
        if (width == 1) std::memset(bytes_of, (int) value, bytes);
        else for (std::size_t i = 0; i < count; i++) std::memcpy(bytes_of + i * (std::size_t) width, &value, (std::size_t) width);
        return SUCCESS;
    }, {}, nullptr};
    return submit(call.lock, context, stream, std::move(node));
}
}  // namespace

EXPORT CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, std::size_t bytes) {
    ENTER("cuMemcpyHtoD", CONTEXT);
    return copy(call, "cuMemcpyHtoD", {(void *) to, from, bytes, true, false}, nullptr, true);
}
EXPORT CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, std::size_t bytes) {
    ENTER("cuMemcpyDtoH", CONTEXT);
    return copy(call, "cuMemcpyDtoH", {to, (void *) from, bytes, false, true}, nullptr, true);
}
// the host does not wait for copies within the device
EXPORT CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, std::size_t bytes) {
    ENTER("cuMemcpyDtoD", CONTEXT);
    return copy(call, "cuMemcpyDtoD", {(void *) to, (void *) from, bytes, true, true}, nullptr, false);
}
EXPORT CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, std::size_t bytes) {
    ENTER("cuMemcpy", CONTEXT);
    return copy(call, "cuMemcpy", {(void *) to, (void *) from, bytes, false, false}, nullptr, true);
}
EXPORT CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, std::size_t bytes, void *stream) {
    ENTER("cuMemcpyHtoDAsync", CONTEXT);
    return copy(call, "cuMemcpyHtoDAsync", {(void *) to, from, bytes, true, false}, stream, false);
}
EXPORT CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, std::size_t bytes, void *stream) {
    ENTER("cuMemcpyDtoHAsync", CONTEXT);
    return copy(call, "cuMemcpyDtoHAsync", {to, (void *) from, bytes, false, true}, stream, false);
}
EXPORT CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, std::size_t bytes, void *stream) {
    ENTER("cuMemcpyDtoDAsync", CONTEXT);
    return copy(call, "cuMemcpyDtoDAsync", {(void *) to, (void *) from, bytes, true, true}, stream, false);
}
EXPORT CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, std::size_t bytes, void *stream) {
    ENTER("cuMemcpyAsync", CONTEXT);
    return copy(call, "cuMemcpyAsync", {(void *) to, (void *) from, bytes, false, false}, stream, false);
}

#define FILL(function, name, T)                                                                                       \
    EXPORT CUresult function##_v2(CUdeviceptr to, T value, std::size_t count) {                                       \
        ENTER(name, CONTEXT);                                                                                         \
        return fill(call, name, to, value, sizeof(T), count, nullptr);                                                \
    }                                                                                                                 \
    EXPORT CUresult function##Async(CUdeviceptr to, T value, std::size_t count, void *stream) {                       \
        ENTER(name "Async", CONTEXT);                                                                                 \
        return fill(call, name "Async", to, value, sizeof(T), count, stream);                                         \
    }
FILL(cuMemsetD8, "cuMemsetD8", unsigned char)
FILL(cuMemsetD16, "cuMemsetD16", unsigned short)
FILL(cuMemsetD32, "cuMemsetD32", unsigned int)
