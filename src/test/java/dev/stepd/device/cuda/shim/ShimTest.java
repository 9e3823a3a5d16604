package dev.stepd.device.cuda.shim;

import static jcuda.driver.JCudaDriver.cuCtxSetCurrent;
import static jcuda.driver.JCudaDriver.cuDeviceGet;
import static jcuda.driver.JCudaDriver.cuDevicePrimaryCtxRetain;
import static jcuda.driver.JCudaDriver.cuInit;
import static jcuda.driver.JCudaDriver.cuLaunchKernel;
import static jcuda.driver.JCudaDriver.cuMemAlloc;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoH;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoD;
import static jcuda.driver.JCudaDriver.cuModuleGetFunction;
import static jcuda.driver.JCudaDriver.cuModuleLoadData;
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
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Kernels on the shim: threads, barriers, warps, shared memory, arguments.
class ShimTest {
    private static CudaShim shim;
    private static ShimNvrtc nvrtc;

    @BeforeAll
    static void load() {
        assumeTrue(CudaShim.available(), "no CUDA shim");
        shim = CudaShim.load();
        nvrtc = ShimNvrtc.at(shim.nvrtc());
    }

    @BeforeEach
    void begin() {
        shim.reset();
        check(cuInit(0));
        var device = new CUdevice();
        check(cuDeviceGet(device, 0));
        var context = new CUcontext();
        check(cuDevicePrimaryCtxRetain(context, device));
        check(cuCtxSetCurrent(context));
    }

    @AfterEach
    void end() {
        shim.reset();
    }

    @Test
    void addsVectors() {
        var add = function("""
                extern "C" __global__ void add(const float *a, const float *b, float *c, int n) {
                    int i = blockIdx.x * blockDim.x + threadIdx.x;
                    if (i < n) c[i] = __fadd_rn(a[i], b[i]);
                }
                """, "add");
        int n = 1000;
        float[] a = random(n, 1);
        float[] b = random(n, 2);
        var c = device(n);
        launch(add, 8, 128, Pointer.to(device(a)), Pointer.to(device(b)), Pointer.to(c), Pointer.to(new int[] {n}));
        var sum = host(c, n);
        for (int i = 0; i < n; i++) {
            assertThat(sum[i]).isEqualTo(a[i] + b[i]);
        }
    }

    @Test
    void reducesByShufflesAndBarriers() {
        var sum = function(SUM.formatted("__syncthreads();"), "sum");
        int n = 100_000;
        float[] x = random(n, 3);
        var out = device(4);
        launch(sum, 4, 256, Pointer.to(device(x)), Pointer.to(out), Pointer.to(new int[] {n}));
        assertThat(host(out, 4)).isEqualTo(sums(x, 4, 256));
    }

    /// Which threads run first is the seed's choice, so that what is not waited for is sometimes not there.
    @Test
    void missingBarrierChangesResults() {
        var sum = function(SUM.formatted(""), "sum");
        float[] x = random(100_000, 3);
        var right = sums(x, 4, 256);
        int wrong = 0;
        for (int seed = 0; seed < 5; seed++) {
            shim.seed(seed);
            var out = device(4);
            launch(sum, 4, 256, Pointer.to(device(x)), Pointer.to(out), Pointer.to(new int[] {x.length}));
            wrong += java.util.Arrays.equals(host(out, 4), right) ? 0 : 1;
        }
        assertThat(wrong).isGreaterThanOrEqualTo(4);
    }

    private static final String SUM = """
            extern "C" __global__ void __launch_bounds__(256) sum(const float *__restrict__ x, float *out, int n) {
                __shared__ float s[8];
                float a = 0;
                for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) a += __ldg(x + i);
            #pragma unroll
                for (int d = 16; d > 0; d >>= 1) a += __shfl_xor_sync(0xffffffffu, a, d);
                if ((threadIdx.x & 31) == 0) s[threadIdx.x >> 5] = a;
                %s
                if (threadIdx.x < 32) {
                    a = threadIdx.x < 8 ? s[threadIdx.x] : 0;
                    for (int d = 4; d > 0; d >>= 1) a += __shfl_down_sync(0xffffffffu, a, d);
                    if (threadIdx.x == 0) out[blockIdx.x] = a;
                }
            }
            """;

    /// The same sums in the same order as the kernel's.
    private static float[] sums(float[] x, int blocks, int threads) {
        var out = new float[blocks];
        for (int b = 0; b < blocks; b++) {
            var a = new float[threads];
            for (int t = 0; t < threads; t++) {
                for (int i = b * threads + t; i < x.length; i += blocks * threads) {
                    a[t] += x[i];
                }
            }
            var s = new float[8];
            for (int w = 0; w < 8; w++) {
                for (int d = 16; d > 0; d >>= 1) {
                    for (int l = 0; l < d; l++) {
                        a[w * 32 + l] += a[w * 32 + l + d];
                    }
                }
                s[w] = a[w * 32];
            }
            for (int d = 4; d > 0; d >>= 1) {
                for (int l = 0; l < d; l++) {
                    s[l] += s[l + d];
                }
            }
            out[b] = s[0];
        }
        return out;
    }

    static CUfunction function(String source, String name) {
        var module = new CUmodule();
        check(cuModuleLoadData(module, nvrtc.compile(source)));
        var function = new CUfunction();
        check(cuModuleGetFunction(function, module, name));
        return function;
    }

    private static void launch(CUfunction function, int blocks, int threads, Pointer... arguments) {
        check(cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, 0, new CUstream(), Pointer.to(arguments), null));
    }

    private static float[] random(int n, long seed) {
        var random = new Random(seed);
        var x = new float[n];
        for (int i = 0; i < n; i++) {
            x[i] = random.nextFloat() - 0.5f;
        }
        return x;
    }

    private static CUdeviceptr device(int floats) {
        var address = new CUdeviceptr();
        check(cuMemAlloc(address, (long) floats * Sizeof.FLOAT));
        return address;
    }

    private static CUdeviceptr device(float[] values) {
        var address = device(values.length);
        check(cuMemcpyHtoD(address, Pointer.to(values), (long) values.length * Sizeof.FLOAT));
        return address;
    }

    private static float[] host(CUdeviceptr address, int n) {
        var values = new float[n];
        check(cuMemcpyDtoH(Pointer.to(values), address, (long) n * Sizeof.FLOAT));
        return values;
    }

    private static void check(int result) {
        assertThat(result).as(() -> CUresult.stringFor(result) + " " + shim.message()).isZero();
    }
}
