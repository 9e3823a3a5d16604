// What a kernel's text sees when g++ compiles it for the host: CUDA C's words as NVRTC knows them without any header.
// Included before the text by the shim's NVRTC. No system headers: a kernel must compile in a fraction of a second.
#pragma once
#pragma GCC system_header

#define __CUDACC__ 1
#define __CUDACC_RTC__ 1
#define __NVCC_SHIM__ 1
#define __host__
#define __device__
#define __global__ __attribute__((noinline))
#define __constant__
#define __managed__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __grid_constant__
#define __launch_bounds__(...)
#define __maxnreg__(n)
#define __cluster_dims__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_align__(n) __attribute__((aligned(n)))
// In a section of its own, so that the driver can fill it with garbage before each block.
#define __shared__ static __attribute__((section("shim_shared")))
#define __builtin_assume(condition) ((condition) ? (void) 0 : __shim_trap(719))
#define CUDART_VERSION 13000

typedef unsigned long size_t;
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;

// ---- vector types

#define __SHIM_VECTORS(T, name, align2, align4)                                                                      \
    struct name##1 { T x; };                                                                                         \
    struct __align__(align2) name##2 { T x, y; };                                                                    \
    struct name##3 { T x, y, z; };                                                                                   \
    struct __align__(align4) name##4 { T x, y, z, w; };                                                              \
    static inline name##1 make_##name##1(T x) { return {x}; }                                                        \
    static inline name##2 make_##name##2(T x, T y) { return {x, y}; }                                                \
    static inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }                                        \
    static inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
__SHIM_VECTORS(signed char, char, 2, 4)
__SHIM_VECTORS(unsigned char, uchar, 2, 4)
__SHIM_VECTORS(short, short, 4, 8)
__SHIM_VECTORS(unsigned short, ushort, 4, 8)
__SHIM_VECTORS(int, int, 8, 16)
__SHIM_VECTORS(unsigned int, uint, 8, 16)
__SHIM_VECTORS(long, long, 16, 16)
__SHIM_VECTORS(unsigned long, ulong, 16, 16)
__SHIM_VECTORS(long long, longlong, 16, 16)
__SHIM_VECTORS(unsigned long long, ulonglong, 16, 16)
__SHIM_VECTORS(float, float, 8, 16)
__SHIM_VECTORS(double, double, 16, 16)
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
};

// ---- what the module and the driver know of each other (module.h of the driver has the same)

extern "C" {
struct __shim_runtime {
    unsigned (*barrier)(unsigned kind, unsigned predicate);
    unsigned long long (*warp)(unsigned op, unsigned mask, unsigned long long value, int argument, int width);
    void (*trap)(int error);
    unsigned (*lane)();
    void (*failed_check)(const char *file, unsigned line, int error, const char *what);
};
struct __shim_kernel {
    unsigned count;
    unsigned size[64], align[64];
};
struct __shim_module {
    uint3 *thread, *block;
    dim3 *block_dim, *grid_dim;
    const __shim_runtime **runtime;
};
__attribute__((visibility("hidden"))) uint3 threadIdx, blockIdx;
__attribute__((visibility("hidden"))) dim3 blockDim, gridDim;
__attribute__((visibility("hidden"))) const __shim_runtime *__shim;
__attribute__((visibility("default"))) void shim_module(__shim_module *m) {
    *m = {&threadIdx, &blockIdx, &blockDim, &gridDim, &__shim};
}
}
constexpr int warpSize = 32;

// What g++'s checks call when they fail; the place in the text comes first in what they are given.
struct __shim_place { const char *file; unsigned line, column; };
#define __SHIM_CHECK(name, error, what, ...)                                                                         \
    extern "C" __attribute__((visibility("hidden"), used, noinline, cold)) void                                      \
            __ubsan_handle_##name##_abort(__shim_place *at, ##__VA_ARGS__) {                                         \
        __shim->failed_check(at->file, at->line, error, what);                                                       \
    }
__SHIM_CHECK(type_mismatch_v1, 716, "a misaligned address", void *)
__SHIM_CHECK(out_of_bounds, 700, "an index outside an array", void *)
__SHIM_CHECK(shift_out_of_bounds, 719, "a shift by more than the width", void *, void *)
__SHIM_CHECK(float_cast_overflow, 719, "a conversion of what does not fit: use __float2int_rz or its like", void *)

template <class... P> static inline void __shim_describe(void (*)(P...), __shim_kernel *k) {
    static_assert(sizeof...(P) <= 64, "at most 64 parameters");
    *k = {sizeof...(P), {(unsigned) sizeof(P)...}, {(unsigned) alignof(P)...}};
}
template <int... I> struct __shim_indexes {};
template <class... P, int... I>
static inline __attribute__((always_inline)) void __shim_apply(void (*f)(P...), void **p, __shim_indexes<I...>) {
    f(*(P *) p[I]...);
}
template <class... P> static inline __attribute__((always_inline)) void __shim_call(void (*f)(P...), void **p) {
    __shim_apply(f, p, __shim_indexes<__integer_pack(sizeof...(P))...>{});
}

// ---- waiting for one another. The compiler must not carry shared memory across.

#define __SHIM_FENCE __asm__ volatile("" ::: "memory")
[[noreturn]] static inline void __shim_trap(int error) {
    __shim->trap(error);
    __builtin_unreachable();
}
static inline unsigned __shim_barrier(unsigned kind, unsigned predicate) {
    __SHIM_FENCE;
    unsigned r = __shim->barrier(kind, predicate);
    __SHIM_FENCE;
    return r;
}
static inline unsigned long long __shim_warp(unsigned op, unsigned mask, unsigned long long v, int a = 0, int w = 32) {
    __SHIM_FENCE;
    unsigned long long r = __shim->warp(op, mask, v, a, w);
    __SHIM_FENCE;
    return r;
}
static inline void __syncthreads() { __shim_barrier(0, 0); }
static inline int __syncthreads_count(int p) { return (int) __shim_barrier(1, p != 0); }
static inline int __syncthreads_and(int p) { return (int) __shim_barrier(2, p != 0); }
static inline int __syncthreads_or(int p) { return (int) __shim_barrier(3, p != 0); }
static inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
[[noreturn]] static inline void __trap() { __shim_trap(719); }
static inline void __nanosleep(unsigned) {}
static inline long long clock64() { return (long long) __builtin_ia32_rdtsc(); }

static inline void __syncwarp(unsigned mask = ~0u) { __shim_warp(0, mask, 0); }
static inline unsigned __ballot_sync(unsigned mask, int p) { return (unsigned) __shim_warp(5, mask, p != 0); }
static inline int __any_sync(unsigned mask, int p) { return __ballot_sync(mask, p) != 0; }
static inline int __all_sync(unsigned mask, int p) { return __ballot_sync(mask, !p) == 0; }
// The hardware promises no more than that the caller is in it; so no more is in it here.
static inline unsigned __activemask() { return 1u << __shim->lane(); }
#define __SHIM_SHUFFLE(T)                                                                                            \
    static inline T __shim_shuffle(unsigned op, unsigned mask, T value, int argument, int width) {                   \
        unsigned long long bits = 0;                                                                                 \
        __builtin_memcpy(&bits, &value, sizeof value);                                                               \
        bits = __shim_warp(op, mask, bits, argument, width);                                                         \
        __builtin_memcpy(&value, &bits, sizeof value);                                                               \
        return value;                                                                                                \
    }                                                                                                                \
    static inline T __shfl_sync(unsigned m, T v, int lane, int w = 32) { return __shim_shuffle(1, m, v, lane, w); }  \
    static inline T __shfl_up_sync(unsigned m, T v, unsigned d, int w = 32) {                                        \
        return __shim_shuffle(2, m, v, (int) d, w);                                                                  \
    }                                                                                                                \
    static inline T __shfl_down_sync(unsigned m, T v, unsigned d, int w = 32) {                                      \
        return __shim_shuffle(3, m, v, (int) d, w);                                                                  \
    }                                                                                                                \
    static inline T __shfl_xor_sync(unsigned m, T v, int x, int w = 32) { return __shim_shuffle(4, m, v, x, w); }
__SHIM_SHUFFLE(int)
__SHIM_SHUFFLE(unsigned)
__SHIM_SHUFFLE(long)
__SHIM_SHUFFLE(unsigned long)
__SHIM_SHUFFLE(long long)
__SHIM_SHUFFLE(unsigned long long)
__SHIM_SHUFFLE(float)
__SHIM_SHUFFLE(double)
static inline unsigned __reduce_add_sync(unsigned m, unsigned v) { return (unsigned) __shim_warp(6, m, v); }
static inline int __reduce_add_sync(unsigned m, int v) { return (int) __shim_warp(6, m, (unsigned) v); }
static inline unsigned __reduce_min_sync(unsigned m, unsigned v) { return (unsigned) __shim_warp(7, m, v); }
static inline unsigned __reduce_max_sync(unsigned m, unsigned v) { return (unsigned) __shim_warp(8, m, v); }
static inline int __reduce_min_sync(unsigned m, int v) { return (int) __shim_warp(9, m, (unsigned) v); }
static inline int __reduce_max_sync(unsigned m, int v) { return (int) __shim_warp(10, m, (unsigned) v); }
static inline unsigned __reduce_and_sync(unsigned m, unsigned v) { return (unsigned) __shim_warp(11, m, v); }
static inline unsigned __reduce_or_sync(unsigned m, unsigned v) { return (unsigned) __shim_warp(12, m, v); }
static inline unsigned __reduce_xor_sync(unsigned m, unsigned v) { return (unsigned) __shim_warp(13, m, v); }
static inline unsigned __match_any_sync(unsigned m, unsigned v) { return (unsigned) __shim_warp(14, m, v); }
static inline unsigned __match_any_sync(unsigned m, int v) { return (unsigned) __shim_warp(14, m, (unsigned) v); }

// ---- atomics: each returns what was there before

#define __SHIM_ATOMIC(name, T, next)                                                                                 \
    static inline T name(T *address, T value) {                                                                      \
        T old = __atomic_load_n(address, __ATOMIC_RELAXED);                                                          \
        while (!__atomic_compare_exchange_n(address, &old, (T) (next), true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {} \
        return old;                                                                                                  \
    }
#define __SHIM_ATOMICS(T)                                                                                            \
    __SHIM_ATOMIC(atomicAdd, T, old + value)                                                                         \
    __SHIM_ATOMIC(atomicSub, T, old - value)                                                                         \
    __SHIM_ATOMIC(atomicExch, T, value)                                                                              \
    __SHIM_ATOMIC(atomicMin, T, old < value ? old : value)                                                           \
    __SHIM_ATOMIC(atomicMax, T, old > value ? old : value)                                                           \
    __SHIM_ATOMIC(atomicAnd, T, old & value)                                                                         \
    __SHIM_ATOMIC(atomicOr, T, old | value)                                                                          \
    __SHIM_ATOMIC(atomicXor, T, old ^ value)                                                                         \
    static inline T atomicCAS(T *address, T compare, T value) {                                                      \
        __atomic_compare_exchange_n(address, &compare, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);            \
        return compare;                                                                                              \
    }
__SHIM_ATOMICS(int)
__SHIM_ATOMICS(unsigned)
__SHIM_ATOMICS(unsigned long long)
__SHIM_ATOMIC(atomicMin, long long, old < value ? old : value)
__SHIM_ATOMIC(atomicMax, long long, old > value ? old : value)
__SHIM_ATOMIC(atomicInc, unsigned, old >= value ? 0 : old + 1)
__SHIM_ATOMIC(atomicDec, unsigned, old == 0 || old > value ? value : old - 1)
#define __SHIM_ATOMIC_FLOAT(T, I)                                                                                    \
    static inline T atomicAdd(T *address, T value) {                                                                 \
        I old = __atomic_load_n((I *) address, __ATOMIC_RELAXED), next;                                              \
        T sum;                                                                                                       \
        do {                                                                                                         \
            __builtin_memcpy(&sum, &old, sizeof sum);                                                                \
            sum += value;                                                                                            \
            __builtin_memcpy(&next, &sum, sizeof next);                                                              \
        } while (!__atomic_compare_exchange_n((I *) address, &old, next, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)); \
        __builtin_memcpy(&sum, &old, sizeof sum);                                                                    \
        return sum;                                                                                                  \
    }
__SHIM_ATOMIC_FLOAT(float, unsigned)
__SHIM_ATOMIC_FLOAT(double, unsigned long long)

// ---- loads and stores with a word for the caches

template <class T> static inline T __ldg(const T *p) { return *p; }
template <class T> static inline T __ldcg(const T *p) { return *p; }
template <class T> static inline T __ldca(const T *p) { return *p; }
template <class T> static inline T __ldcs(const T *p) { return *p; }
template <class T> static inline T __ldlu(const T *p) { return *p; }
template <class T> static inline T __ldcv(const T *p) { return *(const volatile T *) p; }
template <class T> static inline void __stwb(T *p, T v) { *p = v; }
template <class T> static inline void __stcg(T *p, T v) { *p = v; }
template <class T> static inline void __stcs(T *p, T v) { *p = v; }
template <class T> static inline void __stwt(T *p, T v) { *p = v; }

// ---- arithmetic that is rounded once, to nearest, and never contracted (-ffp-contract=off)

extern "C" {
float sqrtf(float) noexcept; double sqrt(double) noexcept; float fmaf(float, float, float) noexcept;
double fma(double, double, double) noexcept; float fabsf(float) noexcept; double fabs(double) noexcept;
float floorf(float) noexcept; double floor(double) noexcept; float ceilf(float) noexcept; double ceil(double) noexcept;
float truncf(float) noexcept; double trunc(double) noexcept; float rintf(float) noexcept; double rint(double) noexcept;
float nearbyintf(float) noexcept; double nearbyint(double) noexcept; float roundf(float) noexcept;
double round(double) noexcept; float copysignf(float, float) noexcept; double copysign(double, double) noexcept;
float ldexpf(float, int) noexcept; double ldexp(double, int) noexcept; float scalbnf(float, int) noexcept;
double scalbn(double, int) noexcept; float fmodf(float, float) noexcept; double fmod(double, double) noexcept;
float expf(float) noexcept; double exp(double) noexcept; float logf(float) noexcept; double log(double) noexcept;
float exp2f(float) noexcept; double exp2(double) noexcept; float log2f(float) noexcept; double log2(double) noexcept;
float powf(float, float) noexcept; double pow(double, double) noexcept; float tanhf(float) noexcept;
double tanh(double) noexcept; float sinf(float) noexcept; double sin(double) noexcept; float cosf(float) noexcept;
double cos(double) noexcept; float cbrtf(float) noexcept; double cbrt(double) noexcept;
void *memcpy(void *, const void *, size_t) noexcept; void *memset(void *, int, size_t) noexcept;
int abs(int) noexcept; long long llabs(long long) noexcept;
}
static inline float sqrt(float a) { return sqrtf(a); }
static inline float fabs(float a) { return fabsf(a); }
static inline float abs(float a) { return fabsf(a); }
static inline double abs(double a) { return fabs(a); }
static inline long long abs(long long a) { return a < 0 ? -a : a; }
static inline float fma(float a, float b, float c) { return fmaf(a, b, c); }
static inline float floor(float a) { return floorf(a); }
static inline float ceil(float a) { return ceilf(a); }
static inline float trunc(float a) { return truncf(a); }
static inline float rint(float a) { return rintf(a); }
static inline float copysign(float a, float b) { return copysignf(a, b); }
static inline bool isnan(float a) { return __builtin_isnan(a); }
static inline bool isnan(double a) { return __builtin_isnan(a); }
static inline bool isinf(float a) { return __builtin_isinf(a); }
static inline bool isinf(double a) { return __builtin_isinf(a); }
static inline bool isfinite(float a) { return __builtin_isfinite(a); }
static inline bool isfinite(double a) { return __builtin_isfinite(a); }
static inline bool signbit(float a) { return __builtin_signbit(a); }
static inline bool signbit(double a) { return __builtin_signbit(a); }
// As the hardware: a number beats NaN, and +0 is more than -0.
#define __SHIM_EXTREMES(T, max, min)                                                                                 \
    static inline T max(T a, T b) {                                                                                  \
        if (a != a) return b;                                                                                        \
        if (b != b) return a;                                                                                        \
        return a > b || (a == b && !__builtin_signbit(a)) ? a : b;                                                   \
    }                                                                                                                \
    static inline T min(T a, T b) {                                                                                  \
        if (a != a) return b;                                                                                        \
        if (b != b) return a;                                                                                        \
        return a < b || (a == b && __builtin_signbit(a)) ? a : b;                                                    \
    }
__SHIM_EXTREMES(float, fmaxf, fminf)
__SHIM_EXTREMES(double, fmax, fmin)
static inline float fmax(float a, float b) { return fmaxf(a, b); }
static inline float fmin(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline float min(float a, float b) { return fminf(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
#define __SHIM_ORDER(T)                                                                                              \
    static inline T max(T a, T b) { return a > b ? a : b; }                                                          \
    static inline T min(T a, T b) { return a < b ? a : b; }
__SHIM_ORDER(int)
__SHIM_ORDER(unsigned)
__SHIM_ORDER(long)
__SHIM_ORDER(unsigned long)
__SHIM_ORDER(long long)
__SHIM_ORDER(unsigned long long)

static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __frcp_rn(float a) { return 1.0f / a; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dsub_rn(double a, double b) { return a - b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __ddiv_rn(double a, double b) { return a / b; }
static inline double __drcp_rn(double a) { return 1.0 / a; }
static inline double __dsqrt_rn(double a) { return sqrt(a); }
static inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }

// ---- conversions: saturating. NaN becomes 0 from f32 to 32 bits, the lowest number (or its bits) otherwise (PTX ISA, cvt).

#define __SHIM_TO_INTEGER(name, F, I, rounded, low, high, smallest, largest, nan)                                    \
    static inline I name(F a) {                                                                                      \
        if (a != a) return (I) (nan);                                                                                \
        F r = rounded;                                                                                               \
        return r < (F) (low) ? (I) (smallest) : r >= (F) (high) ? (I) (largest) : (I) r;                             \
    }
#define __SHIM_TO_INTEGERS(prefix, F, trunc_, rint_, floor_, ceil_, nan32)                                           \
    __SHIM_TO_INTEGER(prefix##2int_rz, F, int, trunc_(a), -0x1p31, 0x1p31, 1 << 31, 0x7fffffff, nan32)               \
    __SHIM_TO_INTEGER(prefix##2int_rn, F, int, rint_(a), -0x1p31, 0x1p31, 1 << 31, 0x7fffffff, nan32)                \
    __SHIM_TO_INTEGER(prefix##2int_rd, F, int, floor_(a), -0x1p31, 0x1p31, 1 << 31, 0x7fffffff, nan32)               \
    __SHIM_TO_INTEGER(prefix##2int_ru, F, int, ceil_(a), -0x1p31, 0x1p31, 1 << 31, 0x7fffffff, nan32)                \
    __SHIM_TO_INTEGER(prefix##2uint_rz, F, unsigned, trunc_(a), 0, 0x1p32, 0, ~0u, nan32)                            \
    __SHIM_TO_INTEGER(prefix##2uint_rn, F, unsigned, rint_(a), 0, 0x1p32, 0, ~0u, nan32)                             \
    __SHIM_TO_INTEGER(prefix##2ll_rz, F, long long, trunc_(a), -0x1p63, 0x1p63, 1ull << 63, ~0ull >> 1, 1ull << 63)  \
    __SHIM_TO_INTEGER(prefix##2ll_rn, F, long long, rint_(a), -0x1p63, 0x1p63, 1ull << 63, ~0ull >> 1, 1ull << 63)   \
    __SHIM_TO_INTEGER(prefix##2ull_rz, F, unsigned long long, trunc_(a), 0, 0x1p64, 0, ~0ull, 1ull << 63)            \
    __SHIM_TO_INTEGER(prefix##2ull_rn, F, unsigned long long, rint_(a), 0, 0x1p64, 0, ~0ull, 1ull << 63)
__SHIM_TO_INTEGERS(__float, float, truncf, rintf, floorf, ceilf, 0)
__SHIM_TO_INTEGERS(__double, double, trunc, rint, floor, ceil, 1u << 31)
static inline float __int2float_rn(int a) { return (float) a; }
static inline float __uint2float_rn(unsigned a) { return (float) a; }
static inline float __ll2float_rn(long long a) { return (float) a; }
static inline float __ull2float_rn(unsigned long long a) { return (float) a; }
static inline double __int2double_rn(int a) { return a; }
static inline double __uint2double_rn(unsigned a) { return a; }
static inline double __ll2double_rn(long long a) { return (double) a; }
static inline double __ull2double_rn(unsigned long long a) { return (double) a; }
static inline float __double2float_rn(double a) { return (float) a; }
#define __SHIM_BITS(name, From, To)                                                                                  \
    static inline To name(From a) {                                                                                  \
        To r;                                                                                                        \
        __builtin_memcpy(&r, &a, sizeof r);                                                                          \
        return r;                                                                                                    \
    }
__SHIM_BITS(__float_as_int, float, int)
__SHIM_BITS(__float_as_uint, float, unsigned)
__SHIM_BITS(__int_as_float, int, float)
__SHIM_BITS(__uint_as_float, unsigned, float)
__SHIM_BITS(__double_as_longlong, double, long long)
__SHIM_BITS(__longlong_as_double, long long, double)
static inline int __double2hiint(double a) { return (int) (__double_as_longlong(a) >> 32); }
static inline int __double2loint(double a) { return (int) __double_as_longlong(a); }
static inline double __hiloint2double(int hi, int lo) {
    return __longlong_as_double((long long) ((unsigned long long) (unsigned) hi << 32 | (unsigned) lo));
}

// ---- integers

static inline int __popc(unsigned a) { return __builtin_popcount(a); }
static inline int __popcll(unsigned long long a) { return __builtin_popcountll(a); }
static inline int __clz(int a) { return a == 0 ? 32 : __builtin_clz((unsigned) a); }
static inline int __clzll(long long a) { return a == 0 ? 64 : __builtin_clzll((unsigned long long) a); }
static inline int __ffs(int a) { return __builtin_ffs(a); }
static inline int __ffsll(long long a) { return __builtin_ffsll(a); }
static inline int __mulhi(int a, int b) { return (int) ((long long) a * b >> 32); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned) ((unsigned long long) a * b >> 32); }
static inline long long __mul64hi(long long a, long long b) { return (long long) ((__int128) a * b >> 64); }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long) ((unsigned __int128) a * b >> 64);
}
static inline unsigned __funnelshift_l(unsigned lo, unsigned hi, unsigned n) {
    return (unsigned) (((unsigned long long) hi << 32 | lo) << (n & 31) >> 32);
}
static inline unsigned __funnelshift_r(unsigned lo, unsigned hi, unsigned n) {
    return (unsigned) (((unsigned long long) hi << 32 | lo) >> (n & 31));
}
static inline unsigned __brev(unsigned a) {
    unsigned r = 0;
    for (int i = 0; i < 32; i++) r |= (a >> i & 1) << (31 - i);
    return r;
}
static inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    unsigned long long both = (unsigned long long) b << 32 | a;
    unsigned r = 0;
    for (int i = 0; i < 4; i++) {
        unsigned pick = selector >> 4 * i, byte = (unsigned) (both >> 8 * (pick & 7)) & 255;
        r |= (pick & 8 ? (byte & 128 ? 255u : 0u) : byte) << 8 * i;
    }
    return r;
}
