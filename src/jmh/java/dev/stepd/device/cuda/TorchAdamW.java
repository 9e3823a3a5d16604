package dev.stepd.device.cuda;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.TimeUnit;

/// torch's fused AdamW on the same GPU, in a process of its own, timed as our kernels are.
final class TorchAdamW {
    private static final String SCRIPT = """
            import statistics, sys
            try:
                import torch
            except ImportError:
                print("skipped python3 has no torch")
                sys.exit()
            if not torch.cuda.is_available():
                print("skipped torch sees no GPU")
                sys.exit()
            count, repeats = int(sys.argv[1]), int(sys.argv[2])
            p = torch.randn(count, device="cuda").mul_(0.05).requires_grad_()
            saved = torch.randn(count, device="cuda").mul_(0.01)
            p.grad = saved.clone()
            optimizer = torch.optim.AdamW([p], lr=1e-3, fused=True)
            times = []
            for i in range(repeats + 5):
                start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                for _ in range(4):  # the device is busy while the host asks for what is timed
                    p.grad.copy_(saved)
                start.record()
                optimizer.step()
                end.record()
                end.synchronize()
                times.append(start.elapsed_time(end))
            print("measured", torch.__version__, statistics.median(times[5:]))
            """;

    sealed interface Result {}

    record Measured(String version, double millis) implements Result {}

    record Skipped(String reason) implements Result {}

    private TorchAdamW() {}

    static Result measure(long elements, int repeats) {
        try {
            var process = new ProcessBuilder("python3", "-c", SCRIPT, Long.toString(elements), Integer.toString(repeats))
                    .redirectError(ProcessBuilder.Redirect.DISCARD).start();
            process.getOutputStream().close();
            var said = new String(process.getInputStream().readAllBytes()).strip();
            process.waitFor(1, TimeUnit.MINUTES);
            var words = List.of(said.split(" ", 3));
            return words.size() == 3 && words.getFirst().equals("measured")
                    ? new Measured(words.get(1), Double.parseDouble(words.get(2)))
                    : new Skipped(said.startsWith("skipped ") ? said.substring("skipped ".length()) : "python3 failed");
        } catch (IOException e) {
            return new Skipped("no python3");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }
}
