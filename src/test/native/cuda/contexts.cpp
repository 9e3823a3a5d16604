// Initialization, devices, contexts, errors by name, and the control functions of tests.
#include "driver.h"

#include <algorithm>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace shim {
namespace {
thread_local std::vector<Context *> current;
}  // namespace

Driver &driver() {
    // never destroyed: threads outlive the program's end
    static Driver *instance = [] {
        auto *d = new Driver;
        configure(*d);
        return d;
    }();
    return *instance;
}

double now_ms() {
    using namespace std::chrono;
    return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

void say(const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    std::fprintf(stderr, "cuda shim: %s\n", text);
    std::lock_guard guard(driver().message_lock);
    driver().message = text;
}

Context *current_context() { return current.empty() ? nullptr : current.back(); }

Call::Call(const char *name, Needs needs) : lock(driver().lock) {
    Driver &d = driver();
    d.calls[name]++;
    if (auto found = d.faults.find(name); found != d.faults.end()) {
        Fault &fault = found->second;
        if (fault.after > 0 && --fault.after > 0) {
            // not yet
        } else {
            error = fault.error;
            bool sticky = fault.sticky;
            if (sticky) fault.after = 0;
            else d.faults.erase(found);
            // an error of this kind loses the context, whoever met it
            bool lost = (error >= 700 && error <= 719 && error != 701 && error != 708 && error != 712 && error != 713)
                    || error == 214 || error == 220;
            if (auto *c = current_context(); lost && c != nullptr) c->sticky = error;
            return;
        }
    }
    if (needs == Needs::NOTHING) return;
    if (!d.initialized) {
        error = NOT_INITIALIZED;
        return;
    }
    if (needs == Needs::INIT) return;
    context = current_context();
    if (context == nullptr) {
        error = INVALID_CONTEXT;
    } else if (!context->alive) {
        error = CONTEXT_IS_DESTROYED;
    } else {
        error = context->sticky;
    }
}

void destroy_resources(Context &context) {
    // callers have waited for what was under way, which uses what goes
    for (auto *event : context.events) delete event;
    for (auto *exec : context.execs) delete exec;
    for (auto &[_, allocation] : context.memory) {
        if (allocation.kind == Kind::DEVICE) *context.used -= allocation.bytes;
        release(allocation);
    }
    while (!context.streams.empty()) drop_stream(*context.streams.begin());
    context.events.clear();
    context.execs.clear();
    context.memory.clear();
    context.streams.clear();
    context.modules.clear();
    context.functions.clear();
    context.null_stream.reset();
    context.sticky = SUCCESS;
    context.alive = false;
}

long live_objects() {
    Driver &d = driver();
    long count = (long) d.graphs.size();
    auto add = [&](Context *c) {
        count += (long) (c->memory.size() + c->events.size() + c->modules.size() + c->execs.size());
        for (auto *stream : c->streams) count += !stream->destroyed;
    };
    for (auto *c : d.primaries) add(c);
    for (auto *c : d.contexts) add(c);
    return count;
}
}  // namespace shim

using namespace shim;

EXPORT CUresult cuInit(unsigned flags) {
    ENTER("cuInit", NOTHING);
    if (flags != 0) return INVALID_VALUE;
    if (driver().devices == 0) return NO_DEVICE;
    if (!driver().initialized) install_handlers();
    driver().initialized = true;
    return SUCCESS;
}

EXPORT CUresult cuDriverGetVersion(int *version) {
    ENTER("cuDriverGetVersion", NOTHING);
    *version = (int) 13000;
    return SUCCESS;
}

// ---- devices

static bool known(CUdevice device) { return device >= 0 && device < driver().devices; }

EXPORT CUresult cuDeviceGetCount(int *count) {
    ENTER("cuDeviceGetCount", INIT);
    *count = driver().devices;
    return SUCCESS;
}

EXPORT CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    ENTER("cuDeviceGet", INIT);
    if (!known(ordinal)) return INVALID_DEVICE;
    *device = ordinal;
    return SUCCESS;
}

EXPORT CUresult cuDeviceGetName(char *name, int room, CUdevice device) {
    ENTER("cuDeviceGetName", INIT);
    if (!known(device) || room < 1) return known(device) ? INVALID_VALUE : INVALID_DEVICE;
    std::snprintf(name, (std::size_t) room, "stepd shim %d", device);
    return SUCCESS;
}

EXPORT CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) {
    ENTER("cuDeviceGetUuid", INIT);
    if (!known(device)) return INVALID_DEVICE;
    std::memcpy(uuid->bytes, "stepd-shim-uuid", 15);
    uuid->bytes[15] = (char) device;
    return SUCCESS;
}
EXPORT CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device) { return cuDeviceGetUuid(uuid, device); }

EXPORT CUresult cuDeviceGetPCIBusId(char *id, int room, CUdevice device) {
    ENTER("cuDeviceGetPCIBusId", INIT);
    if (!known(device)) return INVALID_DEVICE;
    std::snprintf(id, (std::size_t) room, "0000:%02x:00.0", device + 1);
    return SUCCESS;
}

EXPORT CUresult cuDeviceTotalMem_v2(std::size_t *bytes, CUdevice device) {
    ENTER("cuDeviceTotalMem", INIT);
    if (!known(device)) return INVALID_DEVICE;
    *bytes = driver().memory_bytes;
    return SUCCESS;
}

EXPORT CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
    ENTER("cuDeviceGetAttribute", INIT);
    if (!known(device)) return INVALID_DEVICE;
    // those that are not 0
    static const std::map<int, int> values = {
        {1, 1024}, {2, 1024}, {3, 1024}, {4, 64}, {5, 0x7fffffff}, {6, 65535}, {7, 65535},  // extents of blocks and grids
        {8, 48 << 10}, {81, 228 << 10}, {97, 227 << 10}, {111, 1024},                       // shared memory
        {9, 64 << 10}, {10, 32}, {11, 0x7fffffff}, {12, 65536}, {82, 65536}, {39, 2048}, {106, 32},
        {13, 1755000}, {14, 512}, {15, 1}, {16, 2}, {19, 1}, {31, 1}, {36, 2619000}, {37, 5120}, {38, 50 << 20}, {40, 2},
        {41, 1}, {78, 1}, {79, 1}, {80, 1}, {87, 2}, {90, 1}, {91, 1}, {99, 1}};
    if (attribute == 75) *value = driver().capability / 10;
    else if (attribute == 76) *value = driver().capability % 10;
    else if (attribute == 33) *value = device + 1;
    else if (auto found = values.find(attribute); found != values.end()) *value = found->second;
    else if (attribute > 0 && attribute < 148) *value = 0;
    else return INVALID_VALUE;
    return SUCCESS;
}

EXPORT CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device) {
    ENTER("cuDeviceComputeCapability", INIT);
    if (!known(device)) return INVALID_DEVICE;
    *major = driver().capability / 10;
    *minor = driver().capability % 10;
    return SUCCESS;
}

EXPORT CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer) {
    ENTER("cuDeviceCanAccessPeer", INIT);
    if (!known(device) || !known(peer)) return INVALID_DEVICE;
    *can = 0;
    return SUCCESS;
}

// ---- contexts

static void revive(Context &context) {
    context.alive = true;
    context.null_stream = std::make_unique<Stream>();
    context.null_stream->context = &context;
    context.null_stream->blocking = false;
    context.null_stream->id = ++driver().streams_made;
}

EXPORT CUresult cuDevicePrimaryCtxRetain(Context **context, CUdevice device) {
    ENTER("cuDevicePrimaryCtxRetain", INIT);
    if (!known(device)) return INVALID_DEVICE;
    Context &primary = *driver().primaries[device];
    if (!primary.alive) revive(primary);
    primary.retained++;
    *context = &primary;
    return SUCCESS;
}

void shim::settle(std::unique_lock<std::mutex> &lock, Context &context) {
    std::vector<OpRef> all;
    for (auto *stream : context.streams) if (stream->last) all.push_back(stream->last);
    if (context.null_stream && context.null_stream->last) all.push_back(context.null_stream->last);
    wait(lock, all);
}

EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    ENTER("cuDevicePrimaryCtxRelease", INIT);
    if (!known(device)) return INVALID_DEVICE;
    Context &primary = *driver().primaries[device];
    if (primary.retained == 0) return INVALID_CONTEXT;
    if (--primary.retained == 0) {
        settle(call.lock, primary);
        destroy_resources(primary);
    }
    return SUCCESS;
}

EXPORT CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
    ENTER("cuDevicePrimaryCtxReset", INIT);
    if (!known(device)) return INVALID_DEVICE;
    Context &primary = *driver().primaries[device];
    if (primary.alive) {
        settle(call.lock, primary);
        destroy_resources(primary);
    }
    return SUCCESS;
}

EXPORT CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
    ENTER("cuDevicePrimaryCtxSetFlags", INIT);
    if (!known(device)) return INVALID_DEVICE;
    driver().primaries[device]->flags = flags;
    return SUCCESS;
}

EXPORT CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) {
    ENTER("cuDevicePrimaryCtxGetState", INIT);
    if (!known(device)) return INVALID_DEVICE;
    *flags = driver().primaries[device]->flags;
    *active = driver().primaries[device]->alive;
    return SUCCESS;
}

static bool known(Context *context) {
    Driver &d = driver();
    return d.contexts.contains(context) || d.set_aside.contains(context)
            || std::find(d.primaries.begin(), d.primaries.end(), context) != d.primaries.end();
}

EXPORT CUresult cuCtxCreate_v2(Context **context, unsigned flags, CUdevice device) {
    ENTER("cuCtxCreate", INIT);
    if (!known(device)) return INVALID_DEVICE;
    auto *made = new Context(device, driver().primaries[(std::size_t) device]->used);
    made->flags = flags;
    revive(*made);
    driver().contexts.insert(made);
    current.push_back(made);
    *context = made;
    return SUCCESS;
}

EXPORT CUresult cuCtxDestroy_v2(Context *context) {
    ENTER("cuCtxDestroy", INIT);
    if (!driver().contexts.contains(context)) return INVALID_CONTEXT;
    settle(call.lock, *context);
    destroy_resources(*context);
    driver().contexts.erase(context);
    if (!current.empty() && current.back() == context) current.pop_back();
    // other threads may have it current: the few bytes stay, so that they are told
    return SUCCESS;
}

EXPORT CUresult cuCtxSetCurrent(Context *context) {
    ENTER("cuCtxSetCurrent", INIT);
    if (context != nullptr && !known(context)) return INVALID_CONTEXT;
    if (!current.empty()) current.pop_back();
    if (context != nullptr) current.push_back(context);
    return SUCCESS;
}

EXPORT CUresult cuCtxGetCurrent(Context **context) {
    ENTER("cuCtxGetCurrent", INIT);
    *context = current_context();
    return SUCCESS;
}

EXPORT CUresult cuCtxPushCurrent_v2(Context *context) {
    ENTER("cuCtxPushCurrent", INIT);
    if (!known(context)) return INVALID_CONTEXT;
    current.push_back(context);
    return SUCCESS;
}

EXPORT CUresult cuCtxPopCurrent_v2(Context **context) {
    ENTER("cuCtxPopCurrent", INIT);
    if (current.empty()) return INVALID_CONTEXT;
    if (context != nullptr) *context = current.back();
    current.pop_back();
    return SUCCESS;
}

EXPORT CUresult cuCtxGetDevice(CUdevice *device) {
    ENTER("cuCtxGetDevice", CONTEXT);
    *device = call.context->device;
    return SUCCESS;
}

EXPORT CUresult cuCtxGetFlags(unsigned *flags) {
    ENTER("cuCtxGetFlags", CONTEXT);
    *flags = call.context->flags;
    return SUCCESS;
}

EXPORT CUresult cuCtxGetApiVersion(Context *context, unsigned *version) {
    ENTER("cuCtxGetApiVersion", INIT);
    if (context != nullptr && !known(context)) return INVALID_CONTEXT;
    *version = 3020;
    return SUCCESS;
}

EXPORT CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    ENTER("cuCtxGetStreamPriorityRange", CONTEXT);
    if (least != nullptr) *least = 0;
    if (greatest != nullptr) *greatest = -5;
    return SUCCESS;
}

EXPORT CUresult cuCtxSynchronize() {
    ENTER("cuCtxSynchronize", CONTEXT);
    if (auto refused = refuse_in_capture(*call.context)) return refused;
    settle(call.lock, *call.context);
    return call.context->sticky;
}

EXPORT CUresult cuCtxSetCacheConfig(int) { return SUCCESS; }
EXPORT CUresult cuCtxSetLimit(int, std::size_t) { return SUCCESS; }
