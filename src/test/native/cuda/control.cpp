// What tests set and ask, and what the environment sets.
#include "driver.h"

#include <cstdlib>

namespace shim {
namespace {
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

void configure(Driver &d) {
    d.capability = (int) environment("STEPD_SHIM_CAPABILITY", 90);
    d.memory_bytes = (std::size_t) environment("STEPD_SHIM_MEMORY", 8l << 30);
    d.idle_micros = environment("STEPD_SHIM_IDLE_MICROS", 2000);
    d.seed = (std::uint64_t) environment("STEPD_SHIM_SEED", 1);
    d.random.state = d.seed;
    set_devices(d, (int) environment("STEPD_SHIM_DEVICES", 1));
}
}  // namespace shim

using namespace shim;

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
    configure(d);
}
