// What the shim's parts know of one another. The types of CUDA's driver interface that they need are declared here
// from NVIDIA's published documentation of it, so that the shim builds where no CUDA toolkit is.
#pragma once

#include "shared_variables.h"

#include <cstddef>
#include <cstdint>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

enum CUresult : int {
    SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101,
    INVALID_IMAGE = 200, INVALID_CONTEXT = 201, NO_BINARY_FOR_GPU = 209, INVALID_HANDLE = 400, NOT_FOUND = 500,
    NOT_READY = 600, ILLEGAL_ADDRESS = 700, LAUNCH_OUT_OF_RESOURCES = 701, LAUNCH_TIMEOUT = 702,
    PRIMARY_CONTEXT_ACTIVE = 708, CONTEXT_IS_DESTROYED = 709, HOST_MEMORY_ALREADY_REGISTERED = 712,
    HOST_MEMORY_NOT_REGISTERED = 713, ILLEGAL_INSTRUCTION = 715, MISALIGNED_ADDRESS = 716, LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801, STREAM_CAPTURE_UNSUPPORTED = 900, STREAM_CAPTURE_INVALIDATED = 901, STREAM_CAPTURE_MERGE = 902,
    STREAM_CAPTURE_UNMATCHED = 903, STREAM_CAPTURE_UNJOINED = 904, STREAM_CAPTURE_ISOLATION = 905,
    STREAM_CAPTURE_IMPLICIT = 906, CAPTURED_EVENT = 907, STREAM_CAPTURE_WRONG_THREAD = 908,
};
using CUdevice = int;
using CUdeviceptr = std::uint64_t;
struct CUuuid { char bytes[16]; };

namespace shim {

// ---- a small generator, so that one seed gives one order

struct Random {
    std::uint64_t state;
    std::uint64_t next() {
        std::uint64_t z = state += 0x9e3779b97f4a7c15ull;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ z >> 27) * 0x94d049bb133111ebull;
        return z ^ z >> 31;
    }
    std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : next() % n; }
    bool coin() { return next() & 1; }
};

// ---- modules (device.h has the first two as well)

struct uint3 { unsigned x, y, z; };
struct Runtime {
    unsigned (*barrier)(unsigned kind, unsigned predicate);
    unsigned long long (*warp)(unsigned op, unsigned mask, unsigned long long value, int argument, int width);
    void (*trap)(int error);
    unsigned (*lane)();
    void (*failed_check)(const char *file, unsigned line, int error, const char *what);
};
struct KernelParameters { unsigned count; unsigned size[64], align[64]; };
struct ModuleVariables {
    uint3 *thread, *block, *block_dim, *grid_dim;
    const Runtime **runtime;
};

struct Context;
struct Module;
struct Function {
    Module *module;
    std::string name;
    void (*call)(void **);
    KernelParameters parameters;
    unsigned launch_bound;        // threads of a block at most
    unsigned static_shared;       // bytes
    std::vector<std::pair<char *, std::size_t>> shared;  // where they lie
    unsigned dynamic_shared_max;  // bytes a launch may ask for
};
struct Module {
    Context *context;
    void *library;
    ModuleVariables variables;
    char *dynamic_shared = nullptr;
    std::map<std::string, std::unique_ptr<Function>> functions;
    std::vector<SharedVariable> shared;
    std::map<std::uintptr_t, std::size_t> globals;  // those that were asked for
    bool unloaded = false;
    std::mutex running;  // its variables (threadIdx, shared memory) are one set
    ~Module();
};

// ---- launches

struct Launch {
    std::shared_ptr<Module> module;  // keeps the code mapped while a launch is under way
    Function *function;
    uint3 grid, block;
    unsigned shared;
    std::vector<std::uint64_t> bytes;      // the arguments, as they were when launched
    std::vector<std::size_t> offsets;
};
// Runs all blocks in an order drawn from the seed.
CUresult run(const Launch &launch, std::uint64_t seed);

// ---- streams: queues of work that is done when something waits for it, in an order drawn from the seed

struct Stream;
struct Op {
    std::string what;
    std::function<CUresult()> run;          // called without the driver's lock
    std::vector<std::shared_ptr<Op>> after; // in other streams
    bool host = false;                      // runs host code, which only the device's own thread does
    bool kernels = false;                   // runs kernels, which may write anywhere
    Stream *stream = nullptr;
    bool done = false;
    double finished = 0;  // ms
};
using OpRef = std::shared_ptr<Op>;

struct Graph;
struct Capture {
    std::shared_ptr<Graph> graph;
    Stream *origin;
    int mode;
    bool invalid = false;
    std::set<Stream *> streams;
    std::uint64_t thread;
};
struct Stream {
    Context *context;
    bool blocking;  // waits for the legacy default stream and it for this
    int flags = 0, priority = 0;
    std::uint64_t id = 0;
    bool destroyed = false, busy = false;
    std::deque<OpRef> queue;
    OpRef last;
    std::shared_ptr<Capture> capture;
    std::vector<int> tail;  // in a capture: the nodes that what comes next follows
};
struct Event {
    Context *context;
    int flags;
    OpRef recorded;
    std::shared_ptr<Capture> capture;  // recorded while capturing
    std::vector<int> tail;
};
struct Node {
    int type;  // 0 kernel, 1 memcpy, 2 memset, 3 host, 6 wait event, 7 event record
    std::string what;
    std::function<CUresult()> run;
    std::vector<int> after;
    std::shared_ptr<Launch> launch;  // of a kernel
};
struct Graph { std::vector<Node> nodes; };
struct GraphExec {
    Context *context;
    std::shared_ptr<Graph> graph;
    OpRef last;
};

// ---- memory

enum class Kind { DEVICE, PINNED, REGISTERED };
struct Allocation {
    Kind kind;
    Context *context;
    char *data;
    std::size_t bytes;
    char *mapping;  // with guard zones and pages around the data
    std::size_t mapped;
    unsigned flags;
};

struct Context {
    Context(int device, std::shared_ptr<std::size_t> used) : device(device), used(std::move(used)) {}
    int device;
    std::shared_ptr<std::size_t> used;  // bytes of the device's memory, with its other contexts
    unsigned retained = 0, flags = 0;
    bool alive = true;
    CUresult sticky = SUCCESS;
    std::unique_ptr<Stream> null_stream;
    std::set<Stream *> streams;
    std::set<Event *> events;
    std::set<GraphExec *> execs;
    std::map<Module *, std::shared_ptr<Module>> modules;
    std::set<Function *> functions;               // of these
    std::map<std::uintptr_t, Allocation> memory;  // by address
    std::uintptr_t checked = 0;                   // the address after which guard zones are looked at next
};
struct ById {
    bool operator()(const Stream *a, const Stream *b) const { return a->id < b->id; }
};
struct Fault { long after; CUresult error; bool sticky; };

// All state; one lock.
struct Driver {
    std::mutex lock;
    std::condition_variable changed;
    bool initialized = false;
    int devices;
    int capability;                    // 90 is 9.0
    std::size_t memory_bytes;          // of each device
    std::vector<Context *> primaries;  // by device; kept
    std::set<Context *> contexts;      // made by cuCtxCreate
    std::set<Context *> set_aside;     // held by somebody when the shim was reset
    std::map<std::string, Fault> faults;
    std::map<std::string, long> calls;
    std::map<Graph *, std::shared_ptr<Graph>> graphs;
    std::vector<std::shared_ptr<Capture>> captures;
    std::uint64_t seed = 1;
    Random random{1};
    long idle_micros = 2000;           // after which the device goes on by itself; below 0: never
    double touched = 0;
    std::uint64_t streams_made = 0;
    std::set<Stream *, ById> active;   // those with work
    long host_pending = 0;
    std::mutex message_lock;
    std::string message;               // about the latest error found
};
Driver &driver();
void configure(Driver &driver);  // as the environment says
double now_ms();
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));  // to stderr, and kept as the message

// Entered by every function of the interface: takes the lock, counts, injects faults, finds the context.
enum class Needs { NOTHING, INIT, CONTEXT };
struct Call {
    std::unique_lock<std::mutex> lock;
    Context *context = nullptr;
    CUresult error = SUCCESS;
    Call(const char *name, Needs needs);
};
#define ENTER(name, needs)                                                                                            \
    shim::Call call(name, shim::Needs::needs);                                                                        \
    if (call.error != SUCCESS) return call.error
Context *current_context();
void destroy_resources(Context &context);
void settle(std::unique_lock<std::mutex> &lock, Context &context);  // waits for all of its work
long live_objects();

// contexts' memory
bool in_one_allocation(Context &context, CUdeviceptr address, std::size_t bytes);
CUresult check_guards(Context &context, const std::string &after);
void release(Allocation &allocation);
std::string describe_address(Context &context, std::uintptr_t address);

// streams
Stream *stream_of(Context &context, void *handle, bool &valid);
CUresult submit(std::unique_lock<std::mutex> &lock, Context &context, void *stream_handle, Node node, bool host = false);
void wait(std::unique_lock<std::mutex> &lock, std::vector<OpRef> targets);
void progress(std::unique_lock<std::mutex> &lock);
CUresult refuse_in_capture(Context &context);
void drop_stream(Stream *stream);

// Runs what may touch memory that is not there; `error` is set where it did.
bool guarded(const std::function<void()> &body, CUresult &error, std::string &message);
void install_handlers();
}  // namespace shim
