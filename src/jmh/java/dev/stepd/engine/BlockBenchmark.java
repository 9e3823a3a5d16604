package dev.stepd.engine;

import dev.stepd.bench.Nanos;
import dev.stepd.device.Array;
import dev.stepd.device.Body;
import dev.stepd.device.Domain;
import dev.stepd.device.HostRegion;
import dev.stepd.device.Region;
import dev.stepd.device.Spans;
import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import dev.stepd.expr.rewrite.Rewrites;
import dev.stepd.expr.stage.Planner;
import dev.stepd.rule.Inputs;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// AdamW whose moments are kept relative to the largest of each block of 256, against plain AdamW, in turns: what
/// reductions over blocks cost.
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 20, time = 1, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 40, time = 1, timeUnit = TimeUnit.MILLISECONDS)
@Fork(3)
public class BlockBenchmark {
    private static final dev.stepd.expr.Scope BLOCK = dev.stepd.expr.Scope.block(256);
    private static final long ELEMENTS = RuleBenchmark.ELEMENTS;
    private static final long STAGGER_BYTES = 5 * 64;

    private final CpuDevice device = new CpuDevice(8L << 30, KernelBenchmark.THREADS);
    private final List<Region> regions = new ArrayList<>();
    private final Map<Buffer, Array> arrays = new HashMap<>();
    private final Spans spans = new Spans(List.of(new Spans.Span(0, 1)));
    private HostRegion gradients;
    private Body held;
    private Variant blocks;
    private Subject plain;
    private boolean turn;

    @Setup
    public void setUp() {
        plain = new Subject("adamw", ELEMENTS, KernelBenchmark.THREADS);
        var program = Rewrites.expand(new Program(assignments()));
        var domain = new Domain(List.of(new Domain.Tensor(ELEMENTS, 1, 1, 0, 0)), 1);
        for (var buffer : program.reads()) {
            if (buffer.kind() != Buffer.Kind.GRAD) {
                // Staggered as a session's arrays are, so that no two streams fall on the same cache sets.
                long stagger = STAGGER_BYTES * (regions.size() + 1);
                long bytes = domain.count(buffer.scope()) * buffer.storage().bytes();
                var region = device.memory().allocate(stagger + bytes, "arrays");
                regions.add(region);
                arrays.put(buffer, region.array().slice(stagger, bytes));
            }
        }
        gradients = device.host().allocate(ELEMENTS * Float.BYTES, "gradients");
        held = device.body(ELEMENTS * Float.BYTES, "gradients");
        held.hold(gradients.segment());
        var names = List.of("lr", "beta1", "beta2", "eps", "wd");
        var inBody = Map.of(Inputs.grad(Type.F32), 0L, Inputs.delta(Type.F32), 0L);
        blocks = new Variant(Planner.plan(program), names, device, domain, arrays, inBody);
        blocks.prepare(spans.spans().getFirst(), new double[] {1e-3, 0.9, 0.999, 1e-8, 0.01}, Subject.STEP, Subject.STEP);
    }

    private static Expr slot(String name, dev.stepd.expr.Scope scope) {
        return new Expr.Read(new Buffer(Buffer.Kind.SLOT, name, scope, Type.F32));
    }

    private static List<Program.Assignment> assignments() {
        var grad = new Expr.Read(new Buffer(Buffer.Kind.GRAD, "grad", dev.stepd.expr.Scope.ELEMENT, Type.F32));
        var param = new Expr.Read(Inputs.param(Type.F32));
        var all = new ArrayList<Program.Assignment>();
        var m = relative("m", grad, new Expr.Hyper("beta1"), all);
        var v = relative("v", grad.squared(), new Expr.Hyper("beta2"), all);
        var root = new Expr.Unary(UnaryOp.SQRT, v).plus(new Expr.Hyper("eps"));
        var delta = new Expr.Hyper("lr").negate().times(m.over(root))
                .minus(new Expr.Hyper("lr").times(new Expr.Hyper("wd")).times(param));
        all.add(new Program.Assignment(
                new Buffer(Buffer.Kind.DELTA, "delta", dev.stepd.expr.Scope.ELEMENT, Type.F32), delta));
        all.add(new Program.Assignment(Inputs.param(Type.F32), param.plus(delta)));
        return all;
    }

    /// The running mean of `value`, kept as shares of the largest of its block.
    private static Expr relative(String name, Expr value, Expr beta, List<Program.Assignment> all) {
        var share = slot(name, dev.stepd.expr.Scope.ELEMENT);
        var scale = slot(name + "_scale", BLOCK);
        var next = beta.times(share.times(scale)).plus(Expr.constant(1).minus(beta).times(value));
        var largest = new Expr.Reduce(ReduceOp.MAX, BLOCK, new Expr.Unary(UnaryOp.ABS, next));
        var divisor = Expr.select(Expr.compare(CompareOp.LT, Expr.constant(0), largest), largest, Expr.constant(1));
        all.add(new Program.Assignment(((Expr.Read) share).buffer(), next.over(divisor)));
        all.add(new Program.Assignment(((Expr.Read) scale).buffer(), largest));
        return next;
    }

    @Setup(Level.Iteration)
    public void refill() {
        plain.refill();
        Subject.fill(gradients.segment(), 2, 0.01f);
    }

    /// One update each, each first in turn.
    @Benchmark
    public void update(Nanos nanos) {
        turn = !turn;
        if (turn) {
            ours(nanos);
            theirs(nanos);
        } else {
            theirs(nanos);
            ours(nanos);
        }
    }

    private void ours(Nanos nanos) {
        long start = System.nanoTime();
        blocks.run(spans, held);
        nanos.ours += System.nanoTime() - start;
    }

    private void theirs(Nanos nanos) {
        long start = System.nanoTime();
        plain.update();
        nanos.theirs += System.nanoTime() - start;
    }

    @TearDown
    public void tearDown() {
        plain.close();
        blocks.close();
        held.close();
        gradients.close();
        regions.forEach(Region::close);
        device.close();
    }
}
