package dev.stepd.device.cuda.shim;

import static jcuda.driver.JCudaDriver.cuCtxSetCurrent;
import static jcuda.driver.JCudaDriver.cuDeviceGet;
import static jcuda.driver.JCudaDriver.cuDevicePrimaryCtxRetain;
import static jcuda.driver.JCudaDriver.cuInit;
import static jcuda.driver.JCudaDriver.cuLaunchKernel;
import static jcuda.driver.JCudaDriver.cuMemAlloc;
import static jcuda.driver.JCudaDriver.cuMemHostAlloc;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoH;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoD;
import static jcuda.driver.JCudaDriver.cuModuleGetFunction;
import static jcuda.driver.JCudaDriver.cuModuleLoadData;
import static jcuda.driver.JCudaDriver.cuStreamCreate;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Random;
import jcuda.Pointer;
import jcuda.Sizeof;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;

/// A fresh shim with device 0's context current, and the calls of JCuda that its tests make over and over.
final class OnShim implements AutoCloseable {
    static final CUstream DEFAULT = new CUstream();

    private final CUcontext before = new CUcontext();
    final CudaShim shim = CudaShim.load();
    final ShimNvrtc nvrtc = ShimNvrtc.at(shim.nvrtc());

    private OnShim() {}

    static OnShim fresh() {
        assumeTrue(CudaShim.available(), "no CUDA shim");
        var on = new OnShim();
        on.shim.reset();
        JCudaDriver.cuCtxGetCurrent(on.before); // another test's, which goes on with it
        on.begin();
        return on;
    }

    void begin() {
        check(cuInit(0));
        var device = new CUdevice();
        check(cuDeviceGet(device, 0));
        var context = new CUcontext();
        check(cuDevicePrimaryCtxRetain(context, device));
        check(cuCtxSetCurrent(context));
    }

    @Override
    public void close() {
        JCudaDriver.cuDevicePrimaryCtxReset(new CUdevice());
        cuCtxSetCurrent(before);
        shim.reset();
    }

    void check(int result) {
        assertThat(result).as(() -> CUresult.stringFor(result) + " " + shim.message()).isZero();
    }

    CUmodule module(String source) {
        var module = new CUmodule();
        check(cuModuleLoadData(module, nvrtc.compile(source)));
        return module;
    }

    CUfunction function(CUmodule module, String name) {
        var function = new CUfunction();
        check(cuModuleGetFunction(function, module, name));
        return function;
    }

    CUfunction function(String source, String name) {
        return function(module(source), name);
    }

    int tryLaunch(CUfunction function, int blocks, int threads, CUstream stream, Pointer... arguments) {
        return cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, 0, stream, Pointer.to(arguments), null);
    }

    void launch(CUfunction function, int blocks, int threads, Pointer... arguments) {
        check(tryLaunch(function, blocks, threads, DEFAULT, arguments));
    }

    CUstream stream() {
        var stream = new CUstream();
        check(cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING));
        return stream;
    }

    CUdeviceptr device(int floats) {
        var address = new CUdeviceptr();
        check(cuMemAlloc(address, (long) floats * Sizeof.FLOAT));
        return address;
    }

    CUdeviceptr device(float... values) {
        var address = device(values.length);
        check(cuMemcpyHtoD(address, Pointer.to(values), (long) values.length * Sizeof.FLOAT));
        return address;
    }

    CUdeviceptr device(int[] values) {
        var address = device(values.length);
        check(cuMemcpyHtoD(address, Pointer.to(values), (long) values.length * Sizeof.INT));
        return address;
    }

    float[] floats(CUdeviceptr address, int n) {
        var values = new float[n];
        check(cuMemcpyDtoH(Pointer.to(values), address, (long) n * Sizeof.FLOAT));
        return values;
    }

    int[] ints(CUdeviceptr address, int n) {
        var values = new int[n];
        check(cuMemcpyDtoH(Pointer.to(values), address, (long) n * Sizeof.INT));
        return values;
    }

    /// Pinned memory and its bytes for Java.
    record Pinned(Pointer pointer, java.nio.FloatBuffer floats) {}

    Pinned pinned(int floats) {
        var pointer = new Pointer();
        long bytes = (long) floats * Sizeof.FLOAT;
        check(cuMemHostAlloc(pointer, bytes, 0));
        return new Pinned(pointer, pointer.getByteBuffer(0, bytes).order(java.nio.ByteOrder.nativeOrder()).asFloatBuffer());
    }

    static float[] random(int n, long seed) {
        var random = new Random(seed);
        var x = new float[n];
        for (int i = 0; i < n; i++) {
            x[i] = random.nextFloat() - 0.5f;
        }
        return x;
    }
}
