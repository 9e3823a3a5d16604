package dev.stepd.device.cuda.shim;

import static dev.stepd.device.cuda.shim.OnShim.random;
import static jcuda.driver.JCudaDriver.cuCtxSynchronize;
import static jcuda.driver.JCudaDriver.cuFuncGetAttribute;
import static jcuda.driver.JCudaDriver.cuFuncSetAttribute;
import static jcuda.driver.JCudaDriver.cuLaunchKernel;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoD;
import static jcuda.driver.JCudaDriver.cuMemsetD8;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.stream.IntStream;
import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUresult;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Kernels on the shim: threads, barriers, warps, shared memory, arguments.
class ShimTest {
    private OnShim on;

    @BeforeEach
    void begin() {
        on = OnShim.fresh();
    }

    @AfterEach
    void end() {
        if (on != null) {
            on.close();
        }
    }

    @Test
    void addsVectors() {
        var add = on.function("""
                extern "C" __global__ void add(const float *a, const float *b, float *c, int n) {
                    int i = blockIdx.x * blockDim.x + threadIdx.x;
                    if (i < n) c[i] = __fadd_rn(a[i], b[i]);
                }
                """, "add");
        int n = 1000;
        float[] a = random(n, 1);
        float[] b = random(n, 2);
        var c = on.device(n);
        on.launch(add, 8, 128, Pointer.to(on.device(a)), Pointer.to(on.device(b)), Pointer.to(c), Pointer.to(new int[] {n}));
        var sum = on.floats(c, n);
        for (int i = 0; i < n; i++) {
            assertThat(sum[i]).isEqualTo(a[i] + b[i]);
        }
    }

    @Test
    void reducesByShufflesAndBarriers() {
        var sum = on.function(SUM.formatted("__syncthreads();"), "sum");
        float[] x = random(100_000, 3);
        assertThat(sum(sum, x)).isEqualTo(sums(x, 4, 256));
    }

    /// Which threads run first is the seed's choice, so that what is not waited for is mostly not there.
    @Test
    void missingBarrierChangesResults() {
        var sum = on.function(SUM.formatted(""), "sum");
        float[] x = random(10_000, 3);
        var right = sums(x, 4, 256);
        int wrong = 0;
        for (int seed = 0; seed < 5; seed++) {
            on.shim.seed(seed);
            wrong += Arrays.equals(sum(sum, x), right) ? 0 : 1;
        }
        assertThat(wrong).isGreaterThanOrEqualTo(4);
    }

    /// The same, of threads of one warp: they do not go in step.
    @Test
    void missingSyncwarpChangesResults() {
        var source = """
                extern "C" __global__ void turn(int *out) {
                    __shared__ int s[32];
                    s[threadIdx.x] = threadIdx.x;
                    %s
                    out[threadIdx.x] = s[31 - threadIdx.x];
                }
                """;
        var right = IntStream.range(0, 32).map(i -> 31 - i).toArray();
        var out = on.device(32);
        on.launch(on.function(source.formatted("__syncwarp();"), "turn"), 1, 32, Pointer.to(out));
        assertThat(on.ints(out, 32)).isEqualTo(right);
        on.launch(on.function(source.formatted(""), "turn"), 1, 32, Pointer.to(out));
        assertThat(on.ints(out, 32)).isNotEqualTo(right);
    }

    @Test
    void takesStructuresByValue() {
        var scale = on.function("""
                struct Plan {
                    const float *from;
                    float *to;
                    long long count;
                    double factor;
                    float table[40];
                    alignas(16) float4 last;
                };
                extern "C" __global__ void scale(const __grid_constant__ Plan p, unsigned char extra) {
                    for (long long i = threadIdx.x; i < p.count; i += blockDim.x) {
                        p.to[i] = (float) (p.from[i] * p.factor) + p.table[i % 40] + p.last.w + extra;
                    }
                }
                """, "scale");
        float[] x = random(100, 4);
        var out = on.device(100);
        try (var arena = Arena.ofConfined()) {
            var plan = arena.allocate(208, 16);
            plan.set(ValueLayout.JAVA_LONG, 0, address(on.device(x)));
            plan.set(ValueLayout.JAVA_LONG, 8, address(out));
            plan.set(ValueLayout.JAVA_LONG, 16, 100);
            plan.set(ValueLayout.JAVA_DOUBLE, 24, 1.5);
            for (int i = 0; i < 40; i++) {
                plan.set(ValueLayout.JAVA_FLOAT, 32 + 4L * i, i);
            }
            plan.set(ValueLayout.JAVA_FLOAT, 204, 0.25f);
            on.launch(scale, 1, 64, Pointer.to(plan.asByteBuffer()), Pointer.to(new byte[] {3}));
            // what is passed is copied when the kernel is launched
            plan.fill((byte) 0);
        }
        var scaled = on.floats(out, 100);
        for (int i = 0; i < 100; i++) {
            assertThat(scaled[i]).isEqualTo((float) (x[i] * 1.5) + i % 40 + 0.25f + 3);
        }
    }

    @Test
    void takesArgumentsInOneBuffer() {
        var set = on.function("""
                extern "C" __global__ void set(unsigned char a, double b, int *out) { out[0] = a; out[1] = (int) b; }
                """, "set");
        var out = on.device(2);
        var buffer = ByteBuffer.allocateDirect(24).order(ByteOrder.nativeOrder());
        buffer.put(0, (byte) 7).putDouble(8, 9).putLong(16, address(out));
        // CU_LAUNCH_PARAM_BUFFER_POINTER, _SIZE, _END
        var extra = Pointer.to(constant(1), Pointer.to(buffer), constant(2), Pointer.to(new long[] {24}), constant(0));
        on.check(cuLaunchKernel(set, 1, 1, 1, 1, 1, 1, 0, OnShim.DEFAULT, null, extra));
        assertThat(on.ints(out, 2)).containsExactly(7, 9);
    }

    @Test
    void countsThreadsAndBlocksInThreeDimensions() {
        var count = on.function("""
                extern "C" __global__ void count(int *out) {
                    int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
                    int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
                    __syncthreads();
                    atomicAdd(out + block * 24 + thread, thread + 100 * block);
                }
                """, "count");
        var out = on.device(new int[24 * 12]);
        on.check(cuLaunchKernel(count, 2, 3, 2, 3, 4, 2, 0, OnShim.DEFAULT, Pointer.to(Pointer.to(out)), null));
        assertThat(on.ints(out, 24 * 12)).isEqualTo(IntStream.range(0, 24 * 12).map(i -> i % 24 + 100 * (i / 24)).toArray());
    }

    @Test
    void dynamicSharedMemoryIsAsLongAsAskedFor() {
        var source = """
                extern __shared__ __align__(16) unsigned char room[];
                extern "C" __global__ void turn(int *out, int n) {
                    int *mine = (int *) room;
                    mine[threadIdx.x] = threadIdx.x * 3;
                    __syncthreads();
                    out[threadIdx.x] = mine[n - 1 - threadIdx.x];
                }
                """;
        var turn = on.function(source, "turn");
        var out = on.device(64);
        var arguments = Pointer.to(Pointer.to(out), Pointer.to(new int[] {64}));
        on.check(cuLaunchKernel(turn, 1, 1, 1, 64, 1, 1, 256, OnShim.DEFAULT, arguments, null));
        assertThat(on.ints(out, 64)).isEqualTo(IntStream.range(0, 64).map(i -> (63 - i) * 3).toArray());
        assertThat(cuLaunchKernel(turn, 1, 1, 1, 64, 1, 1, 60_000, OnShim.DEFAULT, arguments, null))
                .isEqualTo(CUresult.CUDA_ERROR_INVALID_VALUE);
        on.check(cuFuncSetAttribute(turn, CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 100_000));
        on.check(cuLaunchKernel(turn, 1, 1, 1, 64, 1, 1, 60_000, OnShim.DEFAULT, arguments, null));
        on.check(cuLaunchKernel(turn, 1, 1, 1, 64, 1, 1, 252, OnShim.DEFAULT, arguments, null));
        assertThat(cuCtxSynchronize()).isEqualTo(CUresult.CUDA_ERROR_ILLEGAL_ADDRESS);
        assertThat(on.shim.message()).contains("turn").contains("past the end of dynamic shared memory");
    }

    @Test
    void warpOperationsAreThePtxs() {
        var lanes = on.function("""
                extern "C" __global__ void lanes(int *out) {
                    const unsigned all = 0xffffffffu;
                    int l = threadIdx.x, v = l * l;
                    int *o = out + l * 10;
                    o[0] = __shfl_sync(all, v, (l * 5 + 3) % 32);
                    o[1] = __shfl_up_sync(all, v, 3);
                    o[2] = __shfl_down_sync(all, v, 3, 8);
                    o[3] = __shfl_xor_sync(all, v, 9);
                    o[4] = (int) __ballot_sync(all, l % 3 == 0);
                    o[5] = __any_sync(all, l == 7) + 2 * __all_sync(all, l < 31);
                    o[6] = __reduce_max_sync(all, l == 9 ? 1000 : -l);
                    o[7] = (int) __reduce_add_sync(all, (unsigned) l);
                    o[8] = 0;
                    if (l % 2 == 0) o[8] = __shfl_xor_sync(0x55555555u, v, 2);
                    o[9] = __double2int_rz(__shfl_down_sync(all, (double) v, 1));
                }
                """, "lanes");
        var out = on.device(320);
        on.launch(lanes, 1, 32, Pointer.to(out));
        var found = on.ints(out, 320);
        for (int l = 0; l < 32; l++) {
            int ballot = IntStream.range(0, 32).filter(i -> i % 3 == 0).map(i -> 1 << i).sum();
            assertThat(Arrays.copyOfRange(found, l * 10, l * 10 + 10)).as("lane %d", l).containsExactly(
                    square((l * 5 + 3) % 32), square(l < 3 ? l : l - 3), square(l % 8 + 3 > 7 ? l : l + 3), square(l ^ 9),
                    ballot, 1, 1000, 496, l % 2 == 0 ? square(l ^ 2) : 0, square(l == 31 ? 31 : l + 1));
        }
    }

    @Test
    void lastBlockSeesWhatOthersWrote() {
        var total = on.function("""
                __device__ unsigned finished;
                extern "C" __global__ void total(int *parts, int *out) {
                    __shared__ bool last;
                    if (threadIdx.x == 0) {
                        parts[blockIdx.x] = blockIdx.x + 1;
                        __threadfence();
                        last = atomicInc(&finished, gridDim.x - 1) == gridDim.x - 1;
                    }
                    __syncthreads();
                    if (last) atomicAdd(out, threadIdx.x < gridDim.x ? parts[threadIdx.x] : 0);
                }
                """, "total");
        var out = on.device(new int[1]);
        var parts = on.device(50);
        on.launch(total, 50, 64, Pointer.to(parts), Pointer.to(out));
        on.launch(total, 50, 64, Pointer.to(parts), Pointer.to(out));
        assertThat(on.ints(out, 1)).containsExactly(2 * 50 * 51 / 2);
    }

    @Test
    void conversionsSaturate() {
        var convert = on.function("""
                extern "C" __global__ void convert(const float *x, int *out, int n) {
                    int i = threadIdx.x;
                    out[4 * i] = __float2int_rz(x[i]);
                    out[4 * i + 1] = __float2int_rn(x[i]);
                    out[4 * i + 2] = __double2int_rz((double) x[i]);
                    out[4 * i + 3] = (int) __float2uint_rz(x[i]);
                }
                """, "convert");
        float[] x = {0, -0f, 1.5f, 2.5f, -1.5f, 3e9f, -3e9f, 1e30f, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NaN};
        var out = on.device(4 * x.length);
        on.launch(convert, 1, x.length, Pointer.to(on.device(x)), Pointer.to(out), Pointer.to(new int[] {x.length}));
        var found = on.ints(out, 4 * x.length);
        for (int i = 0; i < x.length; i++) {
            int nan = Float.isNaN(x[i]) ? Integer.MIN_VALUE : (int) x[i]; // of f64, NaN is the lowest number
            int unsigned = (int) Math.clamp((long) x[i], 0, 0xffffffffL);
            assertThat(Arrays.copyOfRange(found, 4 * i, 4 * i + 4)).as("%s", x[i])
                    .containsExactly((int) x[i], (int) Math.rint(x[i]), nan, unsigned);
        }
    }

    @Test
    void constantsAndGlobalsCanBeSet() {
        var module = on.module("""
                __constant__ float table[4];
                extern "C" __global__ void look(float *out) { out[threadIdx.x] = table[threadIdx.x]; }
                """);
        var address = new CUdeviceptr();
        var bytes = new long[1];
        on.check(jcuda.driver.JCudaDriver.cuModuleGetGlobal(address, bytes, module, "table"));
        assertThat(bytes).containsExactly(16);
        on.check(cuMemcpyHtoD(address, Pointer.to(new float[] {1, 2, 3, 4}), 16));
        var out = on.device(4);
        on.launch(on.function(module, "look"), 1, 4, Pointer.to(out));
        assertThat(on.floats(out, 4)).containsExactly(1, 2, 3, 4);
    }

    @Test
    void knowsWhatAKernelNeeds() {
        var module = on.module("""
                template <typename T> __device__ void turn(int *p, T *s) {
                    s[threadIdx.x] = p[threadIdx.x];
                    __syncthreads();
                    p[threadIdx.x] = (int) s[9 - threadIdx.x];
                }
                extern "C" __global__ void __launch_bounds__(4 * 32) a(int *p) { __shared__ int s[100]; turn(p, s); }
                extern "C" __global__ void b(int *p) { __shared__ double s[10]; turn(p, s); }
                """);
        var value = new int[1];
        on.check(cuFuncGetAttribute(value, CUfunction_attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, on.function(module, "a")));
        assertThat(value).containsExactly(400);
        on.check(cuFuncGetAttribute(value, CUfunction_attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, on.function(module, "b")));
        assertThat(value).containsExactly(80);
        var a = on.function(module, "a");
        on.check(cuFuncGetAttribute(value, CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, a));
        assertThat(value).containsExactly(128);
        assertThat(on.tryLaunch(a, 1, 129, OnShim.DEFAULT, Pointer.to(on.device(1)))).isEqualTo(CUresult.CUDA_ERROR_INVALID_VALUE);
    }

    /// What a block's shared memory holds at first is nobody's.
    @Test
    void sharedMemoryBeginsAsGarbage() {
        var read = on.function("""
                extern "C" __global__ void read(int *out) {
                    __shared__ int s[1];
                    if (threadIdx.x == 0 && blockIdx.x == 99) s[0] = 0;
                    out[blockIdx.x] = s[0];
                }
                """, "read");
        var out = on.device(2);
        on.check(cuMemsetD8(out, (byte) 0, 8));
        on.launch(read, 2, 1, Pointer.to(out));
        assertThat(on.ints(out, 2)).containsExactly(0xcbcbcbcb, 0xcbcbcbcb);
    }

    private float[] sum(jcuda.driver.CUfunction sum, float[] x) {
        var out = on.device(4);
        on.launch(sum, 4, 256, Pointer.to(on.device(x)), Pointer.to(out), Pointer.to(new int[] {x.length}));
        return on.floats(out, 4);
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
                fold(a, w * 32, 16);
                s[w] = a[w * 32];
            }
            fold(s, 0, 4);
            out[b] = s[0];
        }
        return out;
    }

    private static void fold(float[] a, int from, int half) {
        for (int d = half; d > 0; d >>= 1) {
            for (int l = 0; l < d; l++) {
                a[from + l] += a[from + l + d];
            }
        }
    }

    private static int square(int l) {
        return l * l;
    }

    private static Pointer constant(long value) {
        return new CUdeviceptr() {}.withByteOffset(value);
    }

    private static long address(CUdeviceptr pointer) {
        try {
            var field = jcuda.NativePointerObject.class.getDeclaredField("nativePointer");
            field.setAccessible(true);
            return field.getLong(pointer);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }
}
