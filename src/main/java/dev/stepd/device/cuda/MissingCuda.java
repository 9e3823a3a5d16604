package dev.stepd.device.cuda;

/// Something that CUDA needs is not on this machine. Never leaves this package: [CudaLibrary] says it as a sentence.
final class MissingCuda extends RuntimeException {
    private final String sentence;

    /// @param sentence what is missing and what to do
    MissingCuda(String sentence) {
        super(sentence);
        this.sentence = sentence;
    }

    String sentence() {
        return sentence;
    }
}
