// Runs a kernel: blocks one after another, a block's threads as fibers on one thread of the system. A fiber is only
// made when a thread first waits for others; threads that never wait run on the same one, one after another. All
// orders are drawn from a seed, so that whatever depends on order shows.
#include "faults.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <sys/mman.h>

// Saves the callee's registers and the stack in *from, goes on where `to` was saved. By a jump: the processor
// foresees where calls return to, and this one returns elsewhere.
extern "C" void shim_switch(void **from, void *to);
__asm__(R"(
.text
.globl shim_switch
.hidden shim_switch
.type shim_switch, @function
shim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rcx
    jmpq *%rcx
.size shim_switch, .-shim_switch
)");

namespace shim {
namespace {
constexpr std::size_t STACK = 64 << 10;
constexpr std::size_t PAGE = 4096;
constexpr unsigned char FRESH_SHARED = 0xCB;
constexpr std::size_t SHARED_GUARD = 256;
constexpr unsigned char SHARED_PATTERN = 0xA7;

// ---- one block at a time

enum class State : unsigned char { NEW, RUNNING, AT_BARRIER, IN_WARP, READY, EXITED };
struct Thread {
    State state;
    int fiber;
    unsigned kind;              // of barrier or warp operation
    unsigned mask;
    int argument, width;
    unsigned long long value;
    unsigned long long result;  // of either
};
struct Warp { unsigned waiting, gone; };  // masks of lanes: in a warp operation; exited, or never there
struct Fiber { void *stack_pointer; char *stack; };

// A random order of 0..n-1 that needs no memory: each is the one before and `step`, modulo n.
struct Order {
    std::uint64_t n, at, step;
    Order(std::uint64_t n, Random &random) : n(n), at(random.below(n)), step(1 + random.below(n)) {
        while (std::gcd(step, n) != 1) step = step % n + 1;
    }
    std::uint64_t next() {
        std::uint64_t result = at;
        at = at >= n - step ? at - (n - step) : at + step;
        return result;
    }
};

class Runner {
public:
    CUresult run(const Launch &launch, std::uint64_t seed);

    // never inlined: a fiber may go on in another thread of the system, and must ask anew which one it is
    static __attribute__((noinline)) Runner *current();
    unsigned barrier(unsigned kind, unsigned predicate);
    unsigned long long warp(unsigned op, unsigned mask, unsigned long long value, int argument, int width);
    [[noreturn]] void trap(int error);
    [[noreturn]] void failed_check(const char *file, unsigned line, int error, const char *what);
    unsigned lane() const { return now % 32; }

private:
    void run_block(const Launch &launch);
    void place(unsigned thread);
    void begin_fiber();
    void resume(unsigned thread);
    void wait_as(State state);
    void release_barrier();
    void complete(unsigned warp, unsigned lane);
    void left(unsigned thread);
    bool dead();
    static void fiber_main();

    static thread_local Runner *active __attribute__((tls_model("initial-exec")));

    std::vector<Thread> threads;
    Warp warps[32];
    std::vector<Fiber> fibers;
    std::vector<int> idle;             // fibers
    std::vector<unsigned> ready;       // threads to go on, last first
    void *scheduler = nullptr;
    int fiber = -1;                    // that runs
    unsigned now = 0, count = 0, started = 0, exited = 0, at_barrier = 0;
    Random random{0};
    Order order{1, random};
    uint3 extent{};
    bool flat = false;
    const Launch *launch = nullptr;
    void **arguments = nullptr;
    CUresult failure = SUCCESS;
    std::string failure_text;
    Guarded faults;
};
thread_local Runner *Runner::active = nullptr;
Runner *Runner::current() { return active; }

// ---- what kernels call

unsigned call_barrier(unsigned kind, unsigned predicate) { return Runner::current()->barrier(kind, predicate); }
unsigned long long call_warp(unsigned op, unsigned mask, unsigned long long value, int argument, int width) {
    return Runner::current()->warp(op, mask, value, argument, width);
}
void call_trap(int error) { Runner::current()->trap(error); }
void call_failed_check(const char *file, unsigned line, int error, const char *what) {
    Runner::current()->failed_check(file, line, error, what);
}
unsigned call_lane() { return Runner::current()->lane(); }
const Runtime RUNTIME = {call_barrier, call_warp, call_trap, call_lane, call_failed_check};

void Runner::place(unsigned thread) {
    now = thread;
    auto &v = launch->module->variables;
    if (flat) {
        *v.thread = {thread, 0, 0};
    } else {
        *v.thread = {thread % extent.x, thread / extent.x % extent.y, thread / (extent.x * extent.y)};
    }
}

void Runner::fiber_main() {
    for (;;) {
        Runner *r = current();
        while (r->started < r->count) {
            unsigned thread = (unsigned) r->order.next();
            r->started++;
            r->threads[thread].state = State::RUNNING;
            r->place(thread);
            r->launch->function->call(r->arguments);
            r->left(r->now);
        }
        r->idle.push_back(r->fiber);
        shim_switch(&r->fibers[(std::size_t) r->fiber].stack_pointer, r->scheduler);
    }
}

void Runner::begin_fiber() {
    if (idle.empty()) {
        void *mapping = mmap(nullptr, STACK + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (mapping == MAP_FAILED) {
            failure = OUT_OF_MEMORY;
            return;
        }
        mprotect(mapping, PAGE, PROT_NONE);
        fibers.push_back({nullptr, (char *) mapping + PAGE});
        idle.push_back((int) fibers.size() - 1);
        auto **top = (void **) (fibers.back().stack + STACK);
        *--top = nullptr;              // where fiber_main would return to; keeps the stack aligned as after a call
        *--top = (void *) &fiber_main;
        for (int i = 0; i < 6; i++) *--top = nullptr;
        fibers.back().stack_pointer = top;
    }
    fiber = idle.back();
    idle.pop_back();
    shim_switch(&scheduler, fibers[(std::size_t) fiber].stack_pointer);
}

void Runner::resume(unsigned thread) {
    threads[thread].state = State::RUNNING;
    fiber = threads[thread].fiber;
    place(thread);
    shim_switch(&scheduler, fibers[(std::size_t) fiber].stack_pointer);
}

void Runner::wait_as(State state) {
    unsigned thread = now;
    threads[thread].state = state;
    threads[thread].fiber = fiber;
    shim_switch(&fibers[(std::size_t) fiber].stack_pointer, scheduler);
}

unsigned Runner::barrier(unsigned kind, unsigned predicate) {
    Thread &t = threads[now];
    t.kind = kind;
    t.value = predicate;
    at_barrier++;
    if (at_barrier + exited == count && count == 1) {
        at_barrier = 0;
        return kind == 0 ? 0 : predicate;
    }
    unsigned thread = now;
    wait_as(State::AT_BARRIER);
    return (unsigned) threads[thread].result;
}

void Runner::release_barrier() {
    unsigned kind = 0, sum = 0, met = 0;
    bool first = true;
    for (unsigned i = 0; i < count; i++) {
        if (threads[i].state != State::AT_BARRIER) continue;
        if (!first && threads[i].kind != kind) {
            failure = LAUNCH_FAILED;
            failure_text = "threads of one block met in different kinds of __syncthreads";
            return;
        }
        first = false;
        kind = threads[i].kind;
        sum += (unsigned) threads[i].value;
        met++;
    }
    unsigned result = kind == 1 ? sum : kind == 2 ? sum == met : kind == 3 ? sum != 0 : 0;
    Order shuffled(count, random);
    for (unsigned k = 0; k < count; k++) {
        auto i = (unsigned) shuffled.next();
        if (threads[i].state != State::AT_BARRIER) continue;
        threads[i].state = State::READY;
        threads[i].result = result;
        ready.push_back(i);
    }
    at_barrier = 0;
}

// ---- warps

unsigned long long reduce(unsigned op, unsigned long long a, unsigned long long b) {
    auto x = (unsigned) a, y = (unsigned) b;
    switch (op) {
        case 6: return x + y;
        case 7: return std::min(x, y);
        case 8: return std::max(x, y);
        case 9: return (unsigned) std::min((int) x, (int) y);
        case 10: return (unsigned) std::max((int) x, (int) y);
        case 11: return x & y;
        case 12: return x | y;
        default: return x ^ y;
    }
}

// The lane that `lane` reads in a shuffle: PTX ISA, shfl.sync.
int source(unsigned op, int lane, int argument, int width) {
    int first = lane & ~(width - 1);
    int last = first + width - 1;
    switch (op) {
        case 1: return first + (argument & (width - 1));
        case 2: return lane - argument < first ? lane : lane - argument;
        case 3: return lane + argument > last ? lane : lane + argument;
        default: return (lane ^ argument) > last ? lane : lane ^ argument;
    }
}

unsigned long long Runner::warp(unsigned op, unsigned mask, unsigned long long value, int argument, int width) {
    unsigned thread = now;
    Thread &t = threads[thread];
    t.kind = op;
    t.mask = mask;
    t.value = value;
    t.argument = argument;
    t.width = width;
    if ((mask >> thread % 32 & 1) == 0) {
        failure_text = "a warp operation whose mask does not name the thread that calls it";
        trap(LAUNCH_FAILED);
    }
    t.state = State::IN_WARP;
    warps[thread / 32].waiting |= 1u << thread % 32;
    complete(thread / 32, thread % 32);
    // the last to come goes on in any order with those it released
    wait_as(t.state);
    return threads[thread].result;
}

// Completes the operation that a lane waits in, if all that its mask names have come. Those that exited are not
// waited for.
void Runner::complete(unsigned w, unsigned lane) {
    Thread *lanes = &threads[w * 32];
    unsigned mask = lanes[lane].mask, kind = lanes[lane].kind, group = 0;
    if ((mask & ~warps[w].gone & ~warps[w].waiting) != 0) return;
    for (unsigned rest = mask & warps[w].waiting; rest != 0; rest &= rest - 1) {
        auto k = (unsigned) __builtin_ctz(rest);
        if (lanes[k].mask == mask && lanes[k].kind == kind) group |= 1u << k;
    }
    if ((mask & ~warps[w].gone & ~group) != 0) return;
    unsigned long long all = 0;
    for (unsigned rest = group; rest != 0; rest &= rest - 1) {
        auto k = (unsigned) __builtin_ctz(rest);
        if (kind == 5) all |= (lanes[k].value & 1) << k;
        else if (kind >= 6 && kind <= 13) all = rest == group ? lanes[k].value : reduce(kind, all, lanes[k].value);
    }
    unsigned turn = (unsigned) random.below(32);
    for (unsigned j = 0; j < 32; j++) {
        unsigned k = j ^ turn;
        if ((group >> k & 1) == 0) continue;
        Thread &t = lanes[k];
        t.result = all;
        if (kind >= 1 && kind <= 4) {
            unsigned from = (unsigned) source(kind, (int) k, t.argument, t.width) & 31;
            // what a lane that does not take part holds, nobody knows
            t.result = group >> from & 1 ? lanes[from].value : 0x7fbadbad7fbadbadull;
        } else if (kind == 14) {
            t.result = 0;
            for (unsigned m = 0; m < 32; m++) if ((group >> m & 1) && lanes[m].value == t.value) t.result |= 1ull << m;
        }
        t.state = State::READY;
        ready.push_back(w * 32 + k);
    }
    warps[w].waiting &= ~group;
}

void Runner::left(unsigned thread) {
    threads[thread].state = State::EXITED;
    exited++;
    Warp &warp = warps[thread / 32];
    warp.gone |= 1u << thread % 32;
    for (unsigned rest = warp.waiting; rest != 0; rest &= rest - 1) {
        auto lane = (unsigned) __builtin_ctz(rest);
        if (threads[thread / 32 * 32 + lane].state == State::IN_WARP) complete(thread / 32, lane);
    }
}

void Runner::trap(int error) {
    failure = (CUresult) error;
    guard->signal = 0;
    get_away();
}

void Runner::failed_check(const char *file, unsigned line, int error, const char *what) {
    failure_text = std::string(file) + ":" + std::to_string(line) + ": " + what;
    trap(error);
}

bool Runner::dead() {
    unsigned in_warp = 0;
    int example = -1;
    for (unsigned i = 0; i < count; i++) {
        if (threads[i].state != State::IN_WARP) continue;
        in_warp++;
        if (example < 0) example = (int) i;
    }
    char text[240];
    std::snprintf(text, sizeof text,
                  "a block whose threads wait for one another for ever: %u at a barrier, %u exited, %u in warp operations "
                  "(thread %d waits for mask 0x%x)", at_barrier, exited, in_warp, example,
                  example < 0 ? 0 : threads[(std::size_t) example].mask);
    failure_text = text;
    failure = LAUNCH_FAILED;
    return true;
}

void Runner::run_block(const Launch &l) {
    auto &m = *l.module;
    for (auto [address, bytes] : l.function->shared) std::memset(address, FRESH_SHARED, bytes);
    if (m.dynamic_shared != nullptr) {
        std::memset(m.dynamic_shared, FRESH_SHARED, l.shared);
        std::memset(m.dynamic_shared + l.shared, SHARED_PATTERN, SHARED_GUARD);
    }
    started = exited = at_barrier = 0;
    ready.clear();
    for (unsigned i = 0; i < count; i++) threads[i].state = State::NEW;
    for (unsigned w = 0; w * 32 < count; w++) warps[w] = {0, count - w * 32 >= 32 ? 0 : ~0u << (count - w * 32)};
    order = Order(count, random);
    while (exited < count && failure == SUCCESS) {
        if (started < count && (ready.empty() || random.coin())) {
            begin_fiber();
        } else if (!ready.empty()) {
            unsigned thread = ready.back();
            ready.pop_back();
            resume(thread);
        } else if (at_barrier > 0 && at_barrier + exited == count) {
            release_barrier();
        } else if (dead()) {
            break;
        }
    }
    if (failure == SUCCESS && m.dynamic_shared != nullptr) {
        for (std::size_t i = 0; i < SHARED_GUARD; i++) {
            if ((unsigned char) m.dynamic_shared[l.shared + i] == SHARED_PATTERN) continue;
            failure = ILLEGAL_ADDRESS;
            failure_text = "wrote past the end of dynamic shared memory";
            break;
        }
    }
}

CUresult Runner::run(const Launch &l, std::uint64_t seed) {
    auto &v = l.module->variables;
    launch = &l;
    random.state = seed;
    extent = l.block;
    flat = l.block.y == 1 && l.block.z == 1;
    count = l.block.x * l.block.y * l.block.z;
    if (threads.size() < count) threads.resize(count);
    fibers.reserve(1100);
    idle.reserve(1100);
    failure = SUCCESS;
    failure_text.clear();
    faults.signal = 0;
    *v.runtime = &RUNTIME;
    *v.block_dim = l.block;
    *v.grid_dim = l.grid;
    std::vector<void *> pointers(l.offsets.size() + 1);
    for (std::size_t i = 0; i < l.offsets.size(); i++) pointers[i] = (char *) l.bytes.data() + l.offsets[i];
    arguments = pointers.data();
    active = this;
    Guarded *before = guard;
    if (sigsetjmp(faults.back, 0) == 0) {
        guard = &faults;
        std::uint64_t blocks = (std::uint64_t) l.grid.x * l.grid.y * l.grid.z;
        Order shuffled(blocks, random);
        for (std::uint64_t i = 0; i < blocks && failure == SUCCESS; i++) {
            std::uint64_t b = shuffled.next();
            *v.block = {(unsigned) (b % l.grid.x), (unsigned) (b / l.grid.x % l.grid.y),
                        (unsigned) (b / ((std::uint64_t) l.grid.x * l.grid.y))};
            run_block(l);
        }
    } else if (faults.signal != 0) {
        failure = error_of(faults.signal, faults.address, failure_text);
        if (faults.signal == SIGSEGV) {
            std::lock_guard hold(driver().lock);
            failure_text = "touched what is not there: " + describe_address(*l.module->context, faults.address);
        }
    }
    guard = before;
    active = nullptr;
    if (failure != SUCCESS) {
        say("kernel %s, block (%u, %u, %u), thread (%u, %u, %u): %s", l.function->name.c_str(), v.block->x, v.block->y,
            v.block->z, v.thread->x, v.thread->y, v.thread->z, failure_text.empty() ? "__trap" : failure_text.c_str());
        // fibers in the middle of something are dropped with all they hold: kernels own nothing
        for (auto &f : fibers) munmap(f.stack - PAGE, STACK + PAGE);
        fibers.clear();
        idle.clear();
    }
    return failure;
}

// That rest; each keeps its fibers' stacks. Never destroyed: the device's thread may outlive the program's end.
auto &runners_lock = *new std::mutex;
auto &runners = *new std::vector<std::unique_ptr<Runner>>;
}  // namespace

CUresult run(const Launch &launch, std::uint64_t seed) {
    std::unique_ptr<Runner> runner;
    {
        std::lock_guard hold(runners_lock);
        if (!runners.empty()) {
            runner = std::move(runners.back());
            runners.pop_back();
        }
    }
    if (!runner) runner = std::make_unique<Runner>();
    CUresult result;
    {
        std::lock_guard hold(launch.module->running);
        result = runner->run(launch, seed);
    }
    std::lock_guard hold(runners_lock);
    runners.push_back(std::move(runner));
    return result;
}
}  // namespace shim
