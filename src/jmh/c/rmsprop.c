#include "update.h"

struct job {
    float *p, *g, *v;
    float lr, alpha, rest, eps;
};

static void update(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    float *restrict p = j.p + from, *restrict g = j.g + from, *restrict v = j.v + from;
    for (size_t i = 0; i < n; i++) {
        float square = j.alpha * v[i] + j.rest * (g[i] * g[i]);
        float delta = -j.lr * (g[i] / (sqrtf(square) + j.eps));
        v[i] = square;
        g[i] = delta;
        p[i] += delta;
    }
}

/* hyper: lr, alpha, eps, weight_decay, momentum, t */
int rmsprop(float *p, float *g, void **slots, long count, const double *hyper, int threads) {
    const double lr = hyper[0], alpha = hyper[1], eps = hyper[2];
    const struct job j = {
        .p = p, .g = g, .v = slots[0],
        .lr = (float) lr,
        .alpha = (float) alpha,
        .rest = (float) (1 - alpha),
        .eps = (float) eps,
    };
    return run(update, &j, count, threads, NULL);
}
