// Stream capture and graphs: what was captured is replayed node by node, in any order that its dependencies leave.
#include "driver.h"

#include <algorithm>
#include <thread>

using namespace shim;

namespace {
std::uint64_t this_thread() { return std::hash<std::thread::id>()(std::this_thread::get_id()); }

// Whether all nodes come before some of `ends`.
bool joined(const Graph &graph, const std::vector<int> &ends) {
    std::set<int> found(ends.begin(), ends.end());
    std::vector<int> left(ends);
    while (!left.empty()) {
        int node = left.back();
        left.pop_back();
        for (int before : graph.nodes[(std::size_t) node].after) if (found.insert(before).second) left.push_back(before);
    }
    return found.size() == graph.nodes.size();
}

CUresult replay(const Graph &graph, Random random) {
    std::vector<bool> done(graph.nodes.size());
    for (std::size_t count = 0; count < graph.nodes.size(); count++) {
        std::vector<std::size_t> able;
        for (std::size_t i = 0; i < graph.nodes.size(); i++) {
            const auto &after = graph.nodes[i].after;
            if (!done[i] && std::all_of(after.begin(), after.end(), [&](int n) { return done[(std::size_t) n]; })) able.push_back(i);
        }
        std::size_t next = able[random.below(able.size())];
        if (auto error = graph.nodes[next].run()) return error;
        done[next] = true;
    }
    return SUCCESS;
}

void end(const std::shared_ptr<Capture> &capture) {
    for (auto *stream : capture->streams) {
        stream->capture = nullptr;
        stream->tail.clear();
    }
    std::erase(driver().captures, capture);
}
}  // namespace

EXPORT CUresult cuStreamBeginCapture_v2(void *handle, int mode) {
    ENTER("cuStreamBeginCapture", CONTEXT);
    bool valid;
    Stream *stream = stream_of(*call.context, handle, valid);
    if (!valid) return INVALID_HANDLE;
    // the legacy default stream cannot be captured
    if (stream == call.context->null_stream.get()) return STREAM_CAPTURE_UNSUPPORTED;
    if (stream->capture || mode < 0 || mode > 2) return stream->capture ? CUresult(401) : INVALID_VALUE;
    auto capture = std::make_shared<Capture>();
    capture->graph = std::make_shared<Graph>();
    capture->origin = stream;
    capture->mode = mode;
    capture->thread = this_thread();
    capture->streams.insert(stream);
    stream->capture = capture;
    driver().captures.push_back(capture);
    return SUCCESS;
}

EXPORT CUresult cuStreamEndCapture(void *handle, Graph **graph) {
    ENTER("cuStreamEndCapture", CONTEXT);
    bool valid;
    Stream *stream = stream_of(*call.context, handle, valid);
    *graph = nullptr;
    if (!valid) return INVALID_HANDLE;
    auto capture = stream->capture;
    if (!capture) return CUresult(401);
    if (capture->origin != stream) return STREAM_CAPTURE_UNMATCHED;
    if (capture->mode != 2 && capture->thread != this_thread()) return STREAM_CAPTURE_WRONG_THREAD;
    bool all = joined(*capture->graph, stream->tail);
    end(capture);
    if (capture->invalid) return STREAM_CAPTURE_INVALIDATED;
    if (!all) return STREAM_CAPTURE_UNJOINED;
    *graph = capture->graph.get();
    driver().graphs[*graph] = capture->graph;
    return SUCCESS;
}

EXPORT CUresult cuStreamIsCapturing(void *handle, int *status) {
    ENTER("cuStreamIsCapturing", CONTEXT);
    bool valid;
    Stream *stream = stream_of(*call.context, handle, valid);
    if (!valid) return INVALID_HANDLE;
    *status = !stream->capture ? 0 : stream->capture->invalid ? 2 : 1;
    return SUCCESS;
}

EXPORT CUresult cuThreadExchangeStreamCaptureMode(int *mode) {
    ENTER("cuThreadExchangeStreamCaptureMode", INIT);
    static thread_local int mine = 0;
    std::swap(mine, *mode);
    return SUCCESS;
}

EXPORT CUresult cuGraphDestroy(Graph *graph) {
    ENTER("cuGraphDestroy", CONTEXT);
    return driver().graphs.erase(graph) ? SUCCESS : INVALID_VALUE;
}

EXPORT CUresult cuGraphGetNodes(Graph *graph, void **nodes, std::size_t *count) {
    ENTER("cuGraphGetNodes", CONTEXT);
    if (!driver().graphs.contains(graph)) return INVALID_VALUE;
    std::size_t room = nodes == nullptr ? 0 : *count;
    for (std::size_t i = 0; i < room; i++) nodes[i] = i < graph->nodes.size() ? &graph->nodes[i] : nullptr;
    *count = nodes == nullptr ? graph->nodes.size() : std::min(room, graph->nodes.size());
    return SUCCESS;
}

EXPORT CUresult cuGraphNodeGetType(Node *node, int *type) {
    ENTER("cuGraphNodeGetType", CONTEXT);
    *type = node->type;
    return SUCCESS;
}

static CUresult instantiate(Call &call, GraphExec **exec, Graph *graph) {
    if (!driver().graphs.contains(graph)) return INVALID_VALUE;
    auto *made = new GraphExec{call.context, std::make_shared<Graph>(*graph), nullptr};
    call.context->execs.insert(made);
    *exec = made;
    return SUCCESS;
}
EXPORT CUresult cuGraphInstantiateWithFlags(GraphExec **exec, Graph *graph, unsigned long long) {
    ENTER("cuGraphInstantiate", CONTEXT);
    return instantiate(call, exec, graph);
}
EXPORT CUresult cuGraphInstantiate_v2(GraphExec **exec, Graph *graph, void **, char *, std::size_t) {
    ENTER("cuGraphInstantiate", CONTEXT);
    return instantiate(call, exec, graph);
}

EXPORT CUresult cuGraphUpload(GraphExec *exec, void *stream) {
    ENTER("cuGraphUpload", CONTEXT);
    (void) stream;
    return call.context->execs.contains(exec) ? SUCCESS : INVALID_VALUE;
}

EXPORT CUresult cuGraphLaunch(GraphExec *exec, void *handle) {
    ENTER("cuGraphLaunch", CONTEXT);
    if (!call.context->execs.contains(exec)) return INVALID_VALUE;
    Node node{9, "a graph", nullptr, {}, nullptr};
    // one launch of a graph follows the one before, whatever streams they are in
    auto graph = exec->graph;
    auto random = Random{driver().random.next()};
    node.run = [graph, random] { return replay(*graph, random); };
    bool valid;
    Stream *stream = stream_of(*call.context, handle, valid);
    if (!valid) return INVALID_HANDLE;
    if (stream->capture) return NOT_SUPPORTED;
    if (auto error = submit(call.lock, *call.context, handle, std::move(node))) return error;
    if (exec->last && !exec->last->done) stream->last->after.push_back(exec->last);
    exec->last = stream->last;
    return SUCCESS;
}

EXPORT CUresult cuGraphExecDestroy(GraphExec *exec) {
    ENTER("cuGraphExecDestroy", CONTEXT);
    if (!call.context->execs.erase(exec)) return INVALID_VALUE;
    delete exec;
    return SUCCESS;
}
