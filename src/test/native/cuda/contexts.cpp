// Initialization, devices, contexts, errors by name, and the control functions of tests.
#include "driver.h"

#include <algorithm>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace shim {
namespace {
thread_local std::vector<Context *> current;

long environment(const char *name, long otherwise) {
    const char *text = std::getenv(name);
    return text == nullptr || *text == 0 ? otherwise : std::atol(text);
}

void set_devices(Driver &d, int count) {
    d.devices = count;
    while ((int) d.primaries.size() < count) {
        auto *context = new Context((int) d.primaries.size(), std::make_shared<std::size_t>(0));
        context->alive = false;
        d.primaries.push_back(context);
    }
}
}  // namespace

Driver &driver() {
    // never destroyed: threads outlive the program's end
    static Driver *instance = [] {
        auto *d = new Driver;
        d->capability = (int) environment("STEPD_SHIM_CAPABILITY", 90);
        d->memory_bytes = (std::size_t) environment("STEPD_SHIM_MEMORY", 8l << 30);
        d->seed = (std::uint64_t) environment("STEPD_SHIM_SEED", 1);
        d->idle_micros = environment("STEPD_SHIM_IDLE_MICROS", 2000);
        d->random.state = d->seed;
        set_devices(*d, (int) environment("STEPD_SHIM_DEVICES", 1));
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
    static const std::map<int, int> values = {
        {1, 1024}, {2, 1024}, {3, 1024}, {4, 64}, {5, 0x7fffffff}, {6, 65535}, {7, 65535},  // a block's and grid's extents
        {8, 48 << 10}, {9, 64 << 10}, {10, 32}, {11, 0x7fffffff}, {12, 65536}, {13, 1755000}, {14, 512}, {15, 1},
        {16, 2}, {17, 0}, {18, 0}, {19, 1}, {20, 0}, {31, 1}, {32, 0}, {34, 0}, {35, 0}, {36, 2619000}, {37, 5120},
        {38, 50 << 20}, {39, 2048}, {40, 2}, {41, 1}, {50, 0}, {78, 1}, {79, 1}, {80, 1}, {81, 228 << 10}, {82, 65536},
        {83, 0}, {84, 0}, {85, 0}, {86, 0}, {87, 2}, {88, 0}, {89, 0}, {90, 1}, {91, 1}, {92, 0}, {93, 0}, {94, 0}, {95, 0}, {96, 0},
        {97, 227 << 10}, {98, 0}, {99, 1}, {100, 0}, {101, 0}, {102, 0}, {103, 0}, {104, 0}, {105, 0}, {106, 32}, {107, 0}, {108, 0}, {109, 0},
        {110, 0}, {111, 1024}, {112, 0}, {113, 0}, {114, 0}, {115, 0}, {116, 0}, {117, 0}, {118, 0}, {119, 0}, {120, 0}};
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

static void settle(std::unique_lock<std::mutex> &lock, Context &context) {
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

// ---- errors by name

struct Named { int code; const char *name, *text; };
static const Named ERRORS[] = {
    {0, "CUDA_SUCCESS", "no error"}, {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"}, {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {4, "CUDA_ERROR_DEINITIALIZED", "driver shutting down"}, {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {214, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"}, {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {702, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {708, "CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE", "cannot set while device is active in this process"},
    {709, "CUDA_ERROR_CONTEXT_IS_DESTROYED", "context is destroyed"},
    {710, "CUDA_ERROR_ASSERT", "device-side assert triggered"},
    {712, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED", "part or all of the requested memory range is already mapped"},
    {713, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED", "pointer does not correspond to a registered memory region"},
    {714, "CUDA_ERROR_HARDWARE_STACK_ERROR", "hardware stack error"},
    {715, "CUDA_ERROR_ILLEGAL_INSTRUCTION", "an illegal instruction was encountered"},
    {716, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {717, "CUDA_ERROR_INVALID_ADDRESS_SPACE", "operation not supported on global/shared address space"},
    {718, "CUDA_ERROR_INVALID_PC", "invalid program counter"}, {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {800, "CUDA_ERROR_NOT_PERMITTED", "operation not permitted"}, {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {902, "CUDA_ERROR_STREAM_CAPTURE_MERGE", "operation would result in a merge of separate capture sequences"},
    {903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not ended in the same stream as it began"},
    {904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"},
    {905, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"},
    {906, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "operation would make the legacy stream depend on a capturing blocking stream"},
    {907, "CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
    {908, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "attempt to terminate a thread-local capture sequence from another thread"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"}};

static const Named *named(int code) {
    for (const auto &error : ERRORS) if (error.code == code) return &error;
    return nullptr;
}
EXPORT CUresult cuGetErrorName(int code, const char **name) {
    const Named *error = named(code);
    *name = error == nullptr ? nullptr : error->name;
    return error == nullptr ? INVALID_VALUE : SUCCESS;
}
EXPORT CUresult cuGetErrorString(int code, const char **text) {
    const Named *error = named(code);
    *text = error == nullptr ? nullptr : error->text;
    return error == nullptr ? INVALID_VALUE : SUCCESS;
}

// ---- for tests

/// The `after`-th call of a function from now on (1: the next) returns `error`, and if sticky all that follow.
EXPORT void shimFail(const char *function, int after, int error, int sticky) {
    std::lock_guard guard(driver().lock);
    if (error == 0) driver().faults.erase(function);
    else driver().faults[function] = {after < 1 ? 1 : after, (CUresult) error, sticky != 0};
}
EXPORT long shimCalls(const char *function) {
    std::lock_guard guard(driver().lock);
    auto found = driver().calls.find(function);
    return found == driver().calls.end() ? 0 : found->second;
}
EXPORT void shimSetMemory(long bytes) {
    std::lock_guard guard(driver().lock);
    driver().memory_bytes = (std::size_t) bytes;
}
EXPORT void shimDevices(int count) {
    std::lock_guard guard(driver().lock);
    set_devices(driver(), count);
}
EXPORT void shimCapability(int capability) {
    std::lock_guard guard(driver().lock);
    driver().capability = capability;
}
EXPORT void shimSeed(long seed) {
    std::lock_guard guard(driver().lock);
    driver().seed = (std::uint64_t) seed;
    driver().random.state = (std::uint64_t) seed;
}
/// How long the device waits for the host before it goes on by itself; below 0: it does so never.
EXPORT void shimIdleMicros(long micros) {
    std::lock_guard guard(driver().lock);
    driver().idle_micros = micros;
    driver().changed.notify_all();
}
EXPORT long shimBalance() {
    std::lock_guard guard(driver().lock);
    return live_objects();
}
/// What the shim said about the latest error it found, or "".
EXPORT const char *shimMessage() {
    std::lock_guard guard(driver().message_lock);
    static thread_local std::string copy;
    copy = driver().message;
    return copy.c_str();
}
/// As after start, with the environment's values. Contexts that somebody holds are set aside: whoever has them may go on with
/// them, and nobody else meets them or counts what they hold.
EXPORT void shimReset() {
    std::lock_guard guard(driver().lock);
    Driver &d = driver();
    d.set_aside.insert(d.primaries.begin(), d.primaries.end());
    d.primaries.clear();
    d.set_aside.merge(d.contexts);
    d.graphs.clear();
    d.faults.clear();
    d.calls.clear();
    d.message.clear();
    d.capability = (int) environment("STEPD_SHIM_CAPABILITY", 90);
    d.memory_bytes = (std::size_t) environment("STEPD_SHIM_MEMORY", 8l << 30);
    d.idle_micros = environment("STEPD_SHIM_IDLE_MICROS", 2000);
    d.seed = (std::uint64_t) environment("STEPD_SHIM_SEED", 1);
    d.random.state = d.seed;
    set_devices(d, (int) environment("STEPD_SHIM_DEVICES", 1));
}
