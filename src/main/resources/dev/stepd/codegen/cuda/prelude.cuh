// What the kernels of every plan share. A plan's own text follows.

enum { THREADS = 256, LANES = 16, CHUNK = 1024, CHUNKS = 64, COLUMN_CHUNK = 64 };

// What a block of threads takes at once: neighbouring indexes of one tensor.
struct Tile {
    long long first;   // the first index, in the array of all tensors
    long long within;  // the same, counted from the tensor's first
    long long target;  // folds: where the result of the first run goes
    long long length;  // folds: values of a run; columns: of a row
    long long end;     // folds: the tensor's values, counted as `within`
    int count;         // indexes; folds: runs; columns: columns
    int tensor;
    int lead;          // threads begin this many indexes before the first, so that most of them read whole vectors
    int chunk;         // folds: the runs' first chunk in this tile; columns: its rows
    int chunks;        // folds: chunks of each run in this tile
    int partial;       // folds: whether more tiles share the run, so that what comes out is a partial result
};

struct Tensor {
    long long elements, rows, columns; // rows and columns of each of its matrices
    long long element, row, column;    // the index of its first
    long long group;
    long long origin;                  // elements that the session declares before it
};

// Results that several tiles have a part of.
struct Join {
    long long from, stride, count; // the partial results
    long long target;
    long long width;               // results side by side
};

// What one launch does.
struct Work {
    const Tile *tiles;
    const Tensor *tensors;
    const Join *joins;
    double *partials;
    long long count;         // tiles, or joins
    long long partials_each; // partial results of each output
};

// Four neighbours, which one thread computes.
template <typename T>
struct alignas(4 * sizeof(T) < 16 ? 4 * sizeof(T) : 16) Four {
    T at[4];
};

template <typename T>
__device__ inline bool whole(const T *place, int from, int to)
{
    return to - from == 4 && (unsigned long long) place % alignof(Four<T>) == 0;
}

// Values `from` up to `to` of the four that begin at `place`; the others are zero.
template <typename T>
__device__ inline Four<T> load(const T *place, int from, int to)
{
    if (whole(place, from, to)) {
        return *(const Four<T> *) place;
    }
    Four<T> four;
#pragma unroll
    for (int k = 0; k < 4; k++) {
        four.at[k] = from <= k && k < to ? place[k] : T(0);
    }
    return four;
}

template <typename T>
__device__ inline void store(T *place, int from, int to, const Four<T> &four)
{
    if (whole(place, from, to)) {
        *(Four<T> *) place = four;
        return;
    }
#pragma unroll
    for (int k = 0; k < 4; k++) {
        if (from <= k && k < to) {
            place[k] = four.at[k];
        }
    }
}

// Values of four bits, two in each byte, the even one in the upper half.
__device__ inline Four<unsigned char> load_halves(const unsigned char *place, int from, int to)
{
    Four<unsigned char> four;
#pragma unroll
    for (int k = 0; k < 4; k += 2) {
        const int both = from <= k && k < to ? place[k / 2] : 0;
        four.at[k] = both >> 4;
        four.at[k + 1] = both & 0xf;
    }
    return four;
}

// Of an odd number the last half byte is zero.
__device__ inline void store_halves(unsigned char *place, int to, const Four<unsigned char> &four)
{
#pragma unroll
    for (int k = 0; k < 4; k += 2) {
        if (k < to) {
            const int odd = k + 1 < to ? four.at[k + 1] & 0xf : 0;
            place[k / 2] = (unsigned char) (four.at[k] << 4 | odd);
        }
    }
}

// The larger; NaN if either is; of equal ones the first.
template <typename T>
__device__ inline T larger(T a, T b)
{
    return a >= b || a != a ? a : b;
}

// A real without its fraction, the nearest integer there is, 0 of NaN: GPUs make another number of a NaN of 64 bits.
__device__ inline int to_int(float x)
{
    return __float2int_rz(x);
}

__device__ inline int to_int(double x)
{
    return x != x ? 0 : __double2int_rz(x);
}

// Division of what is seldom long by what is seldom long.
__device__ inline long long quotient(long long a, long long b)
{
    return ((a | b) >> 32) == 0 ? (long long) ((unsigned) a / (unsigned) b) : a / b;
}

// The number from 0 to `most` that is nearest.
__device__ inline int at_most(long long a, int most)
{
    return a < 0 ? 0 : a < most ? (int) a : most;
}

__device__ inline int at_least(int a, int least)
{
    return a > least ? a : least;
}
