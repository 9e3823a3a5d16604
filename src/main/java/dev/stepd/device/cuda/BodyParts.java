package dev.stepd.device.cuda;

import dev.stepd.codegen.cuda.CudaProgram;
import dev.stepd.codegen.cuda.CudaProgram.Kernel;
import dev.stepd.codegen.cuda.CudaProgram.Pointer;
import dev.stepd.device.Domain;
import dev.stepd.expr.Buffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// What of a step's body a plan reads and writes. Where the last kernel that writes to it is local to elements, body and kernel go
/// chunk by chunk: while one chunk is computed the next is copied in and the one before out.
final class BodyParts {
    /// @param member of `struct Arrays`
    private record Part(Buffer buffer, int member, long offset, long bytes, boolean read, boolean written) {
        boolean ofElements() {
            return buffer.scope().isElement();
        }
    }

    /// @param arguments of the kernel for it
    private record Chunk(int fromTile, int toTile, long fromElement, long toElement, Arguments arguments) {}

    private final List<Part> parts = new ArrayList<>();
    private final List<Chunk> chunks = new ArrayList<>();
    private @Nullable KernelLaunch last;
    private long bytes;

    BodyParts(CudaProgram program, Domain domain, Map<Buffer, Long> inBody) {
        for (int member = 0; member < program.pointers().size(); member++) {
            if (program.pointers().get(member) instanceof Pointer.Array(Buffer buffer) && inBody.containsKey(buffer)) {
                long size = domain.bytes(buffer);
                boolean read = program.kernels().stream()
                        .anyMatch(kernel -> kernel.stages().stream().anyMatch(stage -> stage.reads().contains(buffer)));
                parts.add(new Part(buffer, member, inBody.get(buffer), size, read, isWritten(program, buffer)));
                bytes = Math.max(bytes, inBody.get(buffer) + size);
            }
        }
    }

    private static boolean isWritten(CudaProgram program, Buffer buffer) {
        return program.kernels().stream()
                .flatMap(kernel -> kernel.stages().stream())
                .flatMap(stage -> stage.outputs().stream())
                .anyMatch(output -> output.target().equals(buffer));
    }

    /// The position of the last kernel that writes to a body, or of the last one where none does.
    int lastThatWrites(CudaProgram program) {
        var kernels = program.kernels();
        for (int i = kernels.size() - 1; i >= 0; i--) {
            if (kernels.get(i).stages().stream().flatMap(stage -> stage.outputs().stream()).anyMatch(o -> contains(o.target()))) {
                return i;
            }
        }
        return kernels.size() - 1;
    }

    boolean contains(Buffer buffer) {
        return parts.stream().anyMatch(part -> part.buffer.equals(buffer));
    }

    /// Points kernels to a body's image.
    void point(CudaBody image, List<KernelLaunch> launches) {
        if (parts.isEmpty()) {
            return;
        }
        image.requireHeld(bytes);
        for (int i = 0; i < parts.size(); i++) {
            for (int k = 0; k < launches.size(); k++) {
                launches.get(k).point(parts.get(i).member, image.address() + parts.get(i).offset);
            }
        }
    }

    /// Points all kernels to the body itself.
    void pointToHost(CudaBody image, SmallPlan small) {
        image.requireHeld(bytes);
        for (int i = 0; i < parts.size(); i++) {
            small.point(parts.get(i).member, image.hostAddress() + parts.get(i).offset);
        }
    }

    boolean isEmpty() {
        return parts.isEmpty();
    }

    /// Cuts that kernel's tiles, if it may go chunk by chunk and the body is long enough.
    void chunk(KernelLaunch launch, long chunkBytes) {
        chunks.clear();
        last = launch;
        boolean local = launch.kernel() instanceof Kernel.Tiles
                || launch.kernel() instanceof Kernel.Pass pass && pass.stage().scope().isElement();
        long elements = parts.stream().filter(Part::ofElements).mapToLong(part -> part.bytes).max().orElse(0);
        if (!local || elements < 2 * chunkBytes) {
            return;
        }
        var tiles = launch.cutting().tiles();
        int from = 0;
        for (int to = 1; to <= tiles.count(); to++) {
            long first = tiles.first(from);
            long end = tiles.end(to - 1);
            if (to == tiles.count() || (end - first) * Float.BYTES >= chunkBytes) {
                chunks.add(new Chunk(from, to, first, end, new Arguments(launch.argumentBytes())));
                from = to;
            }
        }
    }

    boolean isChunked() {
        return !chunks.isEmpty();
    }

    /// Has all of the body that is read on its way.
    void fetch(CudaBody image) {
        for (int i = 0; i < parts.size(); i++) {
            var part = parts.get(i);
            if (part.read || part.written) { // what absent tensors have where deltas go comes back as it was
                image.fetch(part.offset, part.offset + part.bytes);
            }
        }
    }

    void copyOut(CudaBody image, CudaStream out) {
        for (int i = 0; i < parts.size(); i++) {
            var part = parts.get(i);
            if (part.written) {
                out.copyOut(image.hostAddress() + part.offset, image.address() + part.offset, part.bytes);
            }
        }
    }

    /// Runs that kernel chunk by chunk.
    void launchChunks(CudaBody image, Streams streams) {
        for (int i = 0; i < parts.size(); i++) {
            var part = parts.get(i);
            if (!part.ofElements()) {
                image.fetch(part.offset, part.offset + part.bytes);
            }
        }
        for (int c = 0; c < chunks.size(); c++) {
            var chunk = chunks.get(c);
            for (int i = 0; i < parts.size(); i++) {
                var part = parts.get(i);
                if (part.ofElements() && part.read) {
                    image.fetch(at(part, chunk.fromElement), at(part, chunk.toElement));
                }
            }
            streams.kernelsAfterCopies();
            Objects.requireNonNull(last).launchSome(streams.kernels(), chunk.arguments, chunk.fromTile, chunk.toTile);
            streams.copiesAfterKernels();
            for (int i = 0; i < parts.size(); i++) {
                var part = parts.get(i);
                if (part.written) {
                    long from = at(part, chunk.fromElement);
                    streams.out().copyOut(image.hostAddress() + from, image.address() + from, at(part, chunk.toElement) - from);
                }
            }
        }
    }

    private long at(Part part, long element) {
        return part.offset + part.buffer.storage().bytes(element);
    }
}
