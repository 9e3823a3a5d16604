// Streams and events. Nothing is done when it is submitted: work waits in its stream's queue until somebody waits
// for it (or the device has been left alone for a while), and then streams take turns in an order drawn from the
// seed, by half of all times doing only what must be done. A wait that is missing therefore soon shows as a wrong
// result.
#include "driver.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace shim {
namespace {
bool ready(const Stream &stream) {
    if (stream.busy || stream.queue.empty()) return false;
    for (const auto &op : stream.queue.front()->after) if (!op->done) return false;
    return true;
}

// The streams that must go on for these to be done.
std::set<Stream *> needed(const std::vector<OpRef> &targets) {
    std::set<Stream *> found;
    std::vector<Stream *> left;
    auto add = [&](const OpRef &op) {
        if (!op->done && op->stream != nullptr && found.insert(op->stream).second) left.push_back(op->stream);
    };
    for (const auto &op : targets) add(op);
    while (!left.empty()) {
        Stream *stream = left.back();
        left.pop_back();
        for (const auto &op : stream->queue) for (const auto &before : op->after) add(before);
    }
    return found;
}

void run_first(std::unique_lock<std::mutex> &lock, Stream &stream) {
    Driver &d = driver();
    OpRef op = stream.queue.front();
    Context &context = *stream.context;
    stream.busy = true;
    if (context.sticky == SUCCESS && op->run) {
        lock.unlock();
        CUresult result = op->run();
        lock.lock();
        if (result != SUCCESS && context.sticky == SUCCESS) context.sticky = result;
        if (op->kernels && context.sticky == SUCCESS) check_guards(context, op->what);
    }
    op->run = nullptr;
    op->after.clear();
    op->done = true;
    op->finished = now_ms();
    if (op->host) d.host_pending--;
    stream.busy = false;
    stream.queue.pop_front();
    if (stream.queue.empty()) d.active.erase(&stream);
    if (stream.destroyed && stream.queue.empty()) drop_stream(&stream);
    d.changed.notify_all();
}

Stream *choose(const std::set<Stream *> *only, bool device_thread) {
    std::vector<Stream *> able;
    for (auto *stream : driver().active) {
        if (!ready(*stream) || (only != nullptr && !only->contains(stream))) continue;
        if (!stream->queue.front()->host || device_thread) able.push_back(stream);
    }
    if (able.empty()) return nullptr;
    return able[driver().random.below(able.size())];
}

// The device's own thread: runs host functions, and everything when nobody has asked for anything in a while.
void attend() {
    Driver &d = driver();
    std::unique_lock lock(d.lock);
    for (;;) {
        if (d.active.empty() || (d.idle_micros < 0 && d.host_pending == 0)) {
            d.changed.wait(lock);
            continue;
        }
        bool quiet = d.idle_micros >= 0 && now_ms() - d.touched >= (double) d.idle_micros / 1000;
        Stream *stream = nullptr;
        if (quiet) {
            stream = choose(nullptr, true);
        } else if (d.host_pending > 0) {
            for (auto *s : d.active) if (ready(*s) && s->queue.front()->host) stream = s;
        }
        if (stream != nullptr) run_first(lock, *stream);
        else d.changed.wait_for(lock, std::chrono::microseconds(std::max(100l, d.idle_micros / 2)));
    }
}
}  // namespace

void drop_stream(Stream *stream) {
    stream->context->streams.erase(stream);
    delete stream;
}

void wait(std::unique_lock<std::mutex> &lock, std::vector<OpRef> targets) {
    Driver &d = driver();
    bool only_needed = d.random.coin();
    auto done = [&] { return std::all_of(targets.begin(), targets.end(), [](const OpRef &op) { return op->done; }); };
    while (!done()) {
        auto must = needed(targets);
        Stream *stream = choose(only_needed ? &must : nullptr, false);
        if (stream != nullptr) run_first(lock, *stream);
        else d.changed.wait(lock);
    }
}

void progress(std::unique_lock<std::mutex> &lock) {
    if (Stream *stream = choose(nullptr, false)) run_first(lock, *stream);
}

Stream *stream_of(Context &context, void *handle, bool &valid) {
    valid = true;
    if (handle == nullptr || handle == (void *) 1) return context.null_stream.get();
    auto *stream = (Stream *) handle;
    valid = context.streams.contains(stream) && !stream->destroyed;
    return valid ? stream : nullptr;
}

CUresult refuse_in_capture(Context &context) {
    auto thread = std::hash<std::thread::id>()(std::this_thread::get_id());
    for (auto &capture : driver().captures) {
        bool concerns = capture->mode == 0 || (capture->mode == 1 && capture->thread == thread);
        if (capture->origin->context != &context || !concerns) continue;
        capture->invalid = true;
        return STREAM_CAPTURE_UNSUPPORTED;
    }
    return SUCCESS;
}

static void enqueue(Stream &stream, const OpRef &op) {
    Driver &d = driver();
    Context &context = *stream.context;
    auto follow = [&](Stream &other) { if (other.last && !other.last->done) op->after.push_back(other.last); };
    if (&stream == context.null_stream.get()) {
        for (auto *other : context.streams) if (other->blocking) follow(*other);
    } else if (stream.blocking) {
        follow(*context.null_stream);
    }
    op->stream = &stream;
    stream.queue.push_back(op);
    stream.last = op;
    bool first = d.active.empty();
    d.active.insert(&stream);
    if (op->host) d.host_pending++;
    d.touched = now_ms();
    static bool attended = [] {
        std::thread(attend).detach();
        return true;
    }();
    (void) attended;
    if (first || op->host) d.changed.notify_all();
}

static CUresult add_node(Stream &stream, Node node) {
    Capture &capture = *stream.capture;
    if (capture.invalid) return STREAM_CAPTURE_INVALIDATED;
    node.after = stream.tail;
    capture.graph->nodes.push_back(std::move(node));
    stream.tail = {(int) capture.graph->nodes.size() - 1};
    return SUCCESS;
}

// The legacy default stream cannot be used while a stream that it would wait for is captured.
static CUresult refuse_implicit(Context &context, Stream &stream) {
    if (&stream != context.null_stream.get()) return SUCCESS;
    for (auto *other : context.streams) {
        if (!other->blocking || !other->capture) continue;
        other->capture->invalid = true;
        return STREAM_CAPTURE_IMPLICIT;
    }
    return SUCCESS;
}

CUresult submit(std::unique_lock<std::mutex> &, Context &context, void *handle, Node node, bool host) {
    bool valid;
    Stream *stream = stream_of(context, handle, valid);
    if (!valid) return INVALID_HANDLE;
    if (stream->capture) return add_node(*stream, std::move(node));
    if (auto refused = refuse_implicit(context, *stream)) return refused;
    auto op = std::make_shared<Op>();
    op->what = std::move(node.what);
    op->run = std::move(node.run);
    op->host = host;
    op->kernels = node.type == 0 || node.type == 9;
    enqueue(*stream, op);
    return SUCCESS;
}
}  // namespace shim

using namespace shim;

#define STREAM(handle)                                                                                                \
    bool valid;                                                                                                       \
    Stream *stream = stream_of(*call.context, handle, valid);                                                         \
    if (!valid) return INVALID_HANDLE
#define EVENT(event)                                                                                                  \
    if (!call.context->events.contains(event)) return INVALID_HANDLE

// ---- streams

static CUresult create(Call &call, void **handle, unsigned flags, int priority) {
    if (flags > 1) return INVALID_VALUE;
    auto *stream = new Stream;
    stream->context = call.context;
    stream->blocking = (flags & 1) == 0;
    stream->flags = (int) flags;
    stream->priority = std::clamp(priority, -5, 0);
    stream->id = ++driver().streams_made;
    call.context->streams.insert(stream);
    *handle = stream;
    return SUCCESS;
}
EXPORT CUresult cuStreamCreate(void **handle, unsigned flags) {
    ENTER("cuStreamCreate", CONTEXT);
    return create(call, handle, flags, 0);
}
EXPORT CUresult cuStreamCreateWithPriority(void **handle, unsigned flags, int priority) {
    ENTER("cuStreamCreateWithPriority", CONTEXT);
    return create(call, handle, flags, priority);
}
EXPORT CUresult cuStreamDestroy_v2(void *handle) {
    ENTER("cuStreamDestroy", CONTEXT);
    STREAM(handle);
    if (handle == nullptr || handle == (void *) 1) return INVALID_HANDLE;
    stream->destroyed = true;  // goes when its work is done
    if (stream->queue.empty() && !stream->busy) drop_stream(stream);
    return SUCCESS;
}
EXPORT CUresult cuStreamSynchronize(void *handle) {
    ENTER("cuStreamSynchronize", CONTEXT);
    STREAM(handle);
    if (stream->capture) {
        stream->capture->invalid = true;
        return STREAM_CAPTURE_UNSUPPORTED;
    }
    std::vector<OpRef> targets;
    if (stream->last) targets.push_back(stream->last);
    if (stream == call.context->null_stream.get()) {
        for (auto *other : call.context->streams) if (other->blocking && other->last) targets.push_back(other->last);
    }
    wait(call.lock, targets);
    return call.context->sticky;
}
EXPORT CUresult cuStreamQuery(void *handle) {
    ENTER("cuStreamQuery", CONTEXT);
    STREAM(handle);
    if (stream->capture) {
        stream->capture->invalid = true;
        return STREAM_CAPTURE_UNSUPPORTED;
    }
    if (!stream->last || stream->last->done) return SUCCESS;
    progress(call.lock);
    return call.context->sticky == SUCCESS ? NOT_READY : call.context->sticky;
}
EXPORT CUresult cuStreamGetPriority(void *handle, int *priority) {
    ENTER("cuStreamGetPriority", CONTEXT);
    STREAM(handle);
    *priority = stream->priority;
    return SUCCESS;
}
EXPORT CUresult cuStreamGetFlags(void *handle, unsigned *flags) {
    ENTER("cuStreamGetFlags", CONTEXT);
    STREAM(handle);
    *flags = (unsigned) stream->flags;
    return SUCCESS;
}
EXPORT CUresult cuStreamGetCtx(void *handle, Context **context) {
    ENTER("cuStreamGetCtx", CONTEXT);
    STREAM(handle);
    *context = stream->context;
    return SUCCESS;
}
EXPORT CUresult cuStreamGetId(void *handle, unsigned long long *id) {
    ENTER("cuStreamGetId", CONTEXT);
    STREAM(handle);
    *id = stream->id;
    return SUCCESS;
}
EXPORT CUresult cuLaunchHostFunc(void *handle, void (*function)(void *), void *data) {
    ENTER("cuLaunchHostFunc", CONTEXT);
    Node node{3, "a host function", [function, data] {
        function(data);
        return SUCCESS;
    }, {}, nullptr};
    return submit(call.lock, *call.context, handle, std::move(node), true);
}
EXPORT CUresult cuStreamAddCallback(void *handle, void (*function)(void *, CUresult, void *), void *data, unsigned) {
    ENTER("cuStreamAddCallback", CONTEXT);
    Node node{3, "a callback", [handle, function, data] {
        function(handle, SUCCESS, data);
        return SUCCESS;
    }, {}, nullptr};
    return submit(call.lock, *call.context, handle, std::move(node), true);
}

// ---- events

EXPORT CUresult cuEventCreate(Event **event, unsigned flags) {
    ENTER("cuEventCreate", CONTEXT);
    if (flags > 7) return INVALID_VALUE;
    auto *made = new Event{call.context, (int) flags, nullptr, nullptr, {}};
    call.context->events.insert(made);
    *event = made;
    return SUCCESS;
}
EXPORT CUresult cuEventDestroy_v2(Event *event) {
    ENTER("cuEventDestroy", CONTEXT);
    EVENT(event);
    call.context->events.erase(event);
    delete event;
    return SUCCESS;
}
static CUresult record(Call &call, Event *event, void *handle) {
    EVENT(event);
    STREAM(handle);
    if (stream->capture) {
        if (stream->capture->invalid) return STREAM_CAPTURE_INVALIDATED;
        event->capture = stream->capture;
        event->tail = stream->tail;
        return SUCCESS;
    }
    event->capture = nullptr;
    if (auto refused = refuse_implicit(*call.context, *stream)) return refused;
    auto op = std::make_shared<Op>();
    op->what = "an event";
    enqueue(*stream, op);
    event->recorded = op;
    return SUCCESS;
}
EXPORT CUresult cuEventRecord(Event *event, void *handle) {
    ENTER("cuEventRecord", CONTEXT);
    return record(call, event, handle);
}
EXPORT CUresult cuEventRecordWithFlags(Event *event, void *handle, unsigned) {
    ENTER("cuEventRecordWithFlags", CONTEXT);
    return record(call, event, handle);
}
EXPORT CUresult cuEventSynchronize(Event *event) {
    ENTER("cuEventSynchronize", CONTEXT);
    EVENT(event);
    if (event->capture) return CAPTURED_EVENT;
    if (event->recorded) wait(call.lock, {event->recorded});
    return call.context->sticky;
}
EXPORT CUresult cuEventQuery(Event *event) {
    ENTER("cuEventQuery", CONTEXT);
    EVENT(event);
    if (event->capture) return CAPTURED_EVENT;
    if (!event->recorded || event->recorded->done) return SUCCESS;
    progress(call.lock);
    return call.context->sticky == SUCCESS ? NOT_READY : call.context->sticky;
}
EXPORT CUresult cuEventElapsedTime(float *ms, Event *from, Event *to) {
    ENTER("cuEventElapsedTime", CONTEXT);
    EVENT(from);
    EVENT(to);
    if ((from->flags & 2) || (to->flags & 2) || !from->recorded || !to->recorded) return INVALID_HANDLE;
    if (!from->recorded->done || !to->recorded->done) return NOT_READY;
    *ms = (float) (to->recorded->finished - from->recorded->finished);
    return SUCCESS;
}
EXPORT CUresult cuStreamWaitEvent(void *handle, Event *event, unsigned) {
    ENTER("cuStreamWaitEvent", CONTEXT);
    EVENT(event);
    STREAM(handle);
    if (event->capture) {
        const auto &live = driver().captures;
        if (std::find(live.begin(), live.end(), event->capture) == live.end()) return INVALID_VALUE;
        if (event->capture->invalid) return STREAM_CAPTURE_INVALIDATED;
        if (stream->capture && stream->capture != event->capture) return STREAM_CAPTURE_MERGE;
        if (!stream->capture) {
            stream->capture = event->capture;
            stream->capture->streams.insert(stream);
        }
        for (int node : event->tail) {
            if (std::find(stream->tail.begin(), stream->tail.end(), node) == stream->tail.end()) stream->tail.push_back(node);
        }
        return SUCCESS;
    }
    if (stream->capture) {
        if (!event->recorded) return SUCCESS;
        stream->capture->invalid = true;
        return STREAM_CAPTURE_ISOLATION;
    }
    if (!event->recorded || event->recorded->done) return SUCCESS;
    auto op = std::make_shared<Op>();
    op->what = "a wait for an event";
    op->after.push_back(event->recorded);
    enqueue(*stream, op);
    return SUCCESS;
}
