package dev.stepd.compiler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.codegen.cpu.KernelCompiler;
import dev.stepd.device.Device;
import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.device.cuda.ShimDevices;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Interpreter;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.rewrite.ChooseByHost;
import dev.stepd.expr.rewrite.Rewrites;
import dev.stepd.expr.stage.Planner;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;

/// Compiles programs for vectors of every width, crews of every size, and the CUDA device, and holds them to the interpreter.
public final class Agreement implements AutoCloseable {
    private final List<Device> own = List.of(
            new CpuDevice(new KernelCompiler(128), 1L << 30, 2),
            new CpuDevice(new KernelCompiler(256), 1L << 30, 1),
            new CpuDevice(new KernelCompiler(512), 1L << 30, 3));
    private final List<Device> devices =
            Stream.concat(own.stream(), ShimDevices.shared().stream()).toList();

    /// Every bit of every array agrees after one step.
    ///
    /// @param what to name in a failure
    public void check(String what, Program program, World world) {
        check(what, program, world, 1);
    }

    /// The same for a program that gives the same arrays however often it runs: the last of `steps` runs is compared, when
    /// the kernels are machine code.
    public void check(String what, Program program, World world, int steps) {
        var expanded = Rewrites.expand(ChooseByHost.undecided(program));
        var expected = world.interpreted(expanded);
        var plan = Planner.plan(expanded);
        for (var device : devices) {
            assertThat(expected.differences(Compiled.run(device, plan, world, steps)))
                    .as("%s on %s, device %d%n%s%n%s", what, device.name(), devices.indexOf(device), program, plan)
                    .isEmpty();
        }
    }

    /// The same over random values in the arrays that the program names.
    public void check(Program program, List<Interpreter.Extent> extents, World.Values values) {
        var buffers = new LinkedHashSet<>(program.reads());
        program.assignments().forEach(a -> buffers.add(a.target()));
        buffers.removeIf(b -> b.kind() == Buffer.Kind.EXTENT);
        check("", program, World.random(new SplittableRandom(7), extents, buffers, values));
    }

    /// `array[scope] <- value` for one array that is written, under a name of its own.
    public static Program.Assignment write(Scope scope, Expr value) {
        var target = new Buffer(Buffer.Kind.SLOT, "result_" + scope, scope, value.type());
        return new Program.Assignment(target, value);
    }

    /// What a slot holds.
    public static Expr slot(String name, Scope scope, Type type) {
        return new Expr.Read(new Buffer(Buffer.Kind.SLOT, name, scope, type));
    }

    @Override
    public void close() {
        own.forEach(Device::close);
    }
}
